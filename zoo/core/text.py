"""Other people's text, made safe to show on a terminal."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def plain(text: object, most: int | None = None) -> str:
    """Return a text as one line without control characters, cut to `most` characters."""
    line = _CONTROL.sub(" ", str(text)).strip()
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"
