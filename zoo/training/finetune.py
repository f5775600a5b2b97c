"""Starting from weights that are there: ``zoo train NAME --from SOURCE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.contract.specs import Sample
from zoo.core import files
from zoo.core.errors import ReleaseError, TrainingError, one_line
from zoo.data import NAMED, DataSet
from zoo.plugin import Model, Recipe
from zoo.release import MANIFEST, read
from zoo.release.resolve import find, run_folder
from zoo.training import checkpoints
from zoo.training import run_folder as runs
from zoo.training.rows import Rows, differing


@dataclass(frozen=True)
class Origin:
    """The weights that a run started from."""

    name: str
    """``model.recipe``, and the step of a run."""
    sha256: str
    """Of the release's manifest, or of the run's checkpoint."""
    tensors: dict[str, Tensor]
    sample: Sample | None = None
    """The form of what they were trained on."""
    classes: tuple[str, ...] = ()
    """The names of its classes; () where they are not known."""


@dataclass(frozen=True)
class Match:
    """Which tensors of a module were taken over."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    """Those that have no partner of their name and shape."""
    rows: tuple[str, ...] = ()
    """What became of the rows that stand for characters and classes, where these differ."""

    def words(self) -> str:
        """In one line, for people."""
        text = f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors matched"
        if self.fresh:
            more = f" and {len(self.fresh) - 5} more" if len(self.fresh) > 5 else ""
            text += f"; fresh: {', '.join(self.fresh[:5])}{more}"
        return "; ".join([text, *self.rows])


def origin(source: str | Path) -> Origin:
    """The weights of a SOURCE: of the checkpoint that a run folder releases, which has all of them, else a release."""
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
    """The names of the classes of what was trained on, as far as its description or its name says them."""
    about = data if isinstance(data, Mapping) else {}
    names = about.get("classes") or getattr(NAMED.get(str(about.get("name"))), "classes", ())
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names) if len(names) == sample.classes else ()


def describe(weights: Origin | None, match: Match | None) -> dict[str, str | int | list[str]] | None:
    """Where a run's weights come from, as its description and its release say it."""
    if weights is None or match is None:
        return None
    return {
        "name": weights.name,
        "sha256": weights.sha256,
        "matched": len(match.taken),
        "fresh": len(match.fresh),
        **({"rows": list(match.rows)} if match.rows else {}),
    }


def start(module: nn.Module, weights: Origin, model: Model, recipe: Recipe, data: DataSet, name: str) -> Match:
    """Start a module that is to be trained on `data` from weights: see :func:`start_from`."""
    if weights.sample is None:
        return start_from(module, weights)
    old, new = (weights.sample, weights.classes), (data.sample, data.classes)
    return start_from(module, weights, differing(*old, *new, model, recipe, name))


@torch.no_grad()
def start_from(module: nn.Module, weights: Origin, rows: Sequence[Rows] = ()) -> Match:
    """Copy every tensor that a module has by the same name and shape.

    Where the characters or classes of the data are others, or in another order, the rows that stand for them are moved
    to their places; those of what is new stay fresh. The plain weight of a release goes into a parametrised one, such
    as spectral norm's, by the parametrisation's own right inverse. Raises :class:`TrainingError` if not a single tensor
    matches.
    """
    state = module.state_dict()
    taken, fresh = [], []
    for name, tensor in state.items():
        plain = _plain(name)
        if name in weights.tensors and (held := _moved(name, weights.tensors[name], tensor, rows)) is not None:
            tensor.copy_(held)
            taken.append(name)
        elif plain and plain in weights.tensors and _set(module, plain, name, weights.tensors[plain], rows):
            taken.append(name)
        elif tensor.is_floating_point():  # counters, such as BatchNorm's, are no weights
            fresh.append(name)
    if not taken:
        raise TrainingError(
            f"None of the {len(state)} tensors has a partner of its name and shape in {weights.name}. "
            "Start from weights of the same model and sizes."
        )
    return Match(tuple(taken), tuple(fresh), tuple(one.describe() for one in rows))


def _moved(name: str, tensor: Tensor, into: Tensor, rows: Sequence[Rows]) -> Tensor | None:
    """A tensor as it goes into another one of that name; None where it does not fit."""
    for one in rows:
        if name in one.axes:
            return one.move(name, tensor, into)
    return tensor if tensor.shape == into.shape else None


def _plain(name: str) -> str:
    """``conv.weight`` for ``conv.parametrizations.weight.original``; nothing for any other name."""
    part, mark, rest = name.partition("parametrizations.")
    return part + rest.removesuffix(".original") if mark and rest.endswith(".original") else ""


def _set(module: nn.Module, name: str, original: str, tensor: Tensor, rows: Sequence[Rows]) -> bool:
    """Set a parametrised weight, which the module keeps as `original`, if it has that shape."""
    path, _, attribute = name.rpartition(".")
    part = module.get_submodule(path)
    if not parametrize.is_parametrized(part, attribute):
        return False
    held = _moved(original, tensor, getattr(part, attribute), rows)
    if held is None:
        return False
    setattr(part, attribute, held)
    return True


def check_origin(folder: Path, origin: Origin | None) -> dict[str, Any]:
    """The weights that a run started from, as its description says; {} for a run that did not start from any.

    Raises :class:`TrainingError` where `origin`, which --from gives now, is of another name.
    """
    recorded = runs.described(folder).get("from") or {}
    if origin is not None and not recorded:
        raise TrainingError(
            f"{folder} started from fresh weights, and --from was given. Leave it out, or start anew with --force."
        )
    # After the comma is the step of a run, which may have gone on since.
    if origin is not None and recorded["name"].partition(",")[0] != origin.name.partition(",")[0]:
        raise TrainingError(
            f"{folder} started from {recorded['name']}, and --from gives {origin.name}. "
            "Give the same, or start anew with --force."
        )
    return dict(recorded)
