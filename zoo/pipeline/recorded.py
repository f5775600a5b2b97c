"""What a release records of its training, checked before it is trained again.

Whatever would make the new run another one is an error: a plugin that is missing or of another distribution, data with
another hash, other starting weights, other needed releases.
"""

from __future__ import annotations

from pathlib import Path

from zoo import registry
from zoo.contract import settings
from zoo.contract.use import Use
from zoo.core.errors import DataError, PluginError, SettingError, TrainingError, ZooError, one_line
from zoo.core.progress import downloads
from zoo.data import completed
from zoo.modules import needs
from zoo.modules.torch_module import check_plugin
from zoo.plugin import Model, Recipe
from zoo.release import Release
from zoo.training import finetune
from zoo.training.further import load_both


def recipe_of(release: Release, data: str | None) -> tuple[Model, Recipe]:
    """The model, and the recipe as it is recorded; fields that are newer than the release have their defaults."""
    check_plugin(release)
    here, made = registry.find(registry.split(release.name)[0]), release.manifest["plugin"]
    if _normalised(here.distribution) != _normalised(made["distribution"]):
        raise PluginError(
            f"{release.name} is of {made['distribution']} {made['version']}, and the model {here.name!r} here is of "
            f"{here.distribution}. Install only the first."
        )
    model, base = registry.load_recipe(release.name)
    recipe = settings.from_json(type(base), release.manifest["recipe"])
    uses = {field: getattr(recipe, field) for field in settings.uses_of(type(recipe))}
    if data is not None:
        uses["data"] = Use(data, uses["data"].options)
    for field, use in uses.items():
        if use.place and (field != "data" or data is None):
            how = f"Give its path: --data {use.kind}:…" if field == "data" else "It cannot be trained again here."
            raise DataError(f"{release.name} was trained on {use.name!r}, of which a release has only the name. {how}")
    return model, settings.replace(recipe, {field: completed(use, field) for field, use in uses.items()})


def _normalised(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


def check_data(release: Release, recipe: Recipe, data_dir: str | Path | None, quiet: bool) -> None:
    """Raise :class:`DataError` for a data set that is missing, or that is not the recorded one."""
    provenance = release.manifest["provenance"]
    recorded = {"data": provenance["data"], **provenance.get("further", {})}
    for field in settings.uses_of(type(recipe)):
        entry = recorded.get(field) or {}
        for split, key in zip(
            load_both(getattr(recipe, field), data_dir, downloads(quiet)), ("sha256", "test_sha256"), strict=True
        ):
            if (wanted := entry.get(key, split.sha256)) != split.sha256:
                raise DataError(
                    f"The {split.split} split of {split.name} is not the one that {release.name} was trained on: "
                    f"expected SHA-256 {wanted}, found {split.sha256}. Get the recorded data, or the version of its "
                    "plugin that reads it."
                )


def check_needs(release: Release, model: Model, recipe: Recipe) -> None:
    """Raise :class:`TrainingError` unless the releases that the model is built with are the recorded ones."""
    recorded = release.manifest["provenance"].get("needs") or {}
    here = needs.describe(needs.needed(model, recipe, release.name))
    for key in sorted({*recorded, *here}):
        before, now = (
            f"{one['name']} ({one['sha256'][:12]})" if one else "none" for one in (recorded.get(key), here.get(key))
        )
        if before != now:
            raise TrainingError(
                f"{release.name} was built with the release {before} as {key!r}, and here it is {now}. "
                "Install the recorded one."
            )


def start_of(release: Release, start: str | Path | None) -> str | Path | None:
    """The SOURCE of the recorded starting weights, by their name or as given; None for a run from fresh weights."""
    recorded = release.manifest["provenance"].get("from")
    if recorded is None:
        if start is not None:
            raise SettingError(f"{release.name} was trained from fresh weights. Omit --from.")
        return None
    where = recorded["name"] if start is None else start
    try:
        found = finetune.origin(where).sha256
    except ZooError as error:
        raise TrainingError(
            f"{release.name} started from the weights {recorded['name']!r}, which were not found: "
            f"{one_line(error).rstrip('.')}. Give them: --from SOURCE"
        ) from error
    if found != recorded["sha256"]:
        raise TrainingError(
            f"{release.name} started from other weights than {where}: expected SHA-256 {recorded['sha256']}, found "
            f"{found}. Give the recorded ones: --from SOURCE"
        )
    return where
