"""Files that everybody has the same bytes of: looked for in the data folder, else downloaded, and always checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import DataError

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes that are done, the bytes in all (None if unknown), and the name of the file."""


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A published file. If its name ends in .gz it is kept packed, and an unpacked one without the ending will do."""

    name: str
    folders: tuple[str, ...]
    """Where it may lie under the data folder; downloaded into the first."""
    addresses: tuple[str, ...]
    size: int
    """Bytes, unpacked: no more than that is ever unpacked."""
    sha256: str
    """Of the unpacked bytes."""

    @property
    def packed(self) -> bool:
        return self.name.endswith(".gz")


def obtain(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """The unpacked bytes of a known file, from the data folder or else from the net."""
    for folder in known.folders:
        for name in (known.name, known.name.removesuffix(".gz")):
            path = data_dir / folder / name
            if os.path.isfile(path):
                return _checked(path, known)

    from zoo.data.download import fetch

    return fetch(known, data_dir / known.folders[0], progress)


def unpack(path: Path, known: KnownFile, packed: bool) -> tuple[bytes, str]:
    """The unpacked bytes of a file and their SHA-256; or nothing, and why it has no such hash."""
    try:
        with gzip.open(path) if packed else open(path, "rb") as stream:
            content = stream.read(known.size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b"", "damaged gzip data"
    if len(content) > known.size:
        return b"", f"more than {known.size:,} bytes"
    return content, hashlib.sha256(content).hexdigest()


def _checked(path: Path, known: KnownFile) -> bytes:
    try:
        content, found = unpack(path, known, packed=path.suffix == ".gz")
    except OSError as error:
        raise unreadable(path, error) from error
    if found != known.sha256:
        raise DataError(
            f"{str(path)!r} is not the right file: expected the SHA-256 {known.sha256} of the unpacked bytes, "
            f"found {found}. Delete it (or move it away) and run again."
        )
    return content


def unreadable(path: str | Path, error: OSError) -> DataError:
    """The error for a file or folder that is there and cannot be read."""
    return DataError(f"{str(path)!r} could not be read: {error.strerror or error}. Check its permissions.")
