"""Downloads of known files: resumable, checked and atomic.

Bytes are written to FILE.part, which is renamed to FILE only if its SHA-256 is right. The writing process holds a lock
on FILE.part, which the system releases when the process ends. A process that finds FILE.part locked (or has no such
locks: Windows) writes its own part file, which is not kept for resuming. So two processes never write to the same part
file, and no process waits.
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

from zoo.contract.data import KnownFile
from zoo.core.errors import DataError, one_line, unreadable
from zoo.data.known_file import Progress, unpack
from zoo.data.where import locate

if sys.platform != "win32":
    import fcntl

CHUNK = 1 << 16


class _Failed(Exception):
    """An attempt failed. `then` says what follows: the next address, or this one again.

    "again" counts as one of the tries of this address; "afresh" does not.
    """

    def __init__(self, reason: str, then: Literal["next", "again", "afresh"]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.then = then


@dataclass(frozen=True)
class _Part:
    path: Path
    file: BinaryIO
    locked: bool
    """Whether this is FILE.part; otherwise it is a part file of this process alone."""


def obtain(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """Return the unpacked bytes of a known file (not an archive), from the data folder or else from the network."""
    path = locate(known, data_dir)
    return fetched(known, data_dir, progress) if path is None else _checked(path, known)


def fetched(known: KnownFile, data_dir: Path, progress: Progress | None = None) -> bytes:
    """Download a known file and return its unpacked bytes; an archive is returned as it is."""
    folder = data_dir / known.folders[0]
    if not known.addresses:
        raise DataError(
            f"{known.name} is missing and cannot be downloaded: no URL has exactly this file, with {known.expected}. "
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

    If the connection breaks, the address is tried up to `tries` times, with `pause` seconds before the second try and
    twice that before the third. `timeout` limits each wait on the network, in seconds.
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
    cause = next((failure for failure in failures if known.sha256 in failure), failures[0])
    more = f" or {len(failures) - 1} more addresses" if len(failures) > 1 else ""
    raise DataError(
        f"{known.name} is missing and could not be downloaded from {cause}{more}. "
        f"Put {known.name} into {folder}, or set ZOO_DATA_DIR to a data folder that has it."
    )


def _checked(path: Path, known: KnownFile) -> bytes:
    try:
        with open(path, "rb") as file:  # a browser may have unpacked the file and kept its name
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
                "afresh" if resumed else "next",  # a resumed part may have belonged to another file
            )
        with _writing(final):
            os.fsync(part.file.fileno())
            if not part.locked:
                part.file.close()  # Windows cannot rename an open file
            os.replace(part.path, final)
        return content


def _receive(address: str, known: KnownFile, part: _Part, timeout: float, progress: Progress | None) -> bool:
    """Download the missing bytes of a part. Return whether an earlier part was continued."""
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
        if error.code == 416 and start:  # the server has no more bytes: the part may be complete
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
    """Open the part of a file for appending. Afterwards it is kept only if a later download can resume it."""
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
            part.path.unlink(missing_ok=True)  # while the lock is held, so no other process uses it
        part.file.close()
        if not renamed and not part.locked:
            part.path.unlink(missing_ok=True)
        with suppress(OSError):  # a failed download leaves no empty folders
            for place in made:
                place.rmdir()


def _shared(final: Path) -> _Part | None:
    """Open and lock FILE.part; None if another process has locked it."""
    if sys.platform == "win32":
        return None
    path = final.with_name(f"{final.name}.part")
    file = open(path, "ab")  # noqa: SIM115  (closed by _part)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # not renamed or removed before the lock was taken
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
