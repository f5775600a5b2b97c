"""Text for people: that of others made safe to show on a terminal, sentences, and sizes."""

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


def size(count: int) -> str:
    """A number of bytes: ``"420 bytes"``, ``"1.5 kB"``, ``"12.3 MB"``."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:,.1f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"
