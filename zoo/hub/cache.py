"""The zoo's cache: releases as folders of real files, by the SHA-256 of their manifest, and where each came from.

CACHE/releases/SHA-256/             a whole release; it is renamed into place only when every file is checked
CACHE/references/ORG--NAME/COMMIT   the SHA-256 of the release at that commit; its date is that of the last use
CACHE/references/ORG--NAME/COMMIT.sig   the signature of that release, if it has one
CACHE/references/ORG--NAME/named    as JSON, the commit that each branch or tag meant when it was last asked for
CACHE/references/HASH/ORG--NAME/…   the same for another Hub: the hash is that of its HF_ENDPOINT
CACHE/releases/.NAME.….partial      what is not whole yet; sweep() removes what a killed process left
CACHE/locks/NAME                    held by the process that works on releases/NAME or a folder .NAME.….partial
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from zoo.core import files
from zoo.core.errors import HubError, ReleaseError, ZooError
from zoo.hub import reasons
from zoo.hub.cache_folder import folder as folder
from zoo.hub.cache_folder import lock_file, locked, unwritable
from zoo.hub.source import HubSource
from zoo.release import MANIFEST, Release, read

if sys.platform != "win32":
    import fcntl

NAMED, SIGNED = "named", ".sig"
DAY = 86400


def place(sha256: str) -> Path:
    """Where the release whose manifest has this SHA-256 is, or would be."""
    return folder() / "releases" / sha256


def held(sha256: str) -> Release | None:
    """The cached release with this manifest, if it is there whole: every file has the size that the manifest says.

    Its files are checked against their SHA-256 when they are opened. A release that is not whole counts as missing.
    """
    return _whole(place(sha256), sha256)


def _whole(path: Path, sha256: str) -> Release | None:
    try:
        if files.sha256(path / MANIFEST) != sha256:
            return None
        release = read(path)
        if not all((path / name).stat().st_size == size for name, size in release.sizes.items()):
            return None
    except (OSError, ReleaseError):
        return None
    return release


def reference(source: HubSource) -> str | None:
    """The SHA-256 of the manifest at a full commit, if it was downloaded before."""
    with suppress(OSError):
        found = _file(source).read_text("ascii", "replace").strip()
        if len(found) == 64 and found.isalnum():
            return found
    return None


def remember(source: HubSource, sha256: str) -> None:
    """Note what is at a full commit, and that it was used now; not in a cache that can only be read."""
    path = _file(source)
    with suppress(OSError, ZooError):
        if reference(source) == sha256:
            os.utime(path)
        else:
            files.write(path, f"{sha256}\n")


def signature(source: HubSource) -> bytes | None:
    """The signature that was downloaded for a full commit, which is not checked; None where there is none."""
    try:
        return _file(source).with_suffix(SIGNED).read_bytes()
    except OSError:
        return None


def remember_signature(source: HubSource, content: bytes | None) -> None:
    """Note the signature at a full commit, if its release is in the cache, or that there is none."""
    path = _file(source).with_suffix(SIGNED)
    with suppress(OSError, ZooError):
        if content is None:
            path.unlink(missing_ok=True)
        elif reference(source) is not None:
            files.write(path, content)


def commit_of(source: HubSource) -> tuple[str, float] | None:
    """The full commit that a branch or a tag meant when it was last asked for, and when that was."""
    entry = _named(source).get(source.revision)
    return (entry[0], entry[1]) if entry else None


def remember_name(source: HubSource, commit: str) -> None:
    """Note what a branch or a tag means now; not in a cache that can only be read."""
    with suppress(ZooError), locked(f"named-{source.repository.replace('/', '--')}"):
        files.write(
            _file(source.at(NAMED)), json.dumps({**_named(source), source.revision: (commit, time.time())}, indent=2)
        )


def _named(source: HubSource) -> dict[str, tuple[str, float]]:
    try:
        content = json.loads(_file(source.at(NAMED)).read_text("utf-8"))
        return {name: (commit, float(when)) for name, (commit, when) in content.items() if source.at(commit).is_commit}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _file(source: HubSource) -> Path:
    return _hub() / source.repository.replace("/", "--") / source.revision


def _hub() -> Path:
    """The folder of the references to this Hub: a commit of the same name on another one is something else."""
    endpoint, path = reasons.endpoint(), folder() / "references"
    return path if endpoint == reasons.PUBLIC else path / hashlib.sha256(endpoint.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Cached:
    """A release in the cache."""

    sha256: str
    name: str
    """``model.recipe``; empty for a folder that is not whole."""
    bytes: int
    downloaded: float
    """When it was downloaded, in seconds since 1970."""
    used: float
    """When it was last used."""
    sources: tuple[str, ...]
    """The commits that have it, on the Hub of HF_ENDPOINT."""
    folder: Path


def contents() -> list[Cached]:
    """Every release in the cache, the one last used first."""
    found = []
    names = _references()
    for path in _folders(folder() / "releases"):
        known = names.get(path.name, [])
        release = held(path.name)
        try:
            size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
            downloaded = path.stat().st_mtime
        except OSError:  # another process removes it now
            continue
        used = max([downloaded, *(when for _, when in known)])
        sources = tuple(source for source, _ in known if source)
        found.append(Cached(path.name, release.name if release else "", size, downloaded, used, sources, path))
    return sorted(found, key=lambda one: -one.used)


def remove(cached: Cached, say: Callable[[str], object] | None = None) -> None:
    """Delete a release of the cache, if it is still there, and the notes of where it came from.

    Waits while it is downloaded, which `say` is told. Raises :class:`HubError` where the cache cannot be written.
    """
    with locked(cached.sha256, say):
        _discard(cached.folder)
    for path in _reference_files():
        with suppress(OSError):
            if path.read_text("ascii", "replace").strip() == cached.sha256:
                path.unlink()
                path.with_suffix(SIGNED).unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder. Raises :class:`HubError` where the cache cannot be written."""
    name = uuid4().hex
    path = folder() / "releases" / f".{name}.partial"
    try:
        with locked(name):
            try:
                path.mkdir(parents=True)
            except OSError as error:
                raise unwritable(error) from error
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            (folder() / "locks" / name).unlink()


