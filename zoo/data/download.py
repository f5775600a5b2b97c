"""Downloads of known files: resumed where they stopped, checked, and there whole or not at all.

Bytes go to FILE.part, and only a part with the right SHA-256 is renamed to FILE. Who writes FILE.part holds a lock on
it, which the system lifts when the process ends, however it ends. Who finds it locked (or has no such locks: Windows)
writes a part of its own, which is not kept for resuming. So no two ever write one part, and nobody waits.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from zoo.core.errors import DataError, one_line, unreadable
from zoo.data.known_file import KnownFile, Progress, locate, unpack

if sys.platform != "win32":
    import fcntl

CHUNK = 1 << 16


class _Failed(Exception):
    """A try failed. Go on with the next address, or with this one: again (a try is used up) or anew (none is)."""

    def __init__(self, reason: str, then: Literal["next", "again", "anew"]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.then = then


@dataclass(frozen=True)
class _Part:
    path: Path
    file: BinaryIO
    locked: bool
    """It is FILE.part; otherwise it is one that only we know of."""


def obtain(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """The unpacked bytes of a known file that is no archive, from the data folder or else from the net."""
    path = locate(known, data_dir)
    return fetched(known, data_dir, progress) if path is None else _checked(path, known)


def fetched(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """The unpacked bytes of a known file that is not there, from the net; an archive's are its own."""
    folder = data_dir / known.folders[0]
    if not known.addresses:
        raise DataError(
            f"{known.name} is not there, and no address gives exactly that file, which has {known.expected}. "
            f"Put {known.name} into {folder}, or set ZOO_DATA_DIR to a data folder that has it. {known.note}".rstrip()
        )

    return fetch(known, folder, progress)


def fetch(
    known: KnownFile,
    folder: Path,
    progress: Progress | None = None,
    *,
    tries: int = 3,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> bytes:
    """Download a known file into `folder` and return its unpacked bytes.

    An address whose connection is cut gets `tries` tries, with `pause` seconds before the second, twice that before the
    third; `timeout` is for each wait on the net, in seconds.
    """
    failures: list[str] = []
    for address in known.addresses:
        failed = 0
        while True:
            try:
                return _attempt(address, known, folder / known.name, timeout, progress)
            except _Failed as error:
                failed += error.then == "again"
                if error.then == "next" or failed == tries:
                    failures.append(f"{address} ({error.reason})")
                    break
                if error.then == "again":
                    time.sleep(pause * failed)
    told = next((failure for failure in failures if known.sha256 in failure), failures[0])
    more = f" or {len(failures) - 1} more addresses" if len(failures) > 1 else ""
    raise DataError(
        f"{known.name} is not there and could not be downloaded from {told}{more}. "
        f"Put {known.name} into {folder}, or set ZOO_DATA_DIR to a data folder that has it."
    )


def _checked(path: Path, known: KnownFile) -> bytes:
    try:
        with open(path, "rb") as file:  # a browser may have unpacked it, and kept the name
            packed = known.packed and file.read(2) == b"\x1f\x8b"
        content, found = unpack(path, known, packed)
    except OSError as error:
        raise unreadable(path, error) from error
    if found != known.sha256:
        raise DataError(
            f"{str(path)!r} is not the right file: expected {known.expected}, found {found}. "
            "Delete it (or move it away) and run again."
        )
    return content


def _attempt(address: str, known: KnownFile, final: Path, timeout: float, progress: Progress | None) -> bytes:
    with _part(final) as part:
        resumed = _receive(address, known, part, timeout, progress)
        content, found = unpack(part.path, known, known.packed)
        if found != known.sha256:
            part.file.truncate(0)
            raise _Failed(
                f"not the right file: expected {known.expected}, found {found}",
                "anew" if resumed else "next",  # what was resumed may have been the part of another file
            )
        with _writing(final):
            os.fsync(part.file.fileno())
            if not part.locked:
                part.file.close()  # Windows renames no open file
            os.replace(part.path, final)
        return content


def _receive(address: str, known: KnownFile, part: _Part, timeout: float, progress: Progress | None) -> bool:
    """Get what the part lacks. Whether it is the continuation of an earlier part."""
    start = part.file.seek(0, os.SEEK_END)
    request = Request(address, headers={"User-Agent": "genzoo"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urlopen(request, timeout=timeout) as response:
            if response.status == 200:
                start = 0
                part.file.truncate(0)
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.file.truncate(0)
                raise _Failed(f"HTTP {response.status} with other bytes than asked for", "again")
            _append(response, start, known.most, known.name, part, progress)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # it has no more than we have: perhaps all is there
            return True
        raise _Failed(f"HTTP {error.code}", "again" if error.code >= 500 or error.code == 429 else "next") from error
    except URLError as error:
        raise _Failed(" ".join(str(error.reason).split()), "next") from error
    except (OSError, HTTPException) as error:
        raise _Failed(one_line(error), "again") from error
    return start > 0


def _append(response: HTTPResponse, done: int, limit: int, name: str, part: _Part, progress: Progress | None) -> None:
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() and len(length) < 20 else None
    while chunk := response.read1(CHUNK):
        done += len(chunk)
        if done > limit:
            part.file.truncate(0)
            raise _Failed(f"not the right file: it has more than {limit:,} bytes", "next")
        with _writing(part.path):
            part.file.write(chunk)
            part.file.flush()
        if progress:
            progress(done, total, name)
    if total is not None and done < total:
        raise _Failed(f"cut after {done:,} of {total:,} bytes", "again")


@contextmanager
def _part(final: Path) -> Iterator[_Part]:
    """The part of a file, open for appending; afterwards it is kept only where that helps to resume."""
    made = [place for place in final.parents if not place.exists()]
    with _writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        part = _shared(final) or _own(final)
    try:
        yield part
        renamed = True
    except BaseException:
        renamed = False
        raise
    finally:
        useless = not renamed and part.locked and os.fstat(part.file.fileno()).st_size == 0
        if useless:
            part.path.unlink(missing_ok=True)  # while it is locked, so that it is nobody else's
        part.file.close()
        if not renamed and not part.locked:
            part.path.unlink(missing_ok=True)
        with suppress(OSError):  # what failed leaves no empty folders
            for place in made:
                place.rmdir()


def _shared(final: Path) -> _Part | None:
    """FILE.part, locked; None where somebody else has it."""
    if sys.platform == "win32":
        return None
    path = final.with_name(f"{final.name}.part")
    file = open(path, "ab")  # noqa: SIM115  (closed by _part)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # not renamed or removed before we had the lock
            return _Part(path, file, locked=True)
    file.close()
    return None


def _own(final: Path) -> _Part:
    path = final.with_name(f"{final.name}.{uuid4().hex}.part")
    return _Part(path, open(path, "xb"), locked=False)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{str(path)!r} could not be written: {error.strerror or error}. Choose a data folder with ZOO_DATA_DIR."
        ) from error
