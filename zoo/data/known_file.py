"""Published files of known content: found in the data folder or else downloaded, and always checked by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from zoo.contract.data import KnownFile

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the total bytes (None if unknown), and the name of the file."""


def locate(known: KnownFile, data_dir: Path) -> Path | None:
    """Return the path of a known file in the data folder, or its first unpacked folder, or None. Reads no file."""
    return first_there(known.candidates, data_dir)


def first_there(candidates: Iterable[Iterable[str]], data_dir: Path) -> Path | None:
    """Return the first path of the first of :attr:`KnownFile.candidates` all of which exist, or None."""
    for paths in candidates:
        if all((os.path.isdir if path.endswith("/") else os.path.isfile)(data_dir / path) for path in paths):
            return data_dir / next(iter(paths))
    return None


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