@contextmanager
def filling(sha256: str) -> Iterator[Path]:
    """A temporary folder that becomes the release of that hash if the block succeeds. Its lock is held.

    Raises :class:`HubError` where it is not whole then, or the cache cannot be written; :class:`ExistsError` where
    another process was first, which only happens where there are no locks.
    """
    path = place(sha256)
    if sys.platform != "win32":  # with the lock, so whoever had one of these is dead
        for left in path.parent.glob(f".{sha256}.*"):
            _delete(left)
    if os.path.lexists(path):  # a link that leads nowhere, too
        _discard(path)
    with files.new_folder(path, force=False) as partial:
        yield partial
        if _whole(partial, sha256) is None:
            raise HubError(f"Another process removed files of this download in {folder()}. Try again.")


def _discard(path: Path) -> None:
    """Remove a folder of the cache at once, so that nobody sees half of it; its lock is held."""
    away = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        os.replace(path, away)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(error) from error
    _delete(away)


def _delete(path: Path) -> None:
    """Remove a folder, or what is in the place of one, as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sweep() -> None:
    """Remove what killed downloads left: folders whose lock nobody holds. Without locks (Windows), those of a day."""
    for left in (folder() / "releases").glob(".*.*"):
        name = left.name[1:].partition(".")[0]
        with suppress(OSError), lock_file(name) as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif left.stat().st_mtime > time.time() - DAY:
                continue
            _delete(left)
            if len(name) != 64:  # that of a scratch folder, whose name nobody uses again
                (folder() / "locks" / name).unlink()


def sha256_of(release: Release) -> str:
    """The SHA-256 of the manifest of a release, by which the cache and registries know it."""
    return files.sha256(release.folder / MANIFEST)


def _references() -> dict[str, list[tuple[str, float]]]:
    """By SHA-256: each reference to it as a SOURCE ("" for that of another Hub), with the date of its last use."""
    found: dict[str, list[tuple[str, float]]] = {}
    for path in _reference_files():
        source = HubSource(path.parent.name.replace("--", "/", 1), path.name)
        name = str(source) if path.parent.parent == _hub() else ""
        with suppress(OSError):
            found.setdefault(path.read_text("ascii", "replace").strip(), []).append((name, path.stat().st_mtime))
    return found


def _reference_files() -> list[Path]:
    found = (Path(where, name) for where, _, names in os.walk(folder() / "references") for name in names)
    return sorted(path for path in found if len(path.name) == 40)


def _folders(path: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    return []
