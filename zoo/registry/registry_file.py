"""Reads each distribution's ``registry.yaml``: its models, their recipes, its released weights and its data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.errors import NotFoundError, PluginError, one_line, suggest
from zoo.registry import schema
from zoo.registry.discovery import (
    FILE,
    OWN,
    conflict,
    contract_of,
    entry_points,
    file_path,
    find,
    load,
    load_value,
    no_recipe,
    package_folder,
    plugins,
    split,
    too_new,
)

if TYPE_CHECKING:
    from zoo.plugin import Model, Recipe


@dataclass(frozen=True)
class Row:
    """A recipe of a model in ``zoo list``, or a model that the registry of its distribution does not describe."""

    name: str
    """``model.recipe``, or the model's name if `note` is set."""
    model: str
    distribution: str
    title: str = ""
    data: str = ""
    tasks: tuple[str, ...] = ()
    pretrained: bool = False
    note: str = ""
    """Why the model is not described: "not indexed", the distributions that claim the name, or a newer contract."""


@dataclass(frozen=True)
class RegistryFile:
    """The static description of one distribution's models and data sets in ``registry.yaml``."""

    path: Path | None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    releases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """The part of a registry that listing models and loading by name need: see ``zoo.registry.schema.INDEXED``."""

    path: Path | None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""


@cache
def read_file(distribution: str) -> RegistryFile:
    """Read a distribution's ``registry.yaml``. For an unreadable file the result is empty and `problem` says why."""
    path = file_path(distribution)
    loaded, problem = _read(distribution, path, schema.problem_of)
    if problem:
        return RegistryFile(path, problem=problem)
    return RegistryFile(path, loaded["models"], loaded.get("releases") or {}, data=loaded.get("data") or {})


@cache
def index(distribution: str) -> Index:
    """Read the index of a distribution's ``registry.yaml``, and parse only this small part of the file, as JSON.

    A file without such an index, for example one written by hand, is parsed in full.
    """
    path = file_path(distribution)
    head = read_head(path, schema.INDEX)
    if head is not None and not schema.problem_of_head(head):
        return Index(path, head[schema.INDEX])
    listed = read_file(distribution)
    whole = {"models": listed.models, "releases": listed.releases}
    return Index(path, schema.index_of(whole), listed.problem)


def forget() -> None:
    """Clear the caches, so that plugins are found and imported, and registries read, again."""
    for cached in (entry_points, plugins, load_value, contract_of, read_file, index):
        cached.cache_clear()


def read_head(path: Path | None, key: str) -> dict[str, Any] | None:
    """Read the format and an index of a ``registry.yaml`` without a YAML parser, or None where that cannot be done."""
    try:
        head = (path.read_text("utf-8") if path is not None else "").partition("\nmodels:")[0]
        before, mark, _ = head.partition(f"\n{key}: ")
        number = re.search(r"^format: (\d+)$", head, re.MULTILINE)
        if not number or not mark:
            return None
        return {"format": int(number[1]), key: json.JSONDecoder().raw_decode(head, len(before) + len(mark))[0]}
    except (OSError, ValueError, RecursionError):
        return None


