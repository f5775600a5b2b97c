"""Published files of known content: unpacked, and always checked by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

from zoo.contract.data import KnownFile

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the total bytes (None if unknown), and the name of the file."""


def unpack(path: Path, known: KnownFile, packed: bool) -> tuple[bytes, str]:
    """Return the unpacked bytes of a file and their SHA-256, or no bytes and the reason."""
    limit = known.size
    try:
        with gzip.open(path) if packed else open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b"", "damaged gzip data"
    if len(content) > limit:
        return b"", f"more than {limit:,} bytes"
    return content, hashlib.sha256(content).hexdigest()
