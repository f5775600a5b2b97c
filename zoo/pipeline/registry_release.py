"""Releases weights with the distribution of their model: in its package, and in its ``registry.yaml``."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import zoo_export
from zoo import registry
from zoo.core import files
from zoo.core.errors import NotFoundError, PluginError, TrainingError
from zoo.hub.resolve import find, run_folder
from zoo.pipeline.registry_build import RELEASES, build, write
from zoo.registry import Plugin
from zoo.release import read
from zoo.training import checkpoints
from zoo.training.run_folder import model_of


def release(
    source: str | Path,
    *,
    into: str | Path | None = None,
    checkpoint: str | None = None,
    force: bool = False,
    quiet: bool = False,
) -> tuple[Path, Path]:
    """Add a release to the distribution of its model, and update the distribution's ``registry.yaml`` and tables.

    `source` is a run folder, with `checkpoint` as in :func:`zoo.export`, or a release folder. The release is written to
    ``PACKAGE/releases/MODEL.RECIPE``, where `into` is the name or the folder of PACKAGE: it must be the one that has
    the model, which is the default. Returns that folder, and the path of the registry. Raises :class:`ZooError`, in
    which case nothing is written.
    """
    name = _name(source, checkpoint)
    plugin = registry.find(registry.split(name)[0])
    package = _package(plugin, name, into)
    recipe, recipes = registry.split(name)[1], registry.load(plugin.name).recipes
    if recipe not in recipes:
        raise registry.no_recipe(plugin.name, recipe, recipes)
    build(plugin.distribution)  # fails before anything is written
    folder = zoo_export.export(source, package / RELEASES / name, checkpoint=checkpoint, force=force, quiet=quiet)
    registry.forget()
    return folder, write(plugin.distribution)[0]


def _package(plugin: Plugin, name: str, into: str | Path | None) -> Path:
    """The folder of the package that has a model; an error if it is not `into`, or cannot hold new weights."""
    package = registry.package_folder(plugin.value)
    if package is None:
        raise NotFoundError(
            f"{plugin.distribution} has {plugin.value!r} in a single file, and releases need a folder. "
            "Turn it into a package."
        )
    top = plugin.value.partition(":")[0].partition(".")[0].strip()
    if into is not None and str(into) != top and files.expand(into).resolve() != package.resolve():
        raise PluginError(
            f"{name} is a model of {plugin.distribution}, whose package is {top} ({package}), not {str(into)!r}. "
            f"Give --into {top}"
        )
    if any(package.resolve().is_relative_to(Path(sysconfig.get_path(key)).resolve()) for key in ("purelib", "platlib")):
        raise PluginError(
            f"{package} is an installed copy, which pip replaces. Install the source tree of {plugin.distribution}: "
            "pip install -e FOLDER"
        )
    if not os.access(package, os.W_OK):
        raise PluginError(f"{package} is not writable. Change its permissions, or install a source tree of your own.")
    return package


def _name(source: str | Path, checkpoint: str | None) -> str:
    """The name ``model.recipe`` of a run folder or of a release; :class:`TrainingError` for an unfinished run."""
    run = run_folder(source)
    if run is None:
        return read(find(source)).name
    about, _, recipe, _ = model_of(run)
    held = checkpoints.read(run, "last").state
    if checkpoint is None and held.step < recipe.steps and not held.ended:
        raise TrainingError(
            f"{run} is not finished: it is at step {held.step:,} of {recipe.steps:,}. Finish it with zoo train "
            f"{about['name']} --resume -o {run}, or release what there is: --checkpoint last"
        )
    return str(about["name"])
