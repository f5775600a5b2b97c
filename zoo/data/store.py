"""Files that everybody has the same bytes of: looked for in the data folder, else downloaded, and always checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo.errors import DataError

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes that are done, the bytes in all (None if unknown), and the name of the file."""


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A published file. One that ends in .gz is kept packed and unpacked when read; archives (.tar.gz) are not."""

    name: str
    folders: tuple[str, ...]
    """Where it may lie under the data folder; downloaded into the first."""
    addresses: tuple[str, ...]
    """Where exactly this file is published; () where nowhere, and then the user has to put it there."""
    size: int
    """Bytes, unpacked: no more than that is ever unpacked."""
    sha256: str
    hashed: Literal["unpacked", "published"] = "unpacked"
    """What the hash is of: the unpacked bytes, since mirrors pack in their own way, so that an unpacked file without
    the ending will do; or the file as it is published, where only that hash is known."""
    note: str = ""
    """A sentence on where its content is from, for a file without addresses."""

    @property
    def packed(self) -> bool:
        """Whether reading it means to unpack it."""
        return self.name.endswith(".gz") and not self.name.endswith(".tar.gz")

    @property
    def most(self) -> int:
        """Bytes of the file as it is published, at most: gzip adds little, even to noise."""
        return self.size + (self.size // 1000 + 1024 if self.packed else 0)

    @property
    def expected(self) -> str:
        """The hash in words."""
        of = " of the unpacked bytes" if self.packed and self.hashed == "unpacked" else ""
        return f"the SHA-256 {self.sha256}{of}"


def locate(known: KnownFile, data_dir: Path) -> Path | None:
    """Where a known file lies in the data folder; its content is not looked at."""
    names = [known.name]
    if known.packed and known.hashed == "unpacked":
        names.append(known.name.removesuffix(".gz"))
    paths = (data_dir / folder / name for folder in known.folders for name in names)
    return next((path for path in paths if os.path.isfile(path)), None)


def obtain(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """The unpacked bytes of a known file, from the data folder or else from the net."""
    path = locate(known, data_dir)
    if path is not None:
        return _checked(path, known)
    folder = data_dir / known.folders[0]
    if not known.addresses:
        raise DataError(
            f"{known.name} is not there, and no address gives exactly that file, which has {known.expected}. "
            f"Put {known.name} into {folder}, or set ZOO_DATA_DIR to a data folder that has it. {known.note}".rstrip()
        )

    from zoo.data.download import fetch

    return fetch(known, folder, progress)


def unpack(path: Path, known: KnownFile, packed: bool) -> tuple[bytes, str]:
    """The unpacked bytes of a file and the SHA-256 to compare; or nothing, and why it has no such hash."""
    limit = known.size
    try:
        if packed and known.hashed == "published":
            with open(path, "rb") as stream:
                content = stream.read(known.most + 1)
            found = hashlib.sha256(content).hexdigest()
            if found != known.sha256:
                return b"", found
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as inside:
                return inside.read(limit), found
        with gzip.open(path) if packed else open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b"", "damaged gzip data"
    if len(content) > limit:
        return b"", f"more than {limit:,} bytes"
    return content, hashlib.sha256(content).hexdigest()


def _checked(path: Path, known: KnownFile) -> bytes:
    try:
        content, found = unpack(path, known, packed=known.packed and path.suffix == ".gz")
    except OSError as error:
        raise unreadable(path, error) from error
    if found != known.sha256:
        raise DataError(
            f"{str(path)!r} is not the right file: expected {known.expected}, found {found}. "
            "Delete it (or move it away) and run again."
        )
    return content


def unreadable(path: str | Path, error: OSError) -> DataError:
    """The error for a file or folder that is there and cannot be read."""
    return DataError(f"{str(path)!r} could not be read: {error.strerror or error}. Check its permissions.")
