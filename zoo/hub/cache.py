"""The zoo's cache: releases as folders of real files, by the SHA-256 of their manifest, and where each came from.

CACHE/releases/SHA-256/             a whole release; it is renamed into place only when every file is checked
CACHE/references/ORG--NAME/COMMIT   the SHA-256 of the release at that commit; its date is that of the last use
CACHE/references/ORG--NAME/named    as JSON, the commit that each branch or tag meant when it was last asked for
CACHE/locks/SHA-256                 held by the process that downloads this release
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from zoo.core import files
from zoo.core.errors import HubError, ReleaseError
from zoo.hub.source import HubSource
from zoo.release import MANIFEST, Release, read

if sys.platform != "win32":
    import fcntl

NAMED = "named"


def folder() -> Path:
    """The folder of the cache. Nothing is created.

    ``ZOO_CACHE_DIR``; else ``zoo`` beside the Hub's own cache, where ``HF_HOME`` or ``HF_HUB_CACHE`` moves that; else
    ``zoo`` in the user's cache folder (``XDG_CACHE_HOME``).
    """
    if own := os.environ.get("ZOO_CACHE_DIR"):
        return files.expand(own)
    if moved := os.environ.get("HF_HUB_CACHE"):
        return files.expand(moved).parent / "zoo"
    if home := os.environ.get("HF_HOME"):
        return files.expand(home) / "zoo"
    return files.user_cache()


def place(sha256: str) -> Path:
    """Where the release whose manifest has this SHA-256 is, or would be."""
    return folder() / "releases" / sha256


def held(sha256: str) -> Release | None:
    """The cached release with this manifest, if it is there whole: every file has the size that the manifest says.

    Its files are checked against their SHA-256 when they are opened. A release that is not whole counts as missing.
    """
    path = place(sha256)
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
    """Note what is at a full commit, and that it was used now."""
    path = _file(source)
    try:
        if reference(source) == sha256:
            os.utime(path)
        else:
            files.write(path, f"{sha256}\n")
    except OSError:  # a cache that others own can be read
        pass


def commit_of(source: HubSource) -> tuple[str, float] | None:
    """The full commit that a branch or a tag meant when it was last asked for, and when that was."""
    entry = _named(source).get(source.revision)
    return (entry[0], entry[1]) if entry else None


def remember_name(source: HubSource, commit: str) -> None:
    """Note what a branch or a tag means now."""
    with locked(f"named-{source.repository.replace('/', '--')}"):
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
    return folder() / "references" / source.repository.replace("/", "--") / source.revision


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the cache, which the system releases when this process ends; wait for another that holds it.

    Raises :class:`HubError` where the cache cannot be written. Windows has no such locks: there, each process works on
    its own.
    """
    path = folder() / "locks" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise unwritable(error) from error
    try:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        file.close()


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
    """The Hub's commits that have it."""
    folder: Path


def contents() -> list[Cached]:
    """Every release in the cache, the one last used first."""
    found = []
    names = _references()
    for path in _folders(folder() / "releases"):
        known = names.get(path.name, [])
        release = held(path.name)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        downloaded = path.stat().st_mtime
        used = max([downloaded, *(when for _, when in known)])
        sources = tuple(source for source, _ in known)
        found.append(Cached(path.name, release.name if release else "", size, downloaded, used, sources, path))
    return sorted(found, key=lambda one: -one.used)


def remove(cached: Cached) -> None:
    """Delete a release of the cache, and the notes of where it came from."""
    with locked(cached.sha256):
        discard(cached.folder)
    for path in _reference_files():
        if path.read_text("ascii", "replace").strip() == cached.sha256:
            path.unlink(missing_ok=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder. That of a killed process is removed by :func:`sweep`."""
    path = folder() / "releases" / f".{uuid4().hex}.{os.getpid()}.partial"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise unwritable(error) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def filling(sha256: str) -> Iterator[Path]:
    """A temporary folder that becomes the release of that hash if the block succeeds. Its lock is held."""
    path = place(sha256)
    if sys.platform != "win32":  # with the lock, so whoever had one of these is dead
        for left in path.parent.glob(f".{sha256}.*"):
            shutil.rmtree(left, ignore_errors=True)
    if path.exists():
        discard(path)
    with files.new_folder(path, force=False) as partial:
        yield partial


def discard(path: Path) -> None:
    """Remove a folder of the cache at once, so that nobody sees half of it; its lock is held."""
    away = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        os.replace(path, away)
    except OSError as error:
        raise unwritable(error) from error
    shutil.rmtree(away, ignore_errors=True)


def sweep() -> None:
    """Remove what killed downloads left."""
    files.sweep(folder() / "releases")


def unwritable(error: OSError) -> HubError:
    """The error for a cache that this process may not write, or has no room in."""
    return HubError(
        f"The cache {folder()} cannot be written: {error.strerror or error}. Choose another with ZOO_CACHE_DIR."
    )


def sha256_of(release: Release) -> str:
    """The SHA-256 of the manifest of a release, by which the cache and registries know it."""
    return files.sha256(release.folder / MANIFEST)


def _references() -> dict[str, list[tuple[str, float]]]:
    """By SHA-256: each reference to it as a SOURCE, with the date of its last use."""
    found: dict[str, list[tuple[str, float]]] = {}
    for path in _reference_files():
        source = HubSource(path.parent.name.replace("--", "/", 1), path.name)
        with suppress(OSError):
            found.setdefault(path.read_text("ascii", "replace").strip(), []).append((str(source), path.stat().st_mtime))
    return found


def _reference_files() -> list[Path]:
    repositories = _folders(folder() / "references")
    return [path for one in repositories for path in sorted(one.iterdir()) if path.name != NAMED and path.is_file()]


def _folders(path: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    return []
