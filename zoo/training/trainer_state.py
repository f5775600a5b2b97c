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

from zoo.contract import settings
from zoo.contract.logger import LoggerFunction
from zoo.core.devices import describe_device
from zoo.core.errors import SettingError, TrainingError, ZooError
from zoo.core.progress import downloads
from zoo.modules import build, needs
from zoo.modules.tracing import program
from zoo.plugin import Model, Recipe
from zoo.registry import calling, declarations, fault
from zoo.registry import split as split_name
from zoo.training import checkpoints, finetune, frozen, given_inputs, own_metrics, phases, run_folder
from zoo.training.batches import Batches, augmentation, split
from zoo.training.distributed import World
from zoo.training.ema import EMA
from zoo.training.further import load_both, with_further
from zoo.training.objectives import check_objectives
from zoo.training.rehearsal import Trace, rehearse


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of training that are not part of the recipe: they change the result only by rounding."""

    compiled: Mapping[str, Any] | None
    sharded: bool
    checkpoint_every: int
    """Steps between two checkpoints."""
    loggers: Mapping[str, LoggerFunction]
    """The loggers of the run, by name."""
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
        every = {
            field: load_both(getattr(recipe, field), data_dir, downloads(options.quiet))
            for field in settings.uses_of(type(recipe))
        }
        for one, _ in every.values():
            if one.note and world.first and not options.quiet:
                print(f"{one.name}: {one.note}", file=sys.stderr, flush=True)
        whole, test = every.pop("data")
        self.further = every
        training, validation = split(whole, recipe)
        self.sample = with_further(name, recipe, training.sample, every)
        self.batches = Batches(
            training, recipe.batch, recipe.seed, device,
            micro_batches=world.size * recipe.accumulate,
            further={field: one for field, (one, _) in every.items()}, **augmentation(whole),
        )  # fmt: skip
        for field, (one, other) in every.items():
            validation, test = validation and validation.adding(field, one), test.adding(field, other)
        self.splits = whole, test
        seen, _ = split(test, dataclasses.replace(recipe, validation=0, early_stop=""))
        self.test = Batches(seen, max(recipe.batch, 100), recipe.seed, device)
        self.watched = Batches(validation, max(recipe.batch, 100), recipe.seed, device) if validation else self.test
        self._needs = needs.describe(needs.needed(model, recipe, name))
        held = self._newest() if resume else b""
        if held and start is not None:
            self._check_start(start)
        module = build(model, recipe, self.sample, name)
        plugin = split_name(name)[0]
        objectives = declarations.objectives(plugin, model, recipe, module)
        if options.sharded and len(objectives) > 1:
            raise SettingError(
                f"--shard is for models with one phase, and this one has {len(objectives)}. Omit --shard."
            )
        if held:
            check_objectives(plugin, model, recipe, module, objectives)
        else:
            self._rehearse()
        origin = finetune.origin(start) if start is not None and not held else None
        self.match = finetune.start(module, origin, model, recipe, whole, name) if origin else None
        if world.size > 1 and device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        self.module = module.to(device)
        self._frozen = frozen.paths(model, self.module)
        self._still = frozen.still(self.module, self._frozen)
        few = next(iter(self.watched.in_order(own_metrics.TRIAL)))
        own_metrics.check(name, model, self.module.eval(), few, recipe, self.sample)
        self.to_training()
        self._eval_copy = copy.deepcopy(self.module) if recipe.ema or options.sharded else None
        with calling(plugin, "an optimiser", model.build):
            self.phases = phases.of_objectives(
                objectives, self.module, recipe, device, world, options.compiled, options.sharded
            )
        self.optimisers = list({id(phase.optimiser): phase.optimiser for phase in self.phases}.values())
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
            run_folder.start(
                folder, name, recipe, *self.splits, options.checkpoint_every, about, self.sample, self.further,
                self._needs,
            )  # fmt: skip
            given_inputs.write(folder, model, self.module, self.sample, self.test)
        self._checksums = frozen.checksums(self.module, self._frozen)
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
            run_folder.check_same(self.folder, self.name, self.recipe, *self.splits, self.further)
            run_folder.check_needs(self.folder, self._needs)
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

    def check_frozen(self, module: nn.Module | None = None, what: str = "a loss or an objective's `after`") -> None:
        """Raise :class:`PluginError` if a weight or a buffer of a frozen submodule has changed, by `what`."""
        if key := frozen.changed(self.module if module is None else module, self._frozen, self._checksums):
            raise fault(
                split_name(self.name)[0],
                f"{key!r} is frozen, and has changed by step {self.state.step}: {what} changes it",
                self.model.build,
            )

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
