"""From a model to its torch module: fresh (:func:`build`), or with the weights of a release (:func:`load_module`)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.contract import settings, typed
from zoo.core import files
from zoo.core.errors import NotFoundError, PluginError, ReleaseError, ZooError, one_line, suggest, unusable

try:
    import torch
except ImportError as error:
    raise unusable(error, "torch", "train", "The torch side of a model") from error

import hashlib
import re

from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import parametrize

from zoo.contract.spec_json import sample_from_json
from zoo.contract.specs import Sample
from zoo.hub.resolve import find
from zoo.modules.needs import NEEDED, needed
from zoo.plugin import Model, Recipe
from zoo.release import MANIFEST, Release, read


def derive_seed(*parts: object) -> int:
    """Derive a 63-bit seed for torch from several values, such as a run's seed, a step and a phase."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def build(
    model: Model, recipe: Recipe, sample: Sample, name: str, needs: Mapping[str, nn.Module] | None = None
) -> nn.Module:
    """Build a module with weights initialised by the recipe's seed; raise :class:`PluginError` if the plugin fails.

    `needs` are the modules that it is built with; None loads the releases that the model needs. The submodules that the
    model declares frozen are so, and in eval mode.
    """
    if needs is None:
        needs = _loaded(model, recipe, name)
    with suppress(ValueError):  # a function in C may have no signature
        try:
            inspect.signature(model.build).bind(recipe, sample, **needs)
        except TypeError as error:
            also = "".join(f", {key}" for key in needs)
            why = f"build(recipe, sample{also}) cannot be called so: {error}. The keys of needs are arguments of build"
            raise registry.fault(registry.split(name)[0], why, model.build) from error
    try:
        with torch.random.fork_rng(devices=[]):  # the caller's generator does not change
            torch.manual_seed(derive_seed(recipe.seed, "weights"))
            module: object = model.build(recipe, sample, **needs)
    except PluginError as error:  # an invalid declaration
        raise registry.fault(registry.split(name)[0], str(error), error, model.build) from error
    except Exception as error:
        form = f"{sample.x.kind} data of shape {sample.x.shape}"
        # a ValueError is how a plugin says that it does not take such data; of others the type matters
        why = str(error).strip() if type(error) is ValueError and str(error).strip() else one_line(error)
        said = f"{name} cannot be built for {form}: {' '.join(why.split())[:200]}. Try other data or settings"
        if isinstance(error, ValueError):  # a message of the model for the user, such as that of `Sample.form`
            raise PluginError(f"{said}; ZOO_DEBUG=1 shows where.") from error
        raise registry.fault(registry.split(name)[0], said, error, model.build) from error
    if not isinstance(module, nn.Module):
        raise registry.fault(
            registry.split(name)[0],
            f"build returns {typed.shown(module)}, and must return a torch.nn.Module",
            model.build,
        )
    parts = dict(module.named_modules())
    for path in model.frozen:
        if not path or path not in parts:
            raise registry.fault(
                registry.split(name)[0],
                f"frozen = {model.frozen!r}, and {type(module).__name__} has no submodule {path!r}."
                f"{suggest(path, filter(None, parts))}",
                model.build,
            )
        _held(parts[path])
    return module


def _held(module: nn.Module, name: str = "") -> nn.Module:
    """A module, frozen and in eval mode; marked as the needed release `name`, if it is one."""
    if name:
        setattr(module, NEEDED, name)
    return module.requires_grad_(False).eval()


def recorded(needs: Any, where: str) -> dict[str, nn.Module]:
    """The modules of needed releases as a run or a manifest describes them; see :func:`zoo.modules.needs.describe`.

    Their plugins must be installed. A release that is installed under its name, with the same hash, gives its weights;
    else they are fresh, for weights that come from elsewhere. Raises :class:`ReleaseError` that names `where` for a
    description that is damaged.
    """
    made = {}
    try:
        for key, entry in dict(needs or {}).items():
            name, sha256 = str(entry["name"]), entry["sha256"]
            module = _installed(name, sha256)
            if module is None:
                model = _model(name, f"{where} needs {name}")
                recipe = settings.from_json(type(next(iter(model.recipes.values()))), dict(entry["recipe"]))
                sample = sample_from_json(entry["sample"], f"{where}: needs {key!r}")
                module = build(model, recipe, sample, name, recorded(entry["needs"], where)).eval()
            made[key] = _held(remove_parametrizations(module), name)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ReleaseError(f"{where} is damaged: needs is not usable ({one_line(error)[:100]}).") from error
    return made


