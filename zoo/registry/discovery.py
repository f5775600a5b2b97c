"""Finds installed models and data sets by their entry points, and imports the plugin of a requested one, and only it.

Each distribution describes its own in a ``registry.yaml`` inside its import package. (genzoo's file is at the top
of the source tree, and inside ``zoo/`` in the wheel.) ``zoo registry build`` writes the file.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.contract import names, typed
from zoo.contract.version import CONTRACT, is_newer
from zoo.core.errors import MissingPackageError, NotFoundError, PluginError, ZooError, missing, one_line, suggest
from zoo.registry import faults

if TYPE_CHECKING:
    from zoo.plugin import Model

MODELS, DATA, LOGGERS = "zoo.models", "zoo.data", "zoo.loggers"
"""The groups of entry points."""

OWN = "genzoo"
FILE = "registry.yaml"
HEAD = 2000
"""Characters of a registry in which its contract is named, at most."""


@dataclass(frozen=True)
class Group:
    """What the plugins of a group of entry points are."""

    noun: str
    type: str
    """The name of the class in :mod:`zoo.plugin` of which each is a value; "" for functions."""
    listing: str
    """The command that lists them."""


GROUPS: Mapping[str, Group] = {
    MODELS: Group("model", "Model", "zoo list"),
    DATA: Group("data set", "DataSet", "zoo data list"),
    LOGGERS: Group("logger", "", "zoo plugin list"),
}


@dataclass(frozen=True)
class Plugin:
    """One entry point: the name of a model, a data set or a logger, where its code is, and its distribution."""

    name: str
    value: str
    distribution: str
    version: str


@cache
def entry_points() -> Any:  # Python 3.11 and 3.12 have other types
    """Return the entry points of every installed distribution; reading these takes most of the time of a list."""
    from importlib import metadata

    return metadata.entry_points()


@cache
def plugins(group: str = MODELS) -> Mapping[str, tuple[Plugin, ...]]:
    """Return every installed plugin of a group by name, sorted; two plugins of one name are a conflict."""
    found: dict[str, list[Plugin]] = {}
    for point in entry_points().select(group=group):
        assert point.dist is not None
        origin = (
            point.dist.name or "(no name)",
            point.dist.version or "?",
        )  # both are missing after an interrupted pip
        plugin = Plugin(point.name, point.value, *origin)
        found.setdefault(point.name, []).append(plugin)
    return {name: tuple(found[name]) for name in sorted(found)}


def find(name: str, group: str = MODELS) -> Plugin:
    """Return the plugin of a name. Raises :class:`NotFoundError`, or :class:`PluginError` if two distributions claim
    the name."""
    known, claims = GROUPS[group], plugins(group).get(name, ())
    if not claims:
        near = suggest(name, plugins(group))
        raise NotFoundError(f"No {known.noun} named {name!r}.{near} Run: {known.listing}")
    if len(claims) > 1:
        raise PluginError(f"The {known.noun} name {name!r} is {conflict(claims)}.")
    return claims[0]


def conflict(claims: tuple[Plugin, ...]) -> str:
    """Return the message about distributions that claim the same name."""
    names = " and ".join(sorted(claim.distribution for claim in claims))
    return f"claimed by {names}: uninstall one of them"


def load(model: str) -> Model:
    """Import the plugin of a model and return its :class:`zoo.Model`. Raises as :func:`load_value` does."""
    value: Model = load_value(model)
    return value


@cache
def load_value(name: str, group: str = MODELS) -> Any:
    """Import the plugin of a name and return its value. What it prints meanwhile goes to standard error.

    Raises :class:`PluginError` if it cannot be imported or is made for a newer contract, and
    :class:`MissingPackageError` if torch, or another package that it looks for by itself, is missing.
    """
    from importlib import import_module

    from zoo import plugin as contract

    plugin, known = find(name, group), GROUPS[group]
    module_name, _, attribute = plugin.value.partition(":")
    origin = f"{plugin.distribution} {plugin.version}"
    if problem := too_new(plugin.distribution):
        raise PluginError(f"The {known.noun} {name!r} of {origin} is {problem}")
    try:
        with redirect_stdout(sys.stderr):
            value: Any = import_module(module_name.strip())
        for part in attribute.strip().split("."):
            value = getattr(value, part)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise missing("torch", "train", f"{known.noun.capitalize()} {name!r}") from error
        if isinstance(error, PluginError):  # from a declaration, such as zoo.Model(…)
            raise fault(name, str(error), error, group=group) from error
        if isinstance(error, MissingPackageError):
            raise
        raise fault(name, f"{origin} cannot be imported: {one_line(error)}", error, group=group) from error
    if not (isinstance(value, getattr(contract, known.type)) if known.type else callable(value)):
        right = f"a zoo.{known.type}" if known.type else "a function"
        why = f"{plugin.value} of {origin} is {typed.shown(value)}, and should be {right}."
        raise fault(name, why, group=group)
    if not names.MODEL.fullmatch(name):
        why = f"the {known.noun} name {name!r} is not allowed. It may have letters, digits, '-' and '_'."
        raise fault(name, why, group=group)
    return value


def fault(name: str, why: str, *subjects: object, group: str = MODELS) -> PluginError:
    """Return the error for a mistake in a plugin: ``Plugin 'mine' (/…/mine.py, line 41): why.``

    `subjects` are exceptions, functions or classes. The message names the file and line of the first one that is
    located in the plugin's code, or else the plugin's file.
    """
    plugin = find(name, group)
    root = package_root(plugin.value)
    module = sys.modules.get(plugin.value.partition(":")[0].strip())
    known = (faults.place(subject, root) for subject in subjects)
    where = next(filter(None, known), getattr(module, "__file__", None) or plugin.value)
    return PluginError(f"Plugin {name!r} ({where}): {why}{'' if why.endswith(('.', '?')) else '.'}")


@contextmanager
def calling(name: str, what: str, *subjects: object, group: str = MODELS) -> Iterator[None]:
    """Run a plugin's own code, named by `what`, in the block: an error, or a ``sys.exit``, becomes a :func:`fault`."""
    try:
        yield
    except PluginError as error:
        if str(error).startswith("Plugin "):  # the message already has the file and line
            raise
        raise fault(name, str(error), error, *subjects, group=group) from error
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise fault(name, f"{what} fails: {one_line(error)[:300]}", error, *subjects, group=group) from error


