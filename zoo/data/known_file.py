"""Files that everybody has the same bytes of: looked for in the data folder, else downloaded, and always checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes that are done, the bytes in all (None if unknown), and the name of the file."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What an archive holds, by which it is known however it is packed."""

    pattern: str
    """A regular expression for the whole name of a file in it, whose first group is the name that the file is known by;
    other files are not looked at, nor the folders that somebody put around all of it."""
    sha256: str
    """Of the files: see :func:`listing`."""
    roots: tuple[str, ...] = ()
    """The folders that it unpacks into; () where an unpacked one will not do."""


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A published file, known by the SHA-256 of what is inside. One that ends in .gz is unpacked when it is read."""

    name: str
    folders: tuple[str, ...]
    """Where it may lie under the data folder; downloaded into the first."""
    addresses: tuple[str, ...]
    """Where exactly this file is published; () where nowhere, and then the user has to put it there."""
    size: int
    """Bytes, unpacked: no more than that is ever unpacked. Of an archive: of the file as it is published."""
    sha256: str
    """Of the unpacked bytes. Of an archive: of the file as it is published, which is what a download must have."""
    inside: Inside | None = None
    """For an archive: what it holds, by which one that is packed in another way is known."""
    note: str = ""
    """A sentence on where its content is from, for a file without addresses."""

    @property
    def packed(self) -> bool:
        """Whether it is published packed, and reading it means to unpack it."""
        return self.name.endswith(".gz") and self.inside is None

    @property
    def most(self) -> int:
        """Bytes of the file as it is published, at most: gzip adds little, even to noise."""
        return self.size + (self.size // 1000 + 1024 if self.packed else 0)

    @property
    def expected(self) -> str:
        """The hash in words."""
        if self.inside is not None:
            return f"the SHA-256 {self.inside.sha256} of the listing of its files"
        return f"the SHA-256 {self.sha256}{' of the unpacked bytes' if self.packed else ''}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it may have: packed in another way, or not at all."""
        if self.inside is not None:
            stem = self.name.removesuffix(".tar.gz")
            return (self.name, *(stem + ending for ending in (".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")))
        return (self.name, self.name.removesuffix(".gz")) if self.packed else (self.name,)


def listing(hashes: Mapping[str, str]) -> str:
    """The SHA-256 by which the files inside an archive are known, from the SHA-256 of each by its name.

    It is that of the lines that sha256sum prints, sorted by the bytes of the names:
    ``find recordings -name '*.wav' | LC_ALL=C sort | xargs sha256sum | sha256sum``.
    """
    lines = [f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=os.fsencode)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def locate(known: KnownFile, data_dir: Path) -> Path | None:
    """Where a known file lies in the data folder, or the first folder that it was unpacked into; nothing is read."""
    paths = (data_dir / folder / name for folder in known.folders for name in known.names)
    found = next((path for path in paths if os.path.isfile(path)), None)
    if found is not None or known.inside is None or not known.inside.roots:
        return found
    for folder in filter(None, known.folders):  # directly in the data folder, such names may be anybody's
        roots = [data_dir / folder / root for root in known.inside.roots]
        if all(map(os.path.isdir, roots)):
            return roots[0]
    return None


def unpack(path: Path, known: KnownFile, packed: bool) -> tuple[bytes, str]:
    """The unpacked bytes of a file and their SHA-256; or nothing, and why it has none."""
    limit = known.size
    try:
        with gzip.open(path) if packed else open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b"", "damaged gzip data"
    if len(content) > limit:
        return b"", f"more than {limit:,} bytes"
    return content, hashlib.sha256(content).hexdigest()