def _installed(name: str, sha256: str) -> nn.Module | None:
    """The module of the release that is installed under a name, if its manifest has this hash; else None."""
    try:
        folder = find(name)
        return of_release(read(folder)) if files.sha256(folder / MANIFEST) == sha256 else None
    except ZooError:
        return None


def _model(name: str, purpose: str) -> Model:
    """The model of ``model.recipe``; :class:`NotFoundError` if its plugin is not installed."""
    plugin = registry.split(name)[0]
    if plugin not in registry.plugins():
        raise NotFoundError(f"{purpose}, and no plugin of {plugin!r} is installed. Install the one that has it.")
    return registry.load(plugin)


def _loaded(model: Model, recipe: Recipe, name: str) -> dict[str, nn.Module]:
    """The modules of the releases that a model needs; :class:`PluginError` for one that torch cannot load."""
    found = {}
    for key, release in needed(model, recipe, name).items():
        try:
            found[key] = _held(of_release(release), release.name)
        except ZooError as error:
            said = f"{name} needs the release {release.name!r} as {key!r}: {error}"
            raise registry.fault(registry.split(name)[0], said, model.build) from error
    return found


def remove_parametrizations(module: nn.Module) -> nn.Module:
    """Replace every parametrised weight, such as a spectrally normalised one, by its plain value."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    return module


def load_module(source: str | Path) -> nn.Module:
    """Load the ``torch.nn.Module`` of a release, with its weights, in eval mode on the CPU, for fine-tuning.

    The release's plugin must be installed. Submodules that no task uses, such as a GAN's critic, are not in a release
    and have fresh weights. Parametrisations such as spectral norm are folded into plain weights. The plugin defines the
    module's ``forward``: docs/how-to/fine-tune.md has a table of zoo's own models. The modules of releases that
    the model needs are built as its manifest describes them; where no task uses them, they have their released weights
    if that release is installed, and fresh ones if not.
    """
    return of_release(read(find(source)))


def _where(origin: Mapping[str, str]) -> str:
    """Where a release says that its plugin is: a command for names that pip takes, and that a shell leaves alone."""
    distribution, version = origin["distribution"], origin["version"]
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", distribution) and re.fullmatch(r"[A-Za-z0-9.+!_-]+", version):
        return f"By the release, which nobody has checked: pip install {distribution}=={version}"
    return f"The release names the package {distribution[:80]!r} {version[:40]!r}, which cannot be right"


def check_plugin(release: Release) -> str:
    """The name of a release's plugin. Raises :class:`NotFoundError` if it is not installed."""
    name = registry.split(release.name)[0]
    if name not in registry.plugins():
        raise NotFoundError(
            f"The plugin of {name!r} is not installed, and torch needs it. {_where(release.manifest['plugin'])}. "
            "ONNX Runtime runs the release without it."
        )
    return name


def of_release(release: Release) -> nn.Module:
    """The module of a release. Raises :class:`ReleaseError` if its weights do not fit the installed plugin."""
    path = release.weights()
    name = check_plugin(release)
    model = registry.load(name)
    recipe = settings.from_json(type(next(iter(model.recipes.values()))), release.manifest["recipe"])
    needs = recorded(release.manifest["provenance"].get("needs"), str(release.folder / MANIFEST))
    module = remove_parametrizations(build(model, recipe, release.sample, release.name, needs).eval())
    try:
        tensors = load_file(path)
    except Exception as error:
        raise ReleaseError(f"{path} cannot be read: {one_line(error)}.") from error
    tensors |= {alias: tensors[name] for alias, name in release.manifest.get("tied", {}).items() if name in tensors}
    wanted = module.state_dict()
    left_out = set(release.manifest.get("left_out", ()))
    wrong = [name for name in tensors if not name.startswith("zoo.") and name not in wanted]
    wrong += [name for name in wanted if name not in tensors and name not in left_out]
    wrong += [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    if wrong:
        plugin = release.manifest.get("plugin", {})
        raise ReleaseError(
            f"The weights in {release.folder} do not fit the installed plugin (first: {wrong[0]}): "
            f"they were made by {plugin.get('distribution')} {plugin.get('version')}."
        )
    module.load_state_dict({name: tensor for name, tensor in tensors.items() if name in wanted}, strict=False)
    return module.eval()
