"""Checks of training: losses, what moves and what does not, exact resume, and the weights that are released."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.core.errors import PluginError
from zoo.modules import build, load_module
from zoo.release import WEIGHTS
from zoo.testing.subject import Subject
from zoo.training import frozen, run_folder

FORBIDDEN = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".bin")


def training(subject: Subject) -> str:
    """The recipe ``tiny`` trains: each loss term of each step is finite, and each phase moves its weights."""
    lines = _terms(subject.run)
    if [line["step"] for line in lines] != list(range(1, subject.recipe.steps + 1)):
        raise PluginError(f"{subject.run / run_folder.METRICS} does not have a line for each step.")
    for line in lines:
        for name, value in line["terms"].items():
            if not math.isfinite(value):
                raise subject.fault(
                    f"the loss term {name!r} is {value} at step {line['step']}. Lower the learning rate, or bound what "
                    "is exponentiated, divided by, or taken the logarithm of",
                    *_losses(subject),
                )
    before, after = _fresh(subject), subject.tensors(subject.run)
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[f"module.{name}"])}
    module = _module(subject)
    for objective in subject.model.phases(subject.recipe, module):
        for path in objective.params or ("",):
            if not any(name.startswith(path) for name in moved):
                raise subject.fault(f"a phase moves no weight of {path or 'the module'}", objective.loss)
    last = ", ".join(f"{name} {value:.4g}" for name, value in lines[-1]["terms"].items())
    return f"{subject.recipe.steps} steps; {last}"


def frozen_parts(subject: Subject) -> str:
    """What is declared frozen, and released models that the model needs, are as they were."""
    module = _module(subject)
    held = frozen.paths(subject.model, module)
    after = subject.tensors(subject.run)
    for name, tensor in module.state_dict().items():
        if frozen.inside(name, held) and not torch.equal(tensor, after[f"module.{name}"]):
            raise subject.fault(f"training changes {name!r}, which is frozen", *_losses(subject))
    return ", ".join(held)


def resume(subject: Subject) -> str:
    """The same seed gives the same bits, and so does a run that is killed and resumed."""
    one, other = subject.tensors(subject.run), subject.tensors(subject.killed)
    differing = [name for name in one if name not in other or not torch.equal(one[name], other[name])]
    if differing or len(one) != len(other):
        raise subject.fault(
            f"a run that is killed and resumed ends with another {differing[0]} than one that is not. Draw random "
            "numbers with torch, and hold what changes in parameters, buffers or optimisers",
            *_losses(subject),
        )
    if _terms(subject.run) != _terms(subject.killed):
        raise subject.fault("a run that is killed and resumed has other losses than one that is not", *_losses(subject))
    return f"{len(one)} tensors are the same, bit for bit"


def weights(subject: Subject) -> str:
    """The release holds the weights of the checkpoint, once, as safetensors, and nothing that is pickled."""
    folder = subject.release.folder
    if stray := [path.name for path in folder.iterdir() if path.suffix in FORBIDDEN]:
        raise PluginError(f"{folder} has {', '.join(stray)}, and a release holds its weights as safetensors only.")
    held, state = load_file(folder / WEIGHTS), load_module(folder).state_dict()
    after = subject.tensors(subject.run)
    common = [name for name in state if name in held]
    if not common:
        raise subject.fault("no task uses any weight of the module", subject.model.tasks)
    for name in common:
        if not torch.equal(state[name], after[f"module.{name}"]):
            raise subject.fault(f"{name!r} in the release is not as in the checkpoint", subject.model.build)
    return f"{len(common)} of {len(state)} tensors, {sum(held[name].nbytes for name in common):,} bytes"


def _terms(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics with loss terms, without their times."""
    lines = [json.loads(line) for line in (run / run_folder.METRICS).read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines if "terms" in line]


def _module(subject: Subject) -> torch.nn.Module:
    """A module as it is before the first step of ``tiny``."""
    _, model, recipe, sample = run_folder.model_of(subject.run)
    return build(model, recipe, sample, subject.name)


def _fresh(subject: Subject) -> dict[str, Tensor]:
    return dict(_module(subject).named_parameters())


def _losses(subject: Subject) -> list[object]:
    """The functions to look at: those of the losses."""
    declared = subject.model.objectives
    return [declared] if callable(declared) else [objective.loss for objective in declared]
