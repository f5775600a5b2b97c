"""The version of the plugin contract: what :mod:`zoo.plugin` offers, and what it means.

The rule of change. A minor version adds: a plugin made for an older minor version of the same major one works as
before. What is to go, or to mean something else, is announced by a warning that names what to write instead, and stays
for two minor versions of zoo. A major version removes what was announced.
"""

from __future__ import annotations

import re

CONTRACT = "1.0"
"""The version that this zoo has; CHANGELOG.md says what changed with each."""


def is_newer(contract: str) -> bool:
    """Whether a plugin made for a contract, as "1.2", needs a newer zoo; False for what is no version."""
    asked, own = _numbers(contract), _numbers(CONTRACT)
    return asked is not None and own is not None and asked > own


def _numbers(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", text)
    return (int(found[1]), int(found[2])) if found else None
