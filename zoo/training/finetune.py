"""Starting from weights that are there: ``zoo train NAME --from SOURCE``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo import files
from zoo.errors import ReleaseError, TrainingError, one_line
from zoo.release import MANIFEST, read
from zoo.sources import find, run_folder
from zoo.training import checkpoints, runs


@dataclass(frozen=True)
class Origin:
    """The weights that a run started from."""

    name: str
    """``model.recipe``, and the step of a run."""
    sha256: str
    """Of the release's manifest, or of the run's checkpoint."""
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Match:
    """Which tensors of a module were taken over."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    """Those that have no partner of their name and shape."""

    def words(self) -> str:
        """In one line, for people."""
        text = f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors matched"
        if self.fresh:
            more = f" and {len(self.fresh) - 5} more" if len(self.fresh) > 5 else ""
            text += f"; fresh: {', '.join(self.fresh[:5])}{more}"
        return text


def origin(source: str | Path) -> Origin:
    """The weights of a SOURCE: of the checkpoint that a run folder releases, which has all of them, else a release."""
    folder = run_folder(source)
    if folder is not None and checkpoints.steps(folder):
        about, _, recipe, _ = runs.model_of(folder)
        hint = f"Name a release instead: zoo export {source} --to DIR"
        held = checkpoints.read(folder, runs.released(recipe), hint)
        path = checkpoints.path_of(folder, held.state.step)
        return Origin(f"{about['name']}, step {held.state.step}", files.sha256(path), checkpoints.weights(held))
    release = read(find(source))
    path = release.weights()
    try:
        tensors = load_file(path)
    except Exception as error:
        raise ReleaseError(f"{path} cannot be read: {one_line(error)}.") from error
    tensors |= {alias: tensors[name] for alias, name in release.manifest["tied"].items() if name in tensors}
    return Origin(release.name, files.sha256(release.folder / MANIFEST), tensors)


def describe(weights: Origin | None, match: Match | None) -> dict[str, str | int] | None:
    """Where a run's weights come from, as its description and its release say it."""
    if weights is None or match is None:
        return None
    return {"name": weights.name, "sha256": weights.sha256, "matched": len(match.taken), "fresh": len(match.fresh)}


@torch.no_grad()
def start_from(module: nn.Module, weights: Origin) -> Match:
    """Copy every tensor that a module has by the same name and shape.

    The plain weight of a release goes into a parametrised one, such as spectral norm's, by the parametrisation's own
    right inverse. Raises :class:`TrainingError` if not a single tensor matches.
    """
    state = module.state_dict()
    taken, fresh = [], []
    for name, tensor in state.items():
        plain = _plain(name)
        if name in weights.tensors and weights.tensors[name].shape == tensor.shape:
            tensor.copy_(weights.tensors[name])
            taken.append(name)
        elif plain and plain in weights.tensors and _set(module, plain, weights.tensors[plain]):
            taken.append(name)
        elif tensor.is_floating_point():  # counters, such as BatchNorm's, are no weights
            fresh.append(name)
    if not taken:
        raise TrainingError(
            f"None of the {len(state)} tensors has a partner of its name and shape in {weights.name}. "
            "Start from weights of the same model and sizes."
        )
    return Match(tuple(taken), tuple(fresh))


def _plain(name: str) -> str:
    """``conv.weight`` for ``conv.parametrizations.weight.original``; nothing for any other name."""
    part, mark, rest = name.partition("parametrizations.")
    return part + rest.removesuffix(".original") if mark and rest.endswith(".original") else ""


def _set(module: nn.Module, name: str, tensor: Tensor) -> bool:
    """Set a parametrised weight, if it has that shape."""
    path, _, attribute = name.rpartition(".")
    part = module.get_submodule(path)
    if not parametrize.is_parametrized(part, attribute) or getattr(part, attribute).shape != tensor.shape:
        return False
    setattr(part, attribute, tensor)
    return True
