"""Published files of known content: found in the data folder or else downloaded, and always checked by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the total bytes (None if unknown), and the name of the file."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """The content of an archive, which identifies it however it is packed."""

    pattern: str
    """A regular expression for the full name of a file in the archive. Its first group is the known name of the file,
    without enclosing folders. Files that do not match are ignored."""
    sha256: str
    """The hash of the files: see :func:`listing`."""
    roots: tuple[str, ...] = ()
    """The folders in the archive; () if an unpacked archive is not accepted."""


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A published file, identified by the SHA-256 of its content. A name in .gz is unpacked when it is read."""

    name: str
    folders: tuple[str, ...]
    """The folders below the data folder where the file may be; a download goes into the first."""
    addresses: tuple[str, ...]
    """The URLs of exactly this file; () if there is none, and the user has to provide the file."""
    size: int
    """The number of unpacked bytes; no more are ever unpacked. For an archive: of the published file."""
    sha256: str
    """The hash of the unpacked bytes. For an archive: of the published file, which a download must match."""
    inside: Inside | None = None
    """For an archive: its content, which identifies an archive that was packed in another way."""
    note: str = ""
    """A sentence about the origin of the content, for a file without addresses."""

    @property
    def packed(self) -> bool:
        """Whether the published file is compressed and has to be unpacked when it is read."""
        return self.name.endswith(".gz") and self.inside is None

    @property
    def most(self) -> int:
        """The largest possible size of the published file in bytes: gzip adds little, even to random data."""
        return self.size + (self.size // 1000 + 1024 if self.packed else 0)

    @property
    def expected(self) -> str:
        """The expected hash, in words."""
        if self.inside is not None:
            return f"the SHA-256 {self.inside.sha256} of the listing of its files"
        return f"the SHA-256 {self.sha256}{' of the unpacked bytes' if self.packed else ''}"

    @property
    def names(self) -> tuple[str, ...]:
        """The file names to look for: the published name, and those of other packings or of the unpacked file."""
        if self.inside is not None:
            stem = self.name.removesuffix(".tar.gz")
            return (self.name, *(stem + ending for ending in (".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")))
        return (self.name, self.name.removesuffix(".gz")) if self.packed else (self.name,)


def listing(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 that identifies the files inside an archive, from the SHA-256 of each file by name.

    It is the hash of the output of sha256sum, sorted by the bytes of the names:
    ``find recordings -name '*.wav' | LC_ALL=C sort | xargs sha256sum | sha256sum``.
    """
    lines = [f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=os.fsencode)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def locate(known: KnownFile, data_dir: Path) -> Path | None:
    """Return the path of a known file in the data folder, or its first unpacked folder, or None. Reads no file."""
    paths = (data_dir / folder / name for folder in known.folders for name in known.names)
    found = next((path for path in paths if os.path.isfile(path)), None)
    if found is not None or known.inside is None or not known.inside.roots:
        return found
    for folder in filter(None, known.folders):  # directly in the data folder, such names may belong to other data
        roots = [data_dir / folder / root for root in known.inside.roots]
        if all(map(os.path.isdir, roots)):
            return roots[0]
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
