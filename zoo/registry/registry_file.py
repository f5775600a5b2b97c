"""What each distribution's ``registry.yaml`` says: its models, their recipes, and the weights that it releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.errors import NotFoundError, PluginError, one_line, suggest
from zoo.registry import schema
from zoo.registry.discovery import OWN, conflict, find, load, no_recipe, package_folder, plugins, split

if TYPE_CHECKING:
    from zoo.plugin import Model, Recipe

CATALOGUE = "registry.yaml"


@dataclass(frozen=True)
class Row:
    """A line of ``zoo list``: a model with one of its recipes, or a model that its distribution does not describe."""

    name: str
    """``model.recipe``, or the model's name where `note` is set."""
    model: str
    distribution: str
    title: str = ""
    data: str = ""
    tasks: tuple[str, ...] = ()
    pretrained: bool = False
    note: str = ""
    """Why there is no more to say: "not indexed", or the distributions that claim the same name."""


@dataclass(frozen=True)
class Catalogue:
    """The static description of one distribution's models, as ``registry.yaml`` holds it."""

    path: Path | None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    releases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Index:
    """What lists of models and loading by name need of a catalogue: see ``zoo.registry.schema.INDEXED``."""

    path: Path | None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""


@cache
def catalogue(distribution: str) -> Catalogue:
    """What a distribution's ``registry.yaml`` says; an unreadable one is empty and says why in `problem`."""
    path = catalogue_path(distribution)
    loaded, problem = _read(distribution, path, schema.problem_of)
    if problem:
        return Catalogue(path, problem=problem)
    return Catalogue(path, loaded["models"], loaded.get("releases") or {})


@cache
def index(distribution: str) -> Index:
    """The index of a distribution's ``registry.yaml``, of which nothing else is parsed: a small part of it.

    A file without an index, as somebody may have written it by hand, is parsed in full.
    """
    path = catalogue_path(distribution)
    loaded, problem = _read(distribution, path, schema.problem_of_head, whole=False)
    if not problem:
        return Index(path, loaded["index"])
    listed = catalogue(distribution)
    whole = {"models": listed.models, "releases": listed.releases}
    return Index(path, schema.index_of(whole), listed.problem)


def forget() -> None:
    """Look for plugins, import them and read their catalogues anew when they are asked for."""
    for cached in (plugins, load, catalogue, index):
        cached.cache_clear()


def _read(
    distribution: str, path: Path | None, problem_of: Callable[[Any], str], *, whole: bool = True
) -> tuple[Any, str]:
    """What a ``registry.yaml`` holds, or the part of it before ``models:``; and what is wrong with that."""
    if path is None or not path.is_file():
        return None, f"{distribution} has no {CATALOGUE}"
    import yaml

    try:
        text = path.read_text("utf-8")
        loaded = parse(text if whole else text.partition("\nmodels:")[0])
    except (OSError, ValueError, yaml.YAMLError) as error:
        return None, f"{path} cannot be read: {one_line(error)}"
    problem = problem_of(loaded)
    return loaded, f"{path} {problem}" if problem else ""


def parse(text: str) -> Any:
    """What a YAML document holds, or a YAMLError. libyaml reads it where it is there: it is faster."""
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def catalogue_path(distribution: str) -> Path | None:
    """Where a distribution's ``registry.yaml`` lies, or would lie."""
    if distribution == OWN:
        package = Path(__file__).parents[1]
        source = package.parent
        return source / CATALOGUE if (source / "pyproject.toml").is_file() else package / CATALOGUE
    values = [plugin.value for claims in plugins().values() for plugin in claims if plugin.distribution == distribution]
    folders = [folder for value in values if (folder := package_folder(value)) is not None]
    return next(
        (folder / CATALOGUE for folder in folders if (folder / CATALOGUE).is_file()),
        folders[0] / CATALOGUE if folders else None,
    )


def load_recipe(name: str) -> tuple[Model, Recipe]:
    """The model and the recipe of ``model.recipe``; raises :class:`NotFoundError` for an unknown one."""
    model_name, recipe = split(name)
    described = index(find(model_name).distribution).models.get(model_name)
    known = list(described["recipes"]) if described else []
    if described and recipe not in known:  # say so before anything heavy is imported
        raise no_recipe(model_name, recipe, known)
    model = load(model_name)
    if recipe not in model.recipes:
        raise no_recipe(model_name, recipe, list(model.recipes))
    return model, model.recipes[recipe]


def rows(
    pattern: str = "*", *, pretrained: bool = False, task: str | None = None, data: str | None = None
) -> list[Row]:
    """The lines of ``zoo list``: names that match a wildcard, and the filters.

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
        if described is None:
            note = "not indexed" + (
                f" ({listed.problem})" if listed.problem and listed.path and listed.path.is_file() else ""
            )
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


def list_models(
    pattern: str = "*", *, pretrained: bool = False, task: str | None = None, data: str | None = None
) -> list[str]:
    """The names ``model.recipe`` that match a wildcard, sorted by model.

    With `pretrained`, those whose weights are released; with `task`, those that have that task; with `data`, those
    trained on that data set. A model whose distribution does not describe it is listed by its own name. Raises
    :class:`NotFoundError` for a task or a data set that no model has.
    """
    return [row.name for row in rows(pattern, pretrained=pretrained, task=task, data=data)]


def released_folder(name: str) -> tuple[Path, Mapping[str, Any]]:
    """The folder of the weights released under a name, and their index entry; :class:`NotFoundError` if none."""
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
                "project run: zoo catalogue build"
            )
        raise NotFoundError(
            f"No weights are released under {name!r}. Train it: zoo train {name}, then load runs/{name}."
        )
    entry = described["released"][recipe]
    folder = package_folder(entry["package"])
    if folder is None:
        raise NotFoundError(
            f"The weights of {name!r} should be in the package {entry['package']!r}, which is not there."
        )
    path = (folder / entry["folder"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PluginError(
            f"The catalogue of {plugin.distribution} puts {name!r} outside its package: {entry['folder']!r}."
        )
    return path, entry
