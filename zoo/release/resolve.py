"""Finds the release folder of a SOURCE: a released name, a run folder or a release folder."""

from __future__ import annotations

import os
from pathlib import Path

from zoo import registry
from zoo.core import files
from zoo.core.errors import NotFoundError, ReleaseError
from zoo.release import MANIFEST

RELEASE = "release"
"""The release inside a run folder."""

RECIPE = "recipe.json"
"""The file by which a run folder is recognised."""


def is_path(source: str | Path) -> bool:
    """Return whether a SOURCE is a path: it has a separator, a leading dot or ~, or is a folder and not a model."""
    if isinstance(source, str) and source.startswith("hub:"):
        return False
    if not str(source):
        return True
    if isinstance(source, Path) or any(mark in source for mark in (os.sep, "/")) or source.startswith((".", "~")):
        return True
    model, _ = registry.split(source)
    return os.path.isdir(source) and model not in registry.plugins()


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


def find(source: str | Path) -> Path:
    """Return the release folder of a SOURCE. Raises :class:`NotFoundError` if there is none.

    Weights released under a name are checked against the hash in the registry of their distribution.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise NotFoundError(f"SOURCE is {source!r}. Give a released name, or the path of a run or a release folder.")
    if not is_path(source):
        name = str(source)
        if name.startswith("hub:"):
            raise NotFoundError(
                f"{name!r} cannot be loaded by this version of zoo. Download the release and give its folder."
            )
        try:
            folder, entry = registry.released_folder(name)
        except NotFoundError as error:
            if os.path.isdir(name):
                raise NotFoundError(
                    f"No weights are released under {name!r}. For the folder of that name, write ./{name}."
                ) from error
            raise
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise NotFoundError(
                f"The weights of {name!r} should be in {folder}, which has no {MANIFEST}. Install the package again."
            )
        found = files.sha256(manifest)
        if found != entry["manifest_sha256"]:
            raise ReleaseError(
                f"{manifest} is altered: expected SHA-256 {entry['manifest_sha256']}, found {found}. "
                "Install the package again."
            )
        return folder
    if not str(source):
        raise NotFoundError("SOURCE is empty. Give a released name, a run folder or a release folder.")
    path = files.existing(files.expand(source), "SOURCE")
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
