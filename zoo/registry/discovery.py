"""Finds installed models by their entry points, and imports the plugin of a requested model, and only that one.

Each distribution describes its models in a ``registry.yaml`` inside its import package. (genzoo's file is at the top
of the source tree, and inside ``zoo/`` in the wheel.) ``zoo registry build`` writes the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.contract import names, typed
from zoo.core.errors import NotFoundError, PluginError, ZooError, missing, one_line, suggest
from zoo.registry import faults

if TYPE_CHECKING:
    from zoo.plugin import Model

GROUP = "zoo.models"
OWN = "genzoo"


@dataclass(frozen=True)
class Plugin:
    """One entry point: the name of a model, the location of its code, and its distribution."""

    name: str
    value: str
    distribution: str
    version: str


@cache
def plugins() -> Mapping[str, tuple[Plugin, ...]]:
    """Return every installed model plugin by model name, sorted; two plugins of one name are a conflict."""
    from importlib.metadata import entry_points

    found: dict[str, list[Plugin]] = {}
    for point in entry_points(group=GROUP):
        assert point.dist is not None
        origin = (
            point.dist.name or "(no name)",
            point.dist.version or "?",
        )  # both are missing after an interrupted pip
        plugin = Plugin(point.name, point.value, *origin)
        found.setdefault(point.name, []).append(plugin)
    return {name: tuple(found[name]) for name in sorted(found)}


def find(model: str) -> Plugin:
    """Return the plugin of a model. Raises :class:`NotFoundError`, or :class:`PluginError` if two distributions claim
    the name."""
    claims = plugins().get(model, ())
    if not claims:
        raise NotFoundError(f"No model named {model!r}.{suggest(model, plugins())} Run: zoo list")
    if len(claims) > 1:
        raise PluginError(f"The model name {model!r} is {conflict(claims)}.")
    return claims[0]


def conflict(claims: tuple[Plugin, ...]) -> str:
    """Return the message about distributions that claim the same name."""
    names = " and ".join(sorted(claim.distribution for claim in claims))
    return f"claimed by {names}: uninstall one of them"


@cache
def load(model: str) -> Model:
    """Import the plugin of a model and return its :class:`zoo.Model`.

    Raises :class:`PluginError` if the import fails, :class:`MissingPackageError` if torch is missing.
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
        if isinstance(error, PluginError):  # from a declaration, such as zoo.Model(…)
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
    """Return the error for a mistake in a model's plugin: ``Plugin 'mine' (/…/mine.py, line 41): why.``

    `subjects` are exceptions, functions or classes. The message names the file and line of the first one that is
    located in the plugin's code, or else the plugin's file.
    """
    plugin = find(model)
    root = package_root(plugin.value)
    module = sys.modules.get(plugin.value.partition(":")[0].strip())
    known = (faults.place(subject, root) for subject in subjects)
    where = next(filter(None, known), getattr(module, "__file__", None) or plugin.value)
    return PluginError(f"Plugin {model!r} ({where}): {why}{'' if why.endswith(('.', '?')) else '.'}")


@contextmanager
def calling(model: str, what: str, *subjects: object) -> Iterator[None]:
    """Run a plugin's own code, named by `what`, in the block: any error in it becomes a :func:`fault`."""
    try:
        yield
    except PluginError as error:
        if str(error).startswith("Plugin "):  # the message already has the file and line
            raise
        raise fault(model, str(error), error, *subjects) from error
    except ZooError:
        raise
    except Exception as error:
        raise fault(model, f"{what} fails: {one_line(error)[:300]}", error, *subjects) from error


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
