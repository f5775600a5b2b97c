"""Fine-tuning: start a run from existing weights, ``zoo train NAME --from SOURCE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.contract.specs import Array, Sample
from zoo.core import files
from zoo.core.errors import ReleaseError, TrainingError, ZooError, one_line
from zoo.data import DataSplit, data_set
from zoo.hub.resolve import find, run_folder
from zoo.plugin import Model, Recipe
from zoo.release import MANIFEST, read
from zoo.training import checkpoints, frozen
from zoo.training import run_folder as runs
from zoo.training.rows import Rows, differing


@dataclass(frozen=True)
class Origin:
    """The weights that a run started from."""

    name: str
    """``model.recipe``, followed by the step if the source is a run."""
    sha256: str
    """The SHA-256 of the release's manifest, or of the run's checkpoint."""
    tensors: dict[str, Tensor]
    sample: Sample | None = None
    """The form of the samples that the weights were trained on."""
    classes: tuple[str, ...] = ()
    """The names of their classes; () if unknown."""


@dataclass(frozen=True)
class Match:
    """Which tensors of a module were copied from the source."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    """Tensors without a match in name and shape: they keep their initial values."""
    rows: tuple[str, ...] = ()
    """How the rows of characters and classes were moved, if the data's characters or classes differ."""

    def describe(self) -> str:
        """A one-line description."""
        text = f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors matched"
        if self.fresh:
            more = f" and {len(self.fresh) - 5} more" if len(self.fresh) > 5 else ""
            text += f"; fresh: {', '.join(self.fresh[:5])}{more}"
        return "; ".join([text, *self.rows])


def origin(source: str | Path) -> Origin:
    """Read the weights of a SOURCE: of a run folder's checkpoint, which has all tensors, or of a release."""
    folder = run_folder(source)
    if folder is not None and checkpoints.steps(folder):
        about, _, recipe, sample = runs.model_of(folder)
        hint = f"Name a release instead: zoo export {source} -o DIR"
        held = checkpoints.read(folder, runs.released(recipe), hint)
        path = checkpoints.path_of(folder, held.state.step)
        name, classes = f"{about['name']}, step {held.state.step}", _classes(about["data"], sample)
        return Origin(name, files.sha256(path), checkpoints.weights(held), sample, classes)
    release = read(find(source))
    path = release.weights()
    try:
        tensors = load_file(path)
    except Exception as error:
        raise ReleaseError(f"{path} cannot be read: {one_line(error)}.") from error
    tensors |= {alias: tensors[name] for alias, name in release.manifest["tied"].items() if name in tensors}
    classes = _classes(release.manifest["provenance"].get("data"), release.sample)
    return Origin(release.name, files.sha256(release.folder / MANIFEST), tensors, release.sample, classes)


def _classes(data: Any, sample: Sample) -> tuple[str, ...]:
    """The names of the training data's classes, from its description or its name; () if unknown."""
    about = data if isinstance(data, Mapping) else {}
    names = about.get("classes") or _named_classes(str(about.get("name")))
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names) if len(names) == sample.classes else ()


def _named_classes(name: str) -> tuple[str, ...]:
    """The names of the classes of a named data set; () if there is none of that name."""
    try:
        return () if ":" in name else data_set(name).classes
    except ZooError:
        return ()


def describe(weights: Origin | None, match: Match | None) -> dict[str, str | int | list[str]] | None:
    """The origin of a run's weights, as recorded in ``recipe.json`` and in its release."""
    if weights is None or match is None:
        return None
    return {
        "name": weights.name,
        "sha256": weights.sha256,
        "matched": len(match.taken),
        "fresh": len(match.fresh),
        **({"rows": list(match.rows)} if match.rows else {}),
    }


def start(module: nn.Module, weights: Origin, model: Model, recipe: Recipe, data: DataSplit, name: str) -> Match:
    """Initialise a module, to be trained on `data`, from weights: see :func:`start_from`."""
    if weights.sample is None:
        return start_from(module, weights)
    _check_columns(weights, data)
    old, new = (weights.sample, weights.classes), (data.sample, data.classes)
    return start_from(module, weights, differing(*old, *new, model, recipe, name))


