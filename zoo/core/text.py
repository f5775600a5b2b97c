"""Other people's text, made safe to show on a terminal."""

from __future__ import annotations

import re


def plain(text: object, most: int | None = None) -> str:
    """Return a text as one line of printable characters, cut to `most` of them.

    Others become a space: control characters, line ends, and what changes the direction of text or is invisible.
    """
    line = re.sub("\0+", " ", "".join(char if char.isprintable() else "\0" for char in str(text))).strip()
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def sentence(text: object) -> str:
    """A text with a full stop at its end, so that another sentence may follow."""
    return str(text) if str(text).endswith((".", "!", "?", "…")) else f"{text}."
