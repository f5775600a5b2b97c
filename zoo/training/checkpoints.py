"""Checkpoints of a run: one safetensors file each, written beside its place and renamed; no pickle.

A file ``step-00001000.safetensors`` holds the module (``module.NAME``), every optimiser
(``optimiser.PHASE.PARAMETER.NAME``), and as metadata the step and the measures.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo import files
from zoo.errors import NotFoundError, TrainingError, ZooError, one_line

FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True, kw_only=True)
class State:
    """What a checkpoint says of its run."""

    step: int = 0
    """Training steps that are done."""
    seconds: float = 0.0
    """Time that they took, on the wall."""
    device: str = ""
    """What they ran on, in words."""
    measures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    measured: int = 0
    """Test samples that the measures are the mean over."""
    rank: float | None = None
    """The first measure on the samples that every checkpoint is measured on: the lowest is the best."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read."""

    tensors: Mapping[str, Tensor]
    state: State


def path_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / FOLDER / f"step-{step:08d}.safetensors"


def steps(run: Path) -> list[int]:
    """The steps of the checkpoints that a run holds, oldest first."""
    names = [path.name for path in (run / FOLDER).glob("step-*.safetensors")]
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def write(run: Path, state: State, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> Path:
    """Write the checkpoint of a run as it is, then remove all but the newest two and the best."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for phase, optimiser in enumerate(optimisers):
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{phase}.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    path = path_of(run, state.step)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, beside, {"zoo": json.dumps(dataclasses.asdict(state))})
        files.share(beside)
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} could not be written: {one_line(error)}. Checkpoints that are there are kept."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    for old in set(steps(run)[:-2]) - {best(run)}:
        path_of(run, old).unlink(missing_ok=True)
    return path


def read(run: Path, which: str = "last") -> Checkpoint:
    """The checkpoint "last", "best", or of a step given in digits.

    Raises :class:`NotFoundError` where it is not there, and :class:`TrainingError` for a file that is damaged.
    """
    held = steps(run)
    if not held:
        raise NotFoundError(f"{run} holds no checkpoint.")
    if which == "last":
        step = held[-1]
    elif which == "best":
        found = best(run)
        if found is None:
            raise NotFoundError(f"{run} has no best checkpoint: its model has no measure. Use --checkpoint last.")
        step = found
    elif which.isdigit() and int(which) in held:
        step = int(which)
    else:
        raise NotFoundError(f"{run} has no checkpoint {which!r}. There are: last, best, {', '.join(map(str, held))}.")
    path = path_of(run, step)
    try:
        with safe_open(path, "pt") as file:
            state = State(**json.loads(file.metadata()["zoo"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return Checkpoint(tensors, state)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        older = ", ".join(str(other) for other in held if other != step)
        hint = f"Remove it to go on from step {older}." if older else "Remove the run folder and train again."
        raise TrainingError(f"{path} is damaged: {one_line(error)}. {hint}") from error


def restore(checkpoint: Checkpoint, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """Put a checkpoint's tensors into a module and its optimisers."""
    load_module(checkpoint, module)
    for phase, optimiser in enumerate(optimisers):
        whole: dict[str, Any] = optimiser.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.tensors.items():
            if name.startswith(f"optimiser.{phase}."):
                _, _, index, key = name.split(".", 3)
                state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def load_module(checkpoint: Checkpoint, module: nn.Module) -> None:
    """Put a checkpoint's weights into a module."""
    weights = {name[7:]: tensor for name, tensor in checkpoint.tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ZooError(f"The checkpoint does not fit the installed plugin: {one_line(error)[:300]}.") from error


def best(run: Path) -> int | None:
    """The step of the best of the checkpoints that are there; None where none is measured."""
    ranks = {}
    for step in steps(run):
        try:
            with safe_open(path_of(run, step), "pt") as file:
                rank = json.loads(file.metadata()["zoo"])["rank"]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            continue
        if rank is not None:
            ranks[step] = rank
    return min(ranks, key=lambda step: (ranks[step], -step)) if ranks else None
