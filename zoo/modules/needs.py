"""The released models that a model is built with: found by name, and described in runs and releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo import registry
from zoo.contract import typed
from zoo.contract.spec_json import sample_to_json
from zoo.core import files
from zoo.core.errors import ZooError
from zoo.hub.resolve import find
from zoo.plugin import Model, Recipe
from zoo.release import MANIFEST, Release, read

NEEDED = "zoo_needed"
"""The attribute of a module that is a needed release, with its name."""


def needed(model: Model, recipe: Recipe, name: str) -> dict[str, Release]:
    """The releases that ``model.recipe`` needs, by argument of `build`; each manifest is checked against its hash.

    Raises :class:`PluginError` for one that is not there.
    """
    found = {}
    for key, source in sources(model, recipe, name).items():
        try:
            found[key] = read(find(source))
        except ZooError as error:
            why = f"{name} needs the release {source!r} as {key!r}: {error}"
            raise registry.fault(registry.split(name)[0], why, _subject(model)) from error
    return found


def sources(model: Model, recipe: Recipe, name: str) -> Mapping[str, str]:
    """The SOURCE of each release that ``model.recipe`` needs, by argument of `build`. None is looked for.

    Raises :class:`PluginError` where the plugin does not give such names.
    """
    plugin, subject = registry.split(name)[0], _subject(model)
    with registry.calling(plugin, "the function of the releases that it needs", subject):
        given: Any = model.needed(recipe)
    if not typed.fits(given, Mapping[str, str]):
        said = f"needs gives {typed.shown(given)}, and should give a released name for each argument of build"
        raise registry.fault(plugin, f"{said}: {{'features': 'features.mnist'}}", subject)
    return dict(given)


def _subject(model: Model) -> object:
    """The code of a plugin that says what it needs."""
    return model.needs if callable(model.needs) else model.build


def describe(releases: Mapping[str, Release]) -> dict[str, Any]:
    """What ``recipe.json`` and a manifest hold of needed releases: which they are, and what builds their modules."""
    return {
        key: {
            "name": release.name,
            "sha256": files.sha256(release.folder / MANIFEST),
            "recipe": release.manifest["recipe"],
            "sample": sample_to_json(release.sample),
            "needs": release.manifest["provenance"].get("needs") or {},
        }
        for key, release in releases.items()
    }