def _read(distribution: str, path: Path | None, problem_of: Callable[[Any], str]) -> tuple[Any, str]:
    """Read a ``registry.yaml``. Returns the content and the problem, if any."""
    if path is None or not path.is_file():
        return None, f"{distribution} has no {FILE}"
    import yaml

    try:
        loaded = parse(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        return None, f"{path} cannot be read: {one_line(error)}"
    problem = problem_of(loaded)
    return loaded, f"{path} {problem}" if problem else ""


def parse(text: str) -> Any:
    """Parse a YAML document, or raise YAMLError. libyaml is used if it is installed, because it is faster."""
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def load_recipe(name: str) -> tuple[Model, Recipe]:
    """Return the model and the recipe of ``model.recipe``. Raises :class:`NotFoundError` for an unknown name."""
    model_name, recipe = split(name)
    described = index(find(model_name).distribution).models.get(model_name)
    known = list(described["recipes"]) if described else []
    if described and recipe not in known:  # raised before any slow import
        raise no_recipe(model_name, recipe, known)
    model = load(model_name)
    if recipe not in model.recipes:
        raise no_recipe(model_name, recipe, list(model.recipes))
    return model, model.recipes[recipe]


def rows(
    pattern: str = "*", *, pretrained: bool = False, task: str | None = None, data: str | None = None
) -> list[Row]:
    """Return the rows of ``zoo list`` that match a wildcard and the filters.

    Raises :class:`NotFoundError` for a task or a data set that no model has.
    """
    found: list[Row] = []
    for model, claims in plugins().items():
        if len(claims) > 1:
            names = " and ".join(sorted(claim.distribution for claim in claims))
            found.append(Row(model, model, names, note=conflict(claims)))
            continue
        listed = index(claims[0].distribution)
        described = listed.models.get(model)
        problem = too_new(claims[0].distribution)
        if described is None or problem:
            note = problem or not_indexed(listed.path, listed.problem)
            found.append(Row(model, model, claims[0].distribution, note=note))
            continue
        for recipe, data_set in described["recipes"].items():
            found.append(
                Row(
                    f"{model}.{recipe}",
                    model,
                    claims[0].distribution,
                    described["title"],
                    data_set,
                    tuple(described["tasks"]),
                    recipe in described["released"],
                )
            )
    for kind, wanted, known in (
        ("task", task, {one for row in found for one in row.tasks}),
        ("data set", data, {row.data for row in found if row.data}),
    ):
        if wanted is not None and wanted not in known:
            raise NotFoundError(
                f"No model has the {kind} {wanted!r}.{suggest(wanted, known)} There are: {', '.join(sorted(known))}."
            )
    return [
        row
        for row in found
        if (fnmatchcase(row.name, pattern) or fnmatchcase(row.model, pattern))
        and (row.pretrained or not pretrained)
        and (task is None or task in row.tasks)
        and (data is None or data == row.data)
    ]


def not_indexed(path: Path | None, problem: str) -> str:
    """Return the note for what the registry of its distribution, at `path`, does not describe."""
    return "not indexed" + (f" ({problem})" if problem and path and path.is_file() else "")


def list_models(
    pattern: str = "*", *, pretrained: bool = False, task: str | None = None, data: str | None = None
) -> list[str]:
    """Return the names ``model.recipe`` that match a wildcard, sorted by model.

    `pretrained` keeps names with released weights, `task` keeps models with that task, and `data` keeps recipes for
    that data set. A model that its distribution does not describe is listed by its own name. Raises
    :class:`NotFoundError` for a task or a data set that no model has.
    """
    return [row.name for row in rows(pattern, pretrained=pretrained, task=task, data=data)]


def released_folder(name: str) -> tuple[Path | None, Mapping[str, Any]]:
    """Return where the weights released under a name are installed, and their index entry.

    The folder may not exist, and is None where the package is not installed: weights may be on the Hub alone. Raises
    :class:`NotFoundError` for a name under which no weights are released.
    """
    model, recipe = split(name)
    plugin = find(model)
    listed = index(plugin.distribution)
    described = listed.models.get(model)
    if described is None or recipe not in described["released"]:
        if described and recipe not in described["recipes"]:
            raise no_recipe(model, recipe, list(described["recipes"]))
        if listed.problem and (plugin.distribution == OWN or (listed.path and listed.path.is_file())):
            raise PluginError(
                f"{name!r} cannot be looked up: {listed.problem}. Install {plugin.distribution} again, or in its "
                "project run: zoo registry build"
            )
        raise NotFoundError(
            f"No weights are released under {name!r}. Train it: zoo train {name}, then load runs/{name}."
        )
    entry = described["released"][recipe]
    folder = package_folder(entry["package"])
    if folder is None:
        return None, entry
    path = (folder / entry["folder"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PluginError(
            f"The registry.yaml of {plugin.distribution} puts {name!r} outside its package: {entry['folder']!r}."
        )
    return path, entry