def _check_columns(weights: Origin, data: DataSplit) -> None:
    """Raise :class:`TrainingError` if the data has the columns that the weights were trained on, in another order."""
    old, new = weights.sample.x if weights.sample else None, data.sample.x
    before, now = (x.names if isinstance(x, Array) else () for x in (old, new))
    if before != now and sorted(before) == sorted(now):
        raise TrainingError(
            f"{data.name} has the columns of {weights.name} in another order. "
            f"Put them in its order: {', '.join(before[:20])}."
        )


@torch.no_grad()
def start_from(module: nn.Module, weights: Origin, rows: Sequence[Rows] = ()) -> Match:
    """Copy every tensor with the same name and shape into a module.

    If the data has other characters or classes, or another order, their rows are moved to their new places, and the
    rows of new characters or classes keep their initial values. A release's plain weight is set on a parametrised
    weight, such as spectral norm's, by the parametrisation's right inverse. Raises :class:`TrainingError` if no tensor
    matches.
    """
    state = module.state_dict()
    taken, fresh = [], []
    needed = frozen.needed(module)
    for name, tensor in state.items():
        if frozen.inside(name, needed):  # it has the weights of its own release
            continue
        plain = _plain(name)
        if name in weights.tensors and (moved := _moved(name, weights.tensors[name], tensor, rows)) is not None:
            tensor.copy_(moved)
            taken.append(name)
        elif plain and plain in weights.tensors and _set(module, plain, name, weights.tensors[plain], rows):
            taken.append(name)
        elif tensor.is_floating_point():  # integer counters, such as BatchNorm's, are not weights
            fresh.append(name)
    if not taken:
        raise TrainingError(
            f"None of the {len(state)} tensors has a match in name and shape in {weights.name}. "
            "Start from weights of the same model and sizes."
        )
    return Match(tuple(taken), tuple(fresh), tuple(one.describe() for one in rows))


def _moved(name: str, tensor: Tensor, into: Tensor, rows: Sequence[Rows]) -> Tensor | None:
    """A tensor with its rows moved to fit `into`; None if it does not fit."""
    for one in rows:
        if name in one.axes:
            return one.move(name, tensor, into)
    return tensor if tensor.shape == into.shape else None


def _plain(name: str) -> str:
    """``conv.weight`` for ``conv.parametrizations.weight.original``; "" for any other name."""
    part, mark, rest = name.partition("parametrizations.")
    return part + rest.removesuffix(".original") if mark and rest.endswith(".original") else ""


def _set(module: nn.Module, name: str, original: str, tensor: Tensor, rows: Sequence[Rows]) -> bool:
    """Set a parametrised weight, stored as `original`, if the shapes match; return whether they did."""
    path, _, attribute = name.rpartition(".")
    part = module.get_submodule(path)
    if not parametrize.is_parametrized(part, attribute):
        return False
    moved = _moved(original, tensor, getattr(part, attribute), rows)
    if moved is None:
        return False
    setattr(part, attribute, moved)
    return True


def check_origin(folder: Path, origin: Origin | None) -> dict[str, Any]:
    """The recorded weights that a run started from; {} for a run that started from fresh weights.

    Raises :class:`TrainingError` if `origin`, from the current --from, has another name.
    """
    recorded = runs.described(folder).get("from") or {}
    if origin is not None and not recorded:
        raise TrainingError(
            f"{folder} started from fresh weights, and --from was given. Omit --from, or start again with --force."
        )
    # The text after the comma is the step of a run, which may have been trained further since.
    if origin is not None and recorded["name"].partition(",")[0] != origin.name.partition(",")[0]:
        raise TrainingError(
            f"{folder} started from {recorded['name']}, and --from gives {origin.name}. "
            "Give the same source, or start again with --force."
        )
    return dict(recorded)
