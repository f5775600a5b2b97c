"""Builds a distribution's ``registry.yaml`` from its code and its released weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import yaml

from zoo import registry
from zoo.contract import settings
from zoo.contract.specs import FieldSpec, Label
from zoo.contract.use import Use
from zoo.contract.version import CONTRACT
from zoo.core import files
from zoo.core.errors import NotFoundError, PluginError, one_line, suggest
from zoo.data import changed, load
from zoo.data.loading import form
from zoo.hub import licences
from zoo.pipeline import registry_pins, tables
from zoo.plugin import DataSet, KnownFile, Model, Recipe
from zoo.registry import schema
from zoo.release import MANIFEST, read
from zoo.training.further import load_both, with_further

RELEASES = "releases"
"""The folder, inside an import package, with its released weights."""

HEADER = "# Made by `zoo registry build` from the code and the releases. Do not edit.\n"


def build(distribution: str, hub: str | None = None, signer: Path | None = None) -> str:
    """The text of ``registry.yaml`` for the installed models and data sets of a distribution: all are imported.

    Released weights keep the revisions on the Hub to which they are pinned. With `hub`, an organisation there, each is
    pinned to what that has now. It must be signed by `signer`, the file of a public key, or else by the signer that is
    pinned already; see :mod:`zoo.pipeline.registry_pins`.
    """
    own, sets = plugins_of(distribution)
    released = registry_pins.with_pins(releases(own), own, distribution)
    if hub:
        released = registry_pins.looked_up(released, hub, signer, registry_pins.signers(distribution))
    content: dict[str, Any] = {
        "format": schema.FORMAT,
        "distribution": distribution,
        "contract": CONTRACT,
        "models": {name: describe(name, registry.load(name)) for name in own},
        "releases": released,
        "data": {name: describe_data(name) for name in sets},
    }
    problem = schema.problem_of(content)
    if problem:
        raise PluginError(f"The registry.yaml of {distribution} {problem}.")
    head = {key: content.pop(key) for key in ("format", "distribution", "contract")}
    indices = {schema.INDEX: schema.index_of(content), schema.DATA_INDEX: schema.data_index_of(content)}
    return HEADER + _yaml(head) + "".join(_index(key, value) for key, value in indices.items()) + _yaml(content)


def _yaml(content: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))


def _index(key: str, entries: Mapping[str, Any]) -> str:
    """An index as JSON, which is YAML too, a line for each entry: a list then needs no YAML parser."""
    lines = [f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    return f"{key}: {{\n" + ",\n".join(lines) + "\n  }\n"


def plugins_of(distribution: str) -> tuple[list[str], list[str]]:
    """The installed models and data sets of a distribution. Raises :class:`NotFoundError` if it has neither."""
    groups = [registry.plugins(group) for group in (registry.MODELS, registry.DATA)]
    models, sets = (
        [name for name, claims in group.items() if any(plugin.distribution == distribution for plugin in claims)]
        for group in groups
    )
    if not models and not sets:
        known = {plugin.distribution for group in groups for claims in group.values() for plugin in claims}
        raise NotFoundError(
            f"No installed distribution named {distribution!r} has models or data sets."
            f"{suggest(distribution, known)} Install it first: pip install -e ."
        )
    return models, sets


def describe(name: str, model: Model) -> dict[str, Any]:
    """A model's entry: its card, tasks, own settings, and of each recipe what it changes and needs."""
    from zoo.modules import needs

    recipe_class = type(model.recipes["tiny"])
    needed = {key: dict(needs.sources(model, recipe, f"{name}.{key}")) for key, recipe in model.recipes.items()}
    return {
        **dataclasses.asdict(model.card),
        "tasks": tasks(name, model),
        "settings": _settings(recipe_class, {base.name for base in dataclasses.fields(Recipe)}),
        "recipes": {key: recipe_entry(recipe) for key, recipe in model.recipes.items()},
        **({"needs": some} if (some := {key: value for key, value in needed.items() if value}) else {}),
    }


def tasks(name: str, model: Model) -> dict[str, str]:
    """Each task as "inputs → outputs", from the module of the recipe ``tiny``."""
    from zoo.modules import build as build_module

    recipe = changed(f"{name}.tiny", model.recipes["tiny"], {})
    further = {field: load_both(getattr(recipe, field), None) for field in settings.uses_of(type(recipe))}
    sample = with_further(f"{name}.tiny", recipe, further.pop("data")[0].sample, further)
    module = build_module(model, recipe, sample, f"{name}.tiny")
    return {key: f"{', '.join(task.inputs)} → {', '.join(task.outputs)}" for key, task in model.tasks(module).items()}


def recipe_entry(recipe: Recipe) -> dict[str, Any]:
    """The data set of a recipe, and its fields that differ from the defaults."""
    every = settings.flat(recipe)
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)}
    different = {key: _plain(value) for key, value in every.items() if defaults.get(key, _NONE) != value}
    return {"data": recipe.data.name, **different}


_NONE = object()  # the default of what is no field: of an option of a data set


