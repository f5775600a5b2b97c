"""Brings a release into the zoo's cache: its manifest first, then only what that names, each file checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from zoo.core import files
from zoo.core.errors import ExistsError, HubError, NotFoundError, ReleaseError, ZooError
from zoo.core.progress import TransferReport
from zoo.hub import cache, client, reasons, signature_files
from zoo.hub.cache_folder import locked
from zoo.hub.download import CutError, Progress
from zoo.hub.origins import HubFiles, Mirror, Origin
from zoo.hub.source import HubSource, Pin
from zoo.release import MANIFEST, Release, graph_check, read, verify
from zoo.release.manifest import LARGEST

QUICK = 0.4
"""Seconds to wait for an answer without which a release in the cache will do."""

PAUSE = 30.0
"""Seconds for which a Hub that did not answer is not asked again in this process, if the cache will do."""

_SILENT: dict[tuple[str, HubSource], float] = {}
"""By Hub and source: until when it is not asked about."""

MOST_FILES = 1000
"""The number of files of a release, at most."""


def pull(source: HubSource, report: TransferReport, *, ask: bool = False) -> Release:
    """Return the release at a source, from the cache or else downloaded into it.

    A full commit that the cache has needs no network. For a branch or a tag the Hub is asked; where it does not answer
    soon and the cache has what the name meant last, that is taken and said. With `ask` the Hub is given more time, and
    every file of a cached release is checked again. Raises :class:`NotFoundError`, :class:`HubError`, or
    :class:`ReleaseError` for content that is not what its manifest says: nothing of it is kept.
    """
    held = cached(source)
    meant, when = (source.revision, 0.0) if source.is_commit else cache.commit_of(source) or ("", 0.0)
    key = reasons.endpoint(), source
    is_silent = time.monotonic() < _SILENT.get(key, 0)  # as was said; who loads often would never ask again
    if held is not None and (source.is_commit or is_silent) and not (ask and _is_damaged(held)):
        cache.remember(source.at(meant), held.folder.name)
        if ask:
            _fetch_signature(source.at(meant), QUICK)
        return held
    try:
        found = client.resolve(source, MANIFEST, client.PATIENCE if held is None or ask else QUICK)
    except NotFoundError as error:
        if held is None:
            raise
        raise NotFoundError(f"{error} The cache has it as it was: {source.at(meant)}") from error
    except HubError as error:
        if held is None or (ask and _is_damaged(held)):
            raise HubError(f"{source} is not in the cache{'' if held is None else ' undamaged'}. {error}") from error
        _SILENT[key] = time.monotonic() + PAUSE
        as_it_was = f", as it was on {time.strftime('%Y-%m-%d', time.localtime(when))}, at commit {meant}"
        report.say(f"{source} is taken from the cache{'' if source.is_commit else as_it_was}. {error}")
        cache.remember(source.at(meant), held.folder.name)
        return held
    commit, pinned = found.commit, source.at(found.commit)
    if found.repository.lower() != source.repository.lower():
        report.say(f"{source.repository} was renamed, and is {found.repository} now.")
    if not source.is_commit:
        before = cache.commit_of(source)
        moved = f" It was {before[0]}, which stays {source.at(before[0])}." if before and before[0] != commit else ""
        report.say(f"{source} is commit {commit}.{moved}")
        cache.remember_name(source, commit)
    held = cached(pinned)
    fresh = held is None or (ask and _is_damaged(held))
    if held is None or fresh:
        held = _into_cache(HubFiles(pinned, found.bytes), None, report)
    cache.remember(pinned, held.folder.name)
    if fresh or ask:
        _fetch_signature(pinned)
    return held


def pull_pinned(pin: Pin, report: TransferReport, *, ask: bool = False) -> Release:
    """Return the release that a registry pins: from the cache, the Hub or a mirror, whichever has it first.

    Whatever does not have the SHA-256 of the registry is refused, so a mirror need not be trusted. With `ask` every
    file of a cached release is checked again. Raises :class:`NotFoundError` where nothing says where it is, and
    :class:`HubError` or :class:`ReleaseError` with the reason of each place that failed.
    """
    release = cache.held(pin.sha256)
    if release is None or (ask and _is_damaged(release)):
        release = _from_origins(pin, report)
    if pin.source is not None:
        cache.remember(pin.source, pin.sha256)
    return release


def _fetch_signature(source: HubSource, patience: float = client.PATIENCE) -> None:
    """Bring the signature at a full commit into the cache, if it has one and the Hub gives it now."""
    with suppress(HubError, NotFoundError, ReleaseError):  # who checks it asks again, and gets the reason
        signature_files.fetch(source, afresh=True, patience=patience)


def cached(source: HubSource) -> Release | None:
    """The release at a full commit, or at what a branch or a tag meant last, if the cache has it. Asks nobody."""
    if not source.is_commit:
        last = cache.commit_of(source)
        return cached(source.at(last[0])) if last else None
    sha256 = cache.reference(source)
    return cache.held(sha256) if sha256 else None


def _is_damaged(release: Release) -> bool:
    try:
        verify(release)
    except (ReleaseError, OSError):  # the latter where another process removes it now
        return True
    return False


def nowhere(pin: Pin) -> NotFoundError:
    """The error for weights that are not installed, if nothing says where else they are."""
    return NotFoundError(
        f"The weights of {pin.name!r} are not installed, and its registry.yaml names no repository on the Hub. "
        "Install the package again."
    )


def _from_origins(pin: Pin, report: TransferReport) -> Release:
    failures: list[ZooError] = []
    origins: list[Origin] = []
    mirror = os.environ.get("ZOO_MIRROR")
    patience = client.PATIENCE / 2 if mirror and pin.source else client.PATIENCE  # for both, no more than for one
    if pin.source is not None:
        origins.append(HubFiles(pin.source, patience=patience))
    if mirror:
        origins.append(Mirror(mirror, pin.sha256, patience))
    for origin in origins:
        try:
            report.say(f"The weights of {pin.name} come from {origin}.")
            release = _into_cache(origin, pin.sha256, report)
            if pin.source is not None and isinstance(origin, HubFiles):
                cache.remember(pin.source, pin.sha256)
                _fetch_signature(pin.source)
            return release
        except (HubError, NotFoundError, ReleaseError) as error:
            failures.append(error)
    if not failures:
        raise nowhere(pin)
    text = " ".join(f"T{text[1:]}" if text.startswith("the ") else text for text in map(str, failures))
    kind = ReleaseError if any(isinstance(error, ReleaseError) for error in failures) else HubError
    raise kind(f"The weights of {pin.name} could not be fetched. {text}") from failures[-1]


def _into_cache(origin: Origin, sha256: str | None, report: TransferReport) -> Release:
    """Download a release into the cache, unless that has it; `sha256` is what its manifest must have."""
    cache.sweep()
    with cache.scratch() as folder:
        fetch_manifest(origin, folder, sha256)
        manifest = (folder / MANIFEST).read_bytes()
    found = hashlib.sha256(manifest).hexdigest()
    with locked(found, report.say):
        held = cache.held(found)
        if held is not None and not _is_damaged(held):  # another process was first
            return held
        try:
            with cache.filling(found) as folder:
                files.write(folder / MANIFEST, manifest)
                _fill(origin, folder, report.progress)
        except ExistsError:  # another process was first, where there are no locks
            held = cache.held(found)
            if held is None or _is_damaged(held):
                raise
            return held
        return read(cache.place(found))


def fetch_manifest(origin: Origin, folder: Path, sha256: str | None) -> None:
    """Download the manifest into a folder, and check it against a hash, or else by its own seal.

    Raises what :func:`pull` raises.
    """
    size = (origin.sizes([MANIFEST]) or {}).get(MANIFEST)
    _fetch(origin, MANIFEST, folder, sha256=sha256, size=size, most=LARGEST)
    try:
        read(folder)
    except ReleaseError:
        if sha256 is None:
            _fetch(origin, MANIFEST, folder, sha256=None, size=size, most=LARGEST, afresh=True)
    try:
        read(folder)
    except ReleaseError as error:
        raise ReleaseError(str(error).replace(f"{folder / MANIFEST}", f"{origin}: {MANIFEST}")) from error


def _fill(origin: Origin, folder: Path, progress: Progress) -> None:
    """Download what the manifest in a folder names, and check it."""
    release = read(folder)
    sizes, total = release.sizes, sum(release.sizes.values())
    if len(sizes) > MOST_FILES:
        raise ReleaseError(f"{origin} names {len(sizes):,} files; a release has at most {MOST_FILES:,}.")
    if negative := next((name for name, size in sizes.items() if size < 0), None):
        raise ReleaseError(f"{origin}: {negative} is of {sizes[negative]} bytes by its manifest. Ask its publisher.")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise HubError(
            f"{origin} has {total:,} bytes, and {cache.folder()} has room for {free:,}. Run zoo cache prune, or choose "
            "another folder with ZOO_CACHE_DIR."
        )
    there = origin.sizes(list(sizes))
    for name, size in sizes.items():
        if there is not None and there.get(name) != size:
            has = f"has {there[name]:,} bytes" if name in there else "is not there"
            raise ReleaseError(
                f"{origin}: {name} {has}, and its manifest says {size:,} bytes. Nothing was kept. Ask its publisher."
            )
    done = 0
    for name, size in sizes.items():

        def received(part: int, _of: int | None, _name: str, before: int = done) -> None:
            progress(min(before + part, total), total, release.name)

        _fetch(origin, name, folder, sha256=release.files[name], size=size, most=size, progress=received)
        done += size
    try:
        graph_check.check_release(release)
    except ReleaseError as error:
        raise ReleaseError(f"{str(error).replace(f'{folder}{os.sep}', f'{origin}: ')} Nothing was kept.") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _fetch(
    origin: Origin,
    name: str,
    folder: Path,
    *,
    sha256: str | None,
    size: int | None,
    most: int,
    afresh: bool = False,
    progress: Progress | None = None,
) -> None:
    """Download a file and check it; what is wrong or was cut is downloaded once more."""
    if size is not None and size > most:
        raise ReleaseError(f"{origin}: {name} has {size:,} bytes, and at most {most:,} are allowed. Nothing was kept.")
    found = ""
    for attempt in (1, 2):
        try:
            origin.fetch(name, folder, most, afresh, progress)
        except CutError as error:
            if attempt == 2:
                raise
            time.sleep(error.wait)
            continue  # where it stopped
        found, afresh = files.sha256(folder / name), True
        if sha256 in (None, found):
            return
    raise ReleaseError(
        f"{origin}: {name} is damaged or altered: expected SHA-256 {sha256}, found {found}, twice. Nothing was kept. "
        "Ask its publisher, or try another network."
    )
