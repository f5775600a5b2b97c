"""Archives of published files, read in memory: no name inside one ever becomes a path on disk."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator

from zoo.errors import DataError, one_line

LARGEST = 2**30
"""Bytes that are unpacked of one archive, at most."""


def members(content: bytes, name: str, ending: str) -> Iterator[tuple[str, bytes]]:
    """The names and the bytes of the ordinary files in a .tar.gz whose names end so, in the archive's order."""
    left = LARGEST
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                if not member.isreg() or not member.name.endswith(ending):
                    continue
                left -= member.size
                if left < 0:
                    raise DataError(f"{name} unpacks to more than {LARGEST:,} bytes. Get the right file.")
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name} is a damaged archive ({one_line(error)}). Delete it and run again.") from error