def describe_data(name: str) -> dict[str, Any]:
    """A data set's entry: its card, counts, the form of its fields, its options and its files."""
    known: DataSet = registry.load_value(name, registry.DATA)
    options = known.options()
    sample = form(name, known, options)
    if sample is None and not known.files and not known.place:  # only the data says it, and the data is here
        sample = load(name, "train").sample
    return {
        **dataclasses.asdict(known.card),
        **{key: value for key in ("place", "package", "train", "test") if (value := getattr(known, key))},
        "proven": known.proven,
        **({"fields": {key: _form(sample[key]) for key in ("x", *sample.fields)}} if sample else {}),
        "classes": list(known.classes),
        "options": _settings(known.options, set()),
        "files": {split: [_file(one) for one in several] for split, several in known.files.items()},
        "unpacked": {split: [_file(one) for one in several] for split, several in known.unpacked.items()},
    }


def _form(spec: FieldSpec) -> dict[str, Any]:
    return {
        "kind": spec.kind,
        "shape": list(spec.shape),
        **({"classes": spec.classes} if isinstance(spec, Label) else {}),
    }


def _file(known: KnownFile) -> dict[str, Any]:
    return {
        "name": known.name,
        "sha256": known.sha256,
        "of": "the unpacked bytes" if known.packed else "the file",
        **({"listing": known.inside.sha256} if known.inside else {}),
        "folders": list(known.folders),
        "addresses": list(known.addresses),
        "candidates": [list(paths) for paths in known.candidates],
    }


def _settings(cls: type, base: Set[str]) -> dict[str, Any]:
    """The fields of a class of settings, without those of a base, with their defaults, types and help."""
    return {
        field.name: {
            "default": _plain(field.default),
            "type": settings.describe(cls, field.name),
            "help": field.metadata.get("help", ""),
        }
        for field in dataclasses.fields(cls)
        if field.name not in base
    }


def releases(models: list[str]) -> dict[str, dict[str, Any]]:
    """The released weights in the packages of these models, by name."""
    return {
        folder.name: {
            "package": folder.parents[1].name,
            "folder": f"{RELEASES}/{folder.name}",
            "manifest_sha256": files.sha256(folder / MANIFEST),
            "bytes": sum(path.stat().st_size for path in folder.iterdir()),
            **described(read(folder).manifest),
        }
        for folder in release_folders(models)
    }


def release_folders(models: list[str]) -> list[Path]:
    """The folders of the released weights in the packages of these models, sorted by name."""
    packages = {registry.package_folder(registry.find(name).value) for name in models} - {None}
    folders = [path.parent for package in packages if package for path in package.glob(f"{RELEASES}/*/{MANIFEST}")]
    for folder in folders:
        if (name := read(folder).name) != folder.name:
            raise PluginError(f"{folder / MANIFEST} is the release of {name!r}: rename its folder {name!r}.")
    return sorted(folders, key=lambda folder: folder.name)


def described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The description of released weights in a registry, from their manifest."""
    made, parity = manifest["provenance"], manifest["parity"]
    return {
        "licence": licences.of_manifest(manifest),
        "data": {key: made["data"][key] for key in ("name", "licence", "sha256")},
        "training": {key: made[key] for key in ("seconds", "device", "commit")}
        | {"steps": made["step"], "seed": manifest["recipe"]["seed"]},
        "parity": rounded(max(gap for rows in parity["tasks"].values() for gap in rows.values())),
        "metrics": [_measurement(measurement) for measurement in manifest["metrics"]],
    }


def _measurement(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's entry without its empty fields, and with its numbers rounded to four digits."""
    numbers = {key: rounded(entry[key]) for key in ("value", "low", "high") if entry.get(key) is not None}
    words = {key: entry[key] for key in ("unit", "better", "protocol", "interval") if entry.get(key)}
    baseline = entry.get("baseline")
    return {
        "name": entry["name"],
        **numbers,
        **words,
        **({"baseline": {"name": baseline["name"], "value": rounded(baseline["value"])}} if baseline else {}),
    }


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def write(
    distribution: str,
    path: Path | None = None,
    check: bool = False,
    hub: str | None = None,
    signer: Path | None = None,
) -> tuple[Path, bool]:
    """Write ``registry.yaml``, and update the model table of its README and its ``docs/models/index.md``, if they exist.

    `hub` and `signer` are as for :func:`build`. Returns the path of ``registry.yaml``, and whether any of the files was
    stale. With `check` nothing is written.
    """
    target = path or registry.file_path(distribution)
    if target is None:
        plugins_of(distribution)  # says so where no such distribution is installed
        raise NotFoundError(f"{distribution} has no package folder for a registry.yaml. Give its path with -o.")
    wanted = {target: build(distribution, hub, signer)}
    content = registry.parse(wanted[target])
    readme, models = target.parent / "README.md", target.parent / "docs" / "models" / "index.md"
    try:
        if readme.is_file():
            wanted[readme] = tables.readme(readme.read_text("utf-8"), content)
        if models.is_file():
            wanted[models] = tables.models(content)
        stale = [file for file, text in wanted.items() if not file.is_file() or file.read_text("utf-8") != text]
    except (OSError, ValueError) as error:
        raise NotFoundError(f"{target} cannot be read: {one_line(error)}.") from error
    if not check:
        for file in stale:
            files.write(file, wanted[file])
        registry.forget()
    return target, bool(stale)


def _plain(value: Any) -> Any:
    """A field's value as plain YAML data; a data set by its name."""
    plain: Any = json.loads(json.dumps(value.name if isinstance(value, Use) else value))
    return plain
