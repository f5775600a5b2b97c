"""Checkpoints of a run: one safetensors file each, written atomically (temporary file, then rename); no pickle.

A file ``step-00001000.safetensors`` holds the module (``module.NAME``), the EMA weights if the recipe uses them
(``ema.NAME``) and the tensors of the optimisers' state dicts (``optimiser.NUMBER.PATH``). Its metadata holds the state
of the run, with the rest of these state dicts, and the SHA-256 of state and tensors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor, nn

from zoo.core import files
from zoo.core.errors import NotFoundError, TrainingError, ZooError, one_line
from zoo.training import state_tree
from zoo.training.distributed import put, whole
from zoo.training.ema import EMA

FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of a run, as a checkpoint records it."""

    step: int = 0
    """Completed training steps."""
    seconds: float = 0.0
    """Their wall-clock time."""
    device: str = ""
    """Description of the device that they ran on."""
    pending_terms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The latest value of each loss term since the last line of metrics.jsonl."""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    measured: int = 0
    """The number of samples that the metrics are averaged over."""
    split: str = ""
    """The split of these samples: "validation" or "test"."""
    score: float | None = None
    """The value of the metric that selects the best checkpoint, negated if higher is better: lowest is best."""
    best_score: float | None = None
    """The lowest score so far."""
    checkpoints_since_best: int = 0
    """Checkpoints since the best score."""
    ended: bool = False
    """Whether early stopping has completed the run."""
    processes: int = 1
    optimisers: Sequence[Any] = ()
    """The state dict of each optimiser, as :mod:`zoo.training.state_tree` writes it."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read."""

    tensors: Mapping[str, Tensor]
    state: State


def path_of(run: Path, step: int) -> Path:
    """The path of the checkpoint of a step."""
    return run / FOLDER / f"step-{step:08d}.safetensors"


def steps(run: Path) -> list[int]:
    """The steps of the checkpoints in a run folder, oldest first."""
    names = [path.name for path in (run / FOLDER).glob("step-*.safetensors")]
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def collect(
    module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], ema: EMA | None
) -> tuple[dict[str, Tensor], list[Any]]:
    """All tensors of a run, unsharded and on the CPU, and :attr:`State.optimisers`.

    With sharded weights, every process must call this.
    """
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if ema is not None:
        tensors |= {f"ema.{name}": tensor for name, tensor in ema.named()}
    trees = []
    for number, optimiser in enumerate(optimisers):
        tree, held = state_tree.flatten(optimiser.state_dict())
        trees.append(tree)
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in held.items()}
    return {name: whole(tensor.detach()).cpu().contiguous().clone() for name, tensor in tensors.items()}, trees


def write(run: Path, state: State, tensors: Mapping[str, Tensor]) -> Path:
    """Write the checkpoint of a run, then remove all checkpoints but the newest two and the best."""
    path = path_of(run, state.step)
    beside = path.with_name(f".{path.name}.partial")
    about = json.dumps(dataclasses.asdict(state))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(tensors), beside, {"zoo": about, "sha256": _digest(about, tensors)})
        files.share(beside)
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} could not be written: {one_line(error)}. Existing checkpoints are kept."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()
    for old in set(steps(run)[:-2]) - {best(run)}:
        path_of(run, old).unlink(missing_ok=True)
    return path


def _digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a checkpoint's state, and of its tensors in the order of their names."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read(run: Path, which: str = "last", hint: str = "") -> Checkpoint:
    """Read the checkpoint "last", "best", or of a step in digits; `hint` is the next step if the file is damaged.

    Raises :class:`NotFoundError` if there is no such checkpoint, and :class:`TrainingError` for a damaged file.
    """
    held = steps(run)
    if not held:
        raise NotFoundError(f"{run} holds no checkpoint.")
    if which == "last":
        step = held[-1]
    elif which == "best":
        found = best(run)
        if found is None:
            raise NotFoundError(
                f"{run} has no best checkpoint: none has a value of the metric that selects it (early_stop, or the "
                "model's first metric without a limit). Use --checkpoint last."
            )
        step = found
    elif which.isdigit() and int(which) in held:
        step = int(which)
    else:
        raise NotFoundError(f"{run} has no checkpoint {which!r}. There are: last, best, {', '.join(map(str, held))}.")
    path = path_of(run, step)
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError) as error:
        older = ", ".join(str(other) for other in held if other != step)
        others = f"Use another one: --checkpoint {older}." if older else "Start the run again with --force."
        raise TrainingError(f"{path} is damaged: {one_line(error)}. {hint or others}") from error


