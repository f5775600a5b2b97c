"""Which models there are: entry points and static catalogues, read without importing any plugin.

Each distribution describes its models in a ``registry.yaml`` inside its import package (genzoo's lies at the
top of the source tree and moves into ``zoo/`` in the wheel). ``zoo catalogue build`` writes it. Only the model
that is asked for is ever imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.contract import names, typed
from zoo.core.errors import NotFoundError, PluginError, ZooError, missing, one_line, suggest
from zoo.registry import faults, schema

if TYPE_CHECKING:
    from zoo.plugin import Model, Recipe

GROUP = "zoo.models"
CATALOGUE = "registry.yaml"
OWN = "genzoo"


@dataclass(frozen=True)
class Plugin:
    """One entry point: a model's name, where its code is, and the distribution that brings it."""

    name: str
    value: str
    distribution: str
    version: str


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
def plugins() -> Mapping[str, tuple[Plugin, ...]]:
    """Every installed model plugin by model name, sorted; more than one under a name is a conflict."""
    from importlib.metadata import entry_points

    found: dict[str, list[Plugin]] = {}
    for point in entry_points(group=GROUP):
        assert point.dist is not None
        origin = (point.dist.name or "(no name)", point.dist.version or "?")  # neither, where pip was interrupted
        plugin = Plugin(point.name, point.value, *origin)
        found.setdefault(point.name, []).append(plugin)
    return {name: tuple(found[name]) for name in sorted(found)}


def find(model: str) -> Plugin:
    """The plugin of a model; :class:`NotFoundError`, or :class:`PluginError` where two distributions claim it."""
    claims = plugins().get(model, ())
    if not claims:
        raise NotFoundError(f"No model named {model!r}.{suggest(model, plugins())} Run: zoo list")
    if len(claims) > 1:
        raise PluginError(f"The model name {model!r} is {conflict(claims)}.")
    return claims[0]


def conflict(claims: tuple[Plugin, ...]) -> str:
    """What to say of distributions that claim one name."""
    names = " and ".join(sorted(claim.distribution for claim in claims))
    return f"claimed by {names}: uninstall one of them"


@cache
def load(model: str) -> Model:
    """Import the plugin of a model and return its :class:`zoo.Model`.

    Raises :class:`PluginError` if the import fails, :class:`MissingPackageError` if it fails for want of torch.
    """
    from importlib import import_module

    from zoo.plugin import Model

    plugin = find(model)
    module_name, _, attribute = plugin.value.partition(":")
    try:
        value: Any = import_module(module_name.strip())
        for part in attribute.strip().split("."):
            value = getattr(value, part)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise missing("torch", "train", f"Model {model!r}") from error
        if isinstance(error, PluginError):  # of a declaration
            raise fault(model, str(error), error) from error
        origin = f"{plugin.distribution} {plugin.version}"
        raise fault(model, f"{origin} cannot be imported: {one_line(error)}", error) from error
    if not isinstance(value, Model):
        origin = f"{plugin.distribution} {plugin.version}"
        raise fault(model, f"{plugin.value} of {origin} is {typed.shown(value)}, and should be a zoo.Model.")
    if not names.MODEL.fullmatch(model):
        raise fault(model, f"the model name {model!r} is not allowed. It may have letters, digits, '-' and '_'.")
    return value


def fault(model: str, why: str, *subjects: object) -> PluginError:
    """The error for a mistake in a model's plugin: ``Plugin 'mine' (/…/mine.py, line 41): why.``

    The file and line are those of the first of `subjects` that has any within the plugin: an exception that came out
    of it, or a function or class of it. Without one, the plugin's file is named.
    """
    plugin = find(model)
    root = package_root(plugin.value)
    module = sys.modules.get(plugin.value.partition(":")[0].strip())
    known = (faults.place(subject, root) for subject in subjects)
    where = next(filter(None, known), getattr(module, "__file__", None) or plugin.value)
    return PluginError(f"Plugin {model!r} ({where}): {why}{'' if why.endswith(('.', '?')) else '.'}")


@contextmanager
def calling(model: str, what: str, *subjects: object) -> Iterator[None]:
    """Within the block a plugin's own code runs, and `what` says which: any error of it becomes a :func:`fault`."""
    try:
        yield
    except PluginError as error:
        if str(error).startswith("Plugin "):  # it says where already
            raise
        raise fault(model, str(error), error, *subjects) from error
    except ZooError:
        raise
    except Exception as error:
        raise fault(model, f"{what} fails: {one_line(error)[:300]}", error, *subjects) from error


def split(name: str) -> tuple[str, str]:
    """``"vae.mnist"`` as ``("vae", "mnist")``; the recipe is ``""`` where none is named."""
    model, _, recipe = name.partition(".")
    return model, recipe


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


def no_recipe(model: str, recipe: str, known: Iterable[str]) -> NotFoundError:
    """The error for a recipe that a model does not have, or that was left out."""
    names = ", ".join(f"{model}.{name}" for name in known)
    if not recipe:
        return NotFoundError(f"{model!r} is a model; say which recipe: {names}.")
    return NotFoundError(f"Model {model!r} has no recipe {recipe!r}.{suggest(recipe, known)} There are: {names}.")


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


def package_folder(value: str) -> Path | None:
    """The folder of the top-level package that an entry point's value starts with; nothing is imported."""
    root = package_root(value)
    return root if root is not None and root.is_dir() else None


def package_root(value: str) -> Path | None:
    """The same, or the file of a plugin that is one module alone."""
    from importlib.util import find_spec

    top = value.partition(":")[0].strip().partition(".")[0]
    if top in sys.modules:
        where, file = getattr(sys.modules[top], "__path__", None), getattr(sys.modules[top], "__file__", None)
    else:
        try:
            spec = find_spec(top)
        except (ImportError, ValueError):
            return None
        where, file = (spec.submodule_search_locations, spec.origin) if spec else (None, None)
    path = next(iter(where)) if where else file
    return Path(path) if path else None


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