def file_path(distribution: str) -> Path | None:
    """Return the path of a distribution's ``registry.yaml``, which may not exist."""
    if distribution == OWN:
        package = Path(__file__).parents[1]
        source = package.parent
        return source / FILE if (source / "pyproject.toml").is_file() else package / FILE
    claims = [claim for group in GROUPS for several in plugins(group).values() for claim in several]
    values = [plugin.value for plugin in claims if plugin.distribution == distribution]
    folders = [folder for value in values if (folder := package_folder(value)) is not None]
    return next(
        (folder / FILE for folder in folders if (folder / FILE).is_file()),
        folders[0] / FILE if folders else None,
    )


@cache
def contract_of(distribution: str) -> str:
    """Return the version of the contract for which a distribution's plugins were made, by its ``registry.yaml``.

    It is "" for a distribution without one, or of an unknown version. Nothing is parsed but that line.
    """
    path = file_path(distribution)
    try:
        with open(path or os.devnull, encoding="utf-8") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return ""
    found = re.search(r"^contract: ['\"]?(\d+\.\d+)['\"]?$", head, re.MULTILINE)
    return found[1] if found else ""


def too_new(distribution: str) -> str:
    """Return why this zoo cannot load a distribution's plugins, or ""."""
    asked = contract_of(distribution)
    if not is_newer(asked):
        return ""
    return f"made for contract {asked}, and this zoo has {CONTRACT}. Run: pip install --upgrade genzoo"


def split(name: str) -> tuple[str, str]:
    """Split ``"vae.mnist"`` into ``("vae", "mnist")``; the recipe is ``""`` if the name has none."""
    model, _, recipe = name.partition(".")
    return model, recipe


def no_recipe(model: str, recipe: str, known: Iterable[str]) -> NotFoundError:
    """Return the error for a recipe that the model does not have, or that is missing from the name."""
    names = ", ".join(f"{model}.{name}" for name in known)
    if not recipe:
        return NotFoundError(f"{model!r} is a model; say which recipe: {names}.")
    return NotFoundError(f"Model {model!r} has no recipe {recipe!r}.{suggest(recipe, known)} There are: {names}.")


def package_folder(value: str) -> Path | None:
    """Return the folder of the top-level package of an entry point's value, without importing it."""
    root = package_root(value)
    return root if root is not None and root.is_dir() else None


def package_root(value: str) -> Path | None:
    """Return the folder of the top-level package, or the file of a plugin that is a single module."""
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
