"""Archives of published files, read in memory: the names inside an archive never become paths on disk.

An archive is identified by the files inside, because the same files are packed in many ways: as a tar (with gzip,
bzip2, xz or no compression), as a zip, or as an unpacked folder. See :func:`zoo.contract.data.listing`.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from zoo.contract.data import Inside, KnownFile, listing
from zoo.core.errors import DataError, one_line, unreadable
from zoo.data.download import fetched
from zoo.data.known_file import Progress
from zoo.data.where import locate

LARGEST = 2**30
"""The largest size in bytes of an archive, and of its unpacked content."""


def obtain(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> dict[str, bytes]:
    """Return the files inside a known archive by name, from the data folder or else from the network.

    Raises :class:`DataError` unless these are the known files, or the archive is byte for byte the published one.
    """
    assert known.inside is not None
    path = locate(known, data_dir)
    if path is not None and path.is_dir():
        return _checked(dict(_below(path.parent, known.inside)), "", path.parent, known)
    if path is None:
        content = fetched(known, data_dir, progress)
    else:
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise unreadable(path, error) from error
        if len(content) > LARGEST:
            raise DataError(f"{str(path)!r} has more than {LARGEST:,} bytes. Get the right file.")
    name = known.name if path is None else path.name
    matches = ((re.fullmatch(known.inside.pattern, inner), held) for inner, held in members(content, name))
    found = {match[1]: held for match, held in matches if match}
    return _checked(found, hashlib.sha256(content).hexdigest(), path, known)


def _checked(found: dict[str, bytes], sha256: str, path: Path | None, known: KnownFile) -> dict[str, bytes]:
    """Return the files if they are the known ones; `sha256` is the hash of the archive."""
    assert known.inside is not None
    if sha256 == known.sha256:
        return found
    inside = listing({name: hashlib.sha256(held).hexdigest() for name, held in found.items()})
    if inside != known.inside.sha256:
        raise DataError(
            f"{str(path or known.name)!r} is not the right data: expected {known.expected}, found {inside} of "
            f"{len(found):,} files. Delete it (or move it away) and run again."
        )
    return found


def members(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names and bytes of the regular files in a tar (compressed or not) or a zip, in the archive's order."""
    left = LARGEST
    try:
        for inner, size, read in _zipped(content) if content[:2] == b"PK" else _tarred(content):
            left -= size
            if left < 0:
                raise DataError(f"{name} unpacks to more than {LARGEST:,} bytes. Get the right file.")
            yield inner, read()
    except (
        tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError,
    ) as error:  # fmt: skip
        raise DataError(f"{name} is a damaged archive ({one_line(error)}). Delete it and run again.") from error


_Member = tuple[str, int, Callable[[], bytes]]
"""The name of a file, its size in bytes, and a function that reads it."""


def _tarred(content: bytes) -> Iterator[_Member]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                yield member.name, member.size, file.read


def _zipped(content: bytes) -> Iterator[_Member]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, member.file_size, partial(archive.read, member)


def _below(folder: Path, inside: Inside) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an unpacked archive, with their names relative to the folder that it was unpacked into."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    for root in inside.roots:
        for here, _, names in os.walk(folder / root, onerror=refuse):
            for name in names:
                path = Path(here, name)
                match = re.fullmatch(inside.pattern, path.relative_to(folder).as_posix())
                if match and path.is_file():
                    try:
                        yield match[1], path.read_bytes()
                    except OSError as error:
                        raise unreadable(path, error) from error
