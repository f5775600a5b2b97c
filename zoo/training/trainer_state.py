"""A training run: its data, module, optimisers and state, from step 0 or from its newest checkpoint."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import data
from zoo.core.devices import describe_device
from zoo.core.errors import TrainingError, ZooError
from zoo.core.progress import downloads
from zoo.modules import build
from zoo.modules.tracing import program
from zoo.plugin import Model, Recipe
from zoo.registry import split as split_name
from zoo.training import checkpoints, finetune, frozen, own_metrics, run_folder
from zoo.training.batches import Batches, split
from zoo.training.distributed import World
from zoo.training.ema import EMA
from zoo.training.phases import Phase
from zoo.training.rehearsal import Trace, check_objectives, rehearse


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of training that are not part of the recipe: they change the result only by rounding."""

    compiled: Mapping[str, Any] | None
    sharded: bool
    checkpoint_every: int
    """Steps between two checkpoints."""
    tensorboard: bool
    release: bool
    """Whether to write a release at the end."""
    quiet: bool
    trace: Trace = program
    """The function that traces the tasks before step 0."""


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class TrainingRun:
    """A run in progress: its data, module, optimisers and state."""

    def __init__(
        self,
        name: str,
        model: Model,
        recipe: Recipe,
        folder: Path,
        device: torch.device,
        world: World,
        data_dir: str | Path | None,
        start: str | Path | None,
        resume: bool,
        options: TrainOptions,
    ) -> None:
        self.name, self.model, self.recipe, self.folder = name, model, recipe, folder
        self.device, self.world, self.options = device, world, options
        whole, test = (
            data.load(
                recipe.data, split, data_dir=data_dir, progress=downloads(options.quiet), **data.form(vars(recipe))
            )
            for split in ("train", "test")
        )
        self.splits = whole, test
        if whole.note and world.first and not options.quiet:
            print(f"{whole.name}: {whole.note}", file=sys.stderr, flush=True)
        training, validation = split(whole, recipe)
        self.sample = training.sample
        self.batches = Batches(
            training, recipe.batch, recipe.seed, device,
            micro_batches=world.size * recipe.accumulate, flip=recipe.flip, crop=recipe.crop,
        )  # fmt: skip
        seen, _ = split(test, dataclasses.replace(recipe, validation=0, early_stop=""))
        self.test = Batches(seen, max(recipe.batch, 100), recipe.seed, device)
        self.watched = Batches(validation, max(recipe.batch, 100), recipe.seed, device) if validation else self.test
        held = self._newest() if resume else b""
        if held and start is not None:
            self._check_start(start)
        module = build(model, recipe, training.sample, name)
        if held:
            check_objectives(split_name(name)[0], model, recipe, module)
        else:
            self._rehearse()
        origin = finetune.origin(start) if start is not None and not held else None
        self.match = finetune.start(module, origin, model, recipe, whole, name) if origin else None
        if world.size > 1 and device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        self.module = module.to(device)
        self._still = frozen.still(self.module)
        few = next(iter(self.watched.in_order(own_metrics.TRIAL)))
        own_metrics.check(name, model, self.module.eval(), few, recipe, self.sample)
        self.to_training()
        self._eval_copy = copy.deepcopy(self.module) if recipe.ema or options.sharded else None
        self.phases = [
            Phase(number, objective, self.module, recipe, device, world, options.compiled, options.sharded)
            for number, objective in enumerate(model.objectives)
        ]
        self.optimisers = [phase.optimiser for phase in self.phases]
        self.ema = EMA(self.module, recipe.ema) if recipe.ema else None
        self.state = checkpoints.State(device=describe_device(device), processes=world.size)
        self.complete = False
        """Whether all steps were already done."""
        if held:
            self._restore(held)
        elif world.first:
            if resume:
                if finetune.check_origin(folder, origin) and origin is None:
                    raise TrainingError(
                        f"{folder} started from other weights and ended before its first checkpoint. "
                        "Give --from again, together with --resume."
                    )
                run_folder.cut_metrics(folder, 0)
            else:
                run_folder.clear(folder)
            about = finetune.describe(origin, self.match)
            run_folder.start(folder, name, recipe, *self.splits, options.checkpoint_every, about)
        world.wait()

    def _rehearse(self) -> None:
        """Rehearse the plugin's declarations on the first batch, before any file is written."""
        batch = self.batches.train(0, torch.zeros((), device=self.device), self.world.rank * self.recipe.accumulate)
        # A sharded module may not fit on one device. A micro-batch of one sample needs SyncBatchNorm, not used here.
        without = self.options.sharded or (self.world.size > 1 and self.device.type == "cuda" and len(batch.x) == 1)
        rehearse(
            self.name, self.model, self.recipe, self.sample, None if without else batch, self.device,
            release=self.options.release, trace=self.options.trace,
        )  # fmt: skip

    def _newest(self) -> bytes:
        """The content of the newest checkpoint on rank 0's disk; b"" if the run has none yet."""
        content = b""
        if self.world.first:
            run_folder.check_same(self.folder, self.name, self.recipe, *self.splits)
            run_folder.sweep(self.folder)
            content = checkpoints.newest(self.folder, _warn)
        return self.world.broadcast(content, self.device)

    def _check_start(self, start: str | Path) -> None:
        """Raise :class:`TrainingError` unless the resumed run, which has a checkpoint, started from `start`.

        If these weights have changed or are gone, the run continues with a warning: the same command always resumes.
        """
        if not self.world.first:
            return
        origin = None
        try:
            origin = finetune.origin(start)
        except ZooError as error:
            _warn(f"{self.folder} continues from its checkpoint, without the weights of --from: {error}")
        recorded = finetune.check_origin(self.folder, origin)
        if origin is not None and origin.sha256 != recorded["sha256"]:
            _warn(f"{self.folder} continues from its checkpoint; the weights of --from {start} have changed since.")

    def _restore(self, content: bytes) -> None:
        """Restore the state of a checkpoint."""
        held = checkpoints.parse(content)
        checkpoints.restore(held, self.module, self.optimisers, self.ema)
        if held.state.processes != self.world.size and self.world.first and not self.options.quiet:
            _warn(
                f"{held.state.processes} processes trained so far, and {self.world.size} continue: the run is valid, "
                "but not bit for bit what it would have been."
            )
        self.state = dataclasses.replace(held.state, device=self.state.device, processes=self.world.size)
        self.complete = held.state.step == self.recipe.steps or held.state.ended
        if self.world.first:
            run_folder.cut_metrics(self.folder, self.state.step)

    def to_training(self) -> None:
        """Set the module to training mode, except frozen submodules that `build` left in eval mode."""
        self.module.train()
        for part in self._still:
            part.training = False

    def eval_module(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """The module to evaluate, sample and release, in eval mode: with the EMA weights if the recipe uses them."""
        if self._eval_copy is None:
            return self.module.eval()
        checkpoints.load_module(checkpoints.weights(checkpoints.Checkpoint(tensors, self.state)), self._eval_copy)
        return self._eval_copy.eval()

    def fail_non_finite(self, step: int, what: str) -> None:
        """Stop the run because `what` is no longer finite."""
        held = checkpoints.steps(self.folder) if self.world.first else []
        if held:
            last = f"The last good checkpoint is {checkpoints.path_of(self.folder, held[-1])}"
        else:
            last = "There is no checkpoint" if self.world.first else "Process 0 names the last good checkpoint"
        raise TrainingError(
            f"{self.name} stopped at step {step}: {what} is not finite. {last}. "
            "Start again with a lower lr or clip=1, and --force or another --output; --from takes weights from a run."
        )
