"""Finds the release folder of a SOURCE: a released name, a run folder, a release folder, or ``hub:ORG/NAME``."""

from __future__ import annotations

import os
from pathlib import Path

from zoo import registry
from zoo.core import files
from zoo.core.errors import NotFoundError, ReleaseError, ZooError
from zoo.core.progress import TransferReport
from zoo.hub import community
from zoo.hub.source import PREFIX, HubSource, Pin, is_hub, parse, resembles
from zoo.release import MANIFEST

RELEASE = "release"
"""The release inside a run folder."""

RECIPE = "recipe.json"
"""The file by which a run folder is recognised."""


def is_path(source: str | Path) -> bool:
    """Return whether a SOURCE is a path: it has a separator, a leading dot or ~, or is a folder and not a model."""
    if is_hub(source):
        return False
    if not str(source):
        return True
    if isinstance(source, Path) or any(mark in source for mark in (os.sep, "/")) or source.startswith((".", "~")):
        return True
    model, _ = registry.split(source)
    return os.path.isdir(source) and model not in registry.plugins() and not community.is_listed(source)


def spelt(source: str | Path) -> str:
    """Return a SOURCE as equivalent text: a :class:`~pathlib.Path` gets a separator, because it is not a name."""
    if isinstance(source, str):
        return source
    path = files.expand(source)
    return str(path) if len(path.parts) > 1 else os.path.join(os.curdir, path)


def run_folder(source: str | Path) -> Path | None:
    """Return the folder of a SOURCE that is a run; None for any other SOURCE."""
    if not is_path(source) or not str(source):
        return None
    path = files.expand(source)
    return path if os.path.isfile(path / RECIPE) else None


def find(source: str | Path, *, network: bool = True) -> Path:
    """Return the release folder of a SOURCE. Raises :class:`NotFoundError` if there is none.

    Weights released under a name are checked against the hash in the registry of their distribution, or in the list
    of reviewed releases. Those that are not installed, and sources on the Hub, are downloaded into the cache (see
    :func:`zoo.hub.pull.pull`); without `network` they must be there.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise NotFoundError(f"SOURCE is {source!r}. Give a released name, or the path of a run or a release folder.")
    if not is_path(source):
        return fetched(str(source)) if network else local(str(source))
    if not str(source):
        raise NotFoundError("SOURCE is empty. Give a released name, a run folder or a release folder.")
    path = files.expand(source)
    if not os.path.lexists(path) and (there := resembles(str(source))):
        raise NotFoundError(f"SOURCE {str(source)!r} does not exist. Check the path; for the Hub, write {there}")
    files.existing(path, "SOURCE")
    if (path / MANIFEST).is_file():
        return path
    if (path / RELEASE / MANIFEST).is_file():
        return path / RELEASE
    if (path / RECIPE).is_file():
        raise NotFoundError(
            f"The run {path} has no release yet. Finish it (zoo train … --resume), or run: zoo export {path} -o DIR"
        )
    if (path / "model" / MANIFEST).is_file():  # what zoo export --format web writes
        raise NotFoundError(f"{path} is a web page, and its release is in {path / 'model'}. Give that folder.")
    raise NotFoundError(f"{path} is neither a run folder nor a release folder: it has no {RECIPE} and no {MANIFEST}.")


def fetched(source: str, *, ask: bool = False, quiet: bool = False) -> Path:
    """Return the release folder of a released name or of ``hub:ORG/NAME[@REVISION]``, downloaded if need be.

    With `ask` the Hub is asked what a revision means now, and what is cached is checked. Errors as :func:`find`.
    """
    from zoo.hub import pull

    report = TransferReport.on_stderr(quiet)
    if is_hub(source):
        return pull.pull(parse(source), report, ask=ask).folder
    folder, pin = _installed(source)
    return folder or pull.pull_pinned(pin, report, ask=ask).folder


def local(source: str) -> Path:
    """The same without the network. Raises :class:`NotFoundError` for what is neither installed nor in the cache."""
    from zoo.hub import cache, pull

    if is_hub(source):
        held = pull.cached(parse(source))
    else:
        folder, pin = _installed(source)
        if folder is not None:
            return folder
        held = cache.held(pin.sha256)
        if held is None and pin.source is None:
            raise pull.nowhere(pin)
    if held is None:
        raise NotFoundError(f"{source} is not on this machine. Run: zoo pull {source}")
    return held.folder


def on_hub(source: str | Path) -> HubSource | None:
    """The repository and the full commit of a SOURCE whose release was downloaded from the Hub; None for others."""
    from zoo.hub import cache

    if is_path(source):
        return None
    if is_hub(source):
        asked = parse(str(source))
        last = None if asked.is_commit else cache.commit_of(asked)
        return asked.at(last[0]) if last else asked
    folder, pin = _installed(str(source))
    return pin.source if folder is None else None


def lost(source: str) -> str:
    """Return why the release of a SOURCE cannot be had, or "". Nothing is downloaded, and what is on the Hub is not
    lost. The manifest of what is here is checked against its hash."""
    try:
        if on_hub(source) is None:
            find(source, network=False)
    except ZooError as error:
        return str(error)
    return ""


def pin_of(source: str | Path) -> Pin | None:
    """What a registry, or the list of reviewed releases, pins for a released name; None for any other SOURCE."""
    return None if is_path(source) or is_hub(source) else _installed(str(source))[1]


def _installed(name: str) -> tuple[Path | None, Pin]:
    """The folder of a released name, checked, or None where its weights are not installed; and what pins them.

    That is the registry of the distribution that has the model, or else the list of reviewed releases.
    """
    if (reviewed := community.find(name)) is not None:
        return None, reviewed.pin
    try:
        folder, entry = registry.released_folder(name)
    except NotFoundError as error:
        if os.path.isdir(name):
            raise NotFoundError(
                f"No weights are released under {name!r}. For the folder of that name, write ./{name}."
            ) from error
        raise
    sha256, hub = entry["manifest_sha256"], entry.get("hub")
    pin = Pin(name, sha256)
    if hub:
        source = parse(f"{PREFIX}{hub['repository']}@{hub['revision']}")
        pin = Pin(name, sha256, source, hub.get("signer", ""))
    if folder is None or not (folder / MANIFEST).is_file():
        return None, pin
    found = files.sha256(folder / MANIFEST)
    if found != sha256:
        raise ReleaseError(
            f"{folder / MANIFEST} is altered: expected SHA-256 {sha256}, found {found}. Install the package again."
        )
    return folder, pin