def newest(run: Path, say: Callable[[str], None]) -> bytes:
    """The content of the newest intact checkpoint; b"" if the run has none yet.

    Damaged newer checkpoints are renamed and reported. Raises :class:`TrainingError` if none is intact.
    """
    damaged: dict[Path, str] = {}
    content = b""
    for step in reversed(steps(run)):
        path = path_of(run, step)
        try:
            content = path.read_bytes()
            parse(content)
            break
        except (OSError, ValueError) as error:
            damaged[path], content = one_line(error), b""
    if damaged and not content:
        path, why = next(iter(damaged.items()))
        raise TrainingError(f"No checkpoint of {run} is intact: {path} is damaged ({why}). Start again with --force.")
    for path, why in damaged.items():
        renamed = path.with_name(f"{path.name}.damaged")
        os.replace(path, renamed)
        say(f"{path} is damaged ({why}). It was renamed {renamed.name}; the run continues from an older checkpoint.")
    return content


def parse(content: bytes) -> Checkpoint:
    """Parse the content of a checkpoint file; raise :class:`ValueError` unless its SHA-256 matches."""
    try:
        tensors = dict(sorted(load(content).items()))  # the same order in every process
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        intact = metadata["sha256"] == _digest(metadata["zoo"], tensors)
        state = State(**json.loads(metadata["zoo"]))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(one_line(error)) from error
    if not intact:
        raise ValueError("its SHA-256 does not match its content")
    return Checkpoint(tensors, state)


def restore(
    checkpoint: Checkpoint, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], ema: EMA | None
) -> None:
    """Load a checkpoint's tensors into a module, its optimisers and its EMA weights, sharded as these are."""
    own = module.state_dict()
    load_module({name: put(tensor, own[name]) for name, tensor in _part(checkpoint, "module") if name in own}, module)
    if ema is not None:
        held = dict(_part(checkpoint, "ema"))
        for name, weight in ema.named():
            weight.copy_(put(held[name], weight))
    if len(checkpoint.state.optimisers) != len(optimisers):
        raise ZooError(
            f"The checkpoint does not fit the installed plugin: it has {len(checkpoint.state.optimisers)} optimisers, "
            f"and the plugin has {len(optimisers)}."
        )
    for number, (optimiser, tree) in enumerate(zip(optimisers, checkpoint.state.optimisers, strict=True)):
        try:
            tensors = dict(_part(checkpoint, f"optimiser.{number}"))
            optimiser.load_state_dict(state_tree.unflatten(tree, tensors, _placed(optimiser)))
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ZooError(f"The checkpoint does not fit the installed plugin: {one_line(error)[:300]}.") from error


def _placed(optimiser: torch.optim.Optimizer) -> Callable[[state_tree.Path, Tensor], Tensor]:
    """What places a tensor of a state dict: one like its parameter is sharded as that is, in torch's own layout."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]

    def place(path: state_tree.Path, tensor: Tensor) -> Tensor:
        if len(path) == 3 and path[0] == "state" and isinstance(path[1], int) and path[1] < len(parameters):
            like = parameters[path[1]]
            return put(tensor, like) if tensor.shape == like.shape else tensor
        return tensor

    return place


def _part(checkpoint: Checkpoint, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(f"{prefix}."):
            yield name.removeprefix(f"{prefix}."), tensor


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The state dict to release: the EMA weights if the run has them, else the weights."""
    return dict(_part(checkpoint, "module")) | dict(_part(checkpoint, "ema"))


def load_module(tensors: Mapping[str, Tensor], module: nn.Module) -> None:
    """Load a state dict into a module; raise :class:`ZooError` if it does not fit."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise ZooError(f"The checkpoint does not fit the installed plugin: {one_line(error)[:300]}.") from error


def best(run: Path) -> int | None:
    """The step of the best existing checkpoint; None if none has a score."""
    scores = {}
    for step in steps(run):
        try:
            with safe_open(path_of(run, step), "pt") as file:
                score = json.loads(file.metadata()["zoo"])["score"]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            continue
        if score is not None:
            scores[step] = score
    return min(scores, key=lambda step: (scores[step], step)) if scores else None
