"""Checkpoints of a run: one safetensors file each, written beside its place and renamed; no pickle.

A file ``step-00001000.safetensors`` holds the module (``module.NAME``), the EMA of its weights where the recipe
asks for them (``ema.NAME``), every optimiser (``optimiser.PHASE.PARAMETER.NAME``), and as metadata the state of the run
and the SHA-256 of it all.
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
from zoo.training.distributed import put, whole
from zoo.training.ema import EMA

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
    unsaid: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The latest value of each loss term since the last line of metrics.jsonl."""
    measures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    measured: int = 0
    """Samples that the measures are the mean over."""
    split: str = ""
    """Where those are from: "validation" or "test"."""
    score: float | None = None
    """The measure that chooses the best checkpoint, negated where higher is better: the lowest is the best."""
    record: float | None = None
    """The lowest score so far."""
    waited: int = 0
    """Checkpoints since the record."""
    ended: bool = False
    """Whether the run was stopped early, and is complete."""
    processes: int = 1


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


def collect(module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], ema: EMA | None) -> dict[str, Tensor]:
    """All tensors of a run as it is, whole and on the CPU; where they are split, every process must ask for them."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if ema is not None:
        tensors |= {f"ema.{name}": tensor for name, tensor in ema.named()}
    for phase, optimiser in enumerate(optimisers):
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{phase}.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    return {name: whole(tensor.detach()).cpu().contiguous().clone() for name, tensor in tensors.items()}


def write(run: Path, state: State, tensors: Mapping[str, Tensor]) -> Path:
    """Write the checkpoint of a run, then remove all but the newest two and the best."""
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
            f"{path} could not be written: {one_line(error)}. Checkpoints that are there are kept."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()
    for old in set(steps(run)[:-2]) - {best(run)}:
        path_of(run, old).unlink(missing_ok=True)
    return path


def _digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a checkpoint's state and tensors, in the order of their names."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read(run: Path, which: str = "last", hint: str = "") -> Checkpoint:
    """The checkpoint "last", "best", or of a step given in digits. `hint` says what to do where it is damaged.

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
            raise NotFoundError(
                f"{run} has no best checkpoint: none has a value of the metric that chooses it (early_stop, or the "
                "model's first without a limit). Use --checkpoint last."
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
        others = f"Others are there: --checkpoint {older}." if older else "Start the run anew with --force."
        raise TrainingError(f"{path} is damaged: {one_line(error)}. {hint or others}") from error


def newest(run: Path, say: Callable[[str], None]) -> bytes:
    """The content of the newest checkpoint that is sound; nothing where the run has none yet.

    Newer ones that are damaged are renamed and reported. Raises :class:`TrainingError` if none is sound.
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
        raise TrainingError(f"No checkpoint of {run} is sound: {path} is damaged ({why}). Start anew with --force.")
    for path, why in damaged.items():
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        say(f"{path} is damaged ({why}). It is now {aside.name}, and the run goes on from an older one.")
    return content


def parse(content: bytes) -> Checkpoint:
    """The checkpoint in the content of a file; :class:`ValueError` unless it has the SHA-256 that it names."""
    try:
        tensors = dict(sorted(load(content).items()))  # in one order in every process
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        sound = metadata["sha256"] == _digest(metadata["zoo"], tensors)
        state = State(**json.loads(metadata["zoo"]))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(one_line(error)) from error
    if not sound:
        raise ValueError("its SHA-256 is not the one that it names")
    return Checkpoint(tensors, state)


def restore(
    checkpoint: Checkpoint, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], ema: EMA | None
) -> None:
    """Put a checkpoint's tensors into a module, its optimisers and its EMA weights, split as those are."""
    own = module.state_dict()
    load_module({name: put(tensor, own[name]) for name, tensor in _part(checkpoint, "module") if name in own}, module)
    if ema is not None:
        held = dict(_part(checkpoint, "ema"))
        for name, weight in ema.named():
            weight.copy_(put(held[name], weight))
    for phase, optimiser in enumerate(optimisers):
        whole_state: dict[str, Any] = optimiser.state_dict()
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(checkpoint, f"optimiser.{phase}"):
            index, key = name.split(".", 1)
            like = parameters[int(index)]
            state.setdefault(int(index), {})[key] = put(tensor, like) if tensor.shape == like.shape else tensor
        optimiser.load_state_dict({"state": state, "param_groups": whole_state["param_groups"]})


def _part(checkpoint: Checkpoint, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(f"{prefix}."):
            yield name.removeprefix(f"{prefix}."), tensor


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The state dict that a release is made of: the EMA weights where the run keeps them, else the weights."""
    return dict(_part(checkpoint, "module")) | dict(_part(checkpoint, "ema"))


def load_module(tensors: Mapping[str, Tensor], module: nn.Module) -> None:
    """Put a state dict into a module; :class:`ZooError` where it does not fit."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise ZooError(f"The checkpoint does not fit the installed plugin: {one_line(error)[:300]}.") from error


def best(run: Path) -> int | None:
    """The step of the best of the checkpoints that are there; None where none is measured."""
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
