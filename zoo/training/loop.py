"""A run under way: the loop over steps and phases, and what happens at each checkpoint."""

from __future__ import annotations

import copy
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import data, generation, show
from zoo.devices import device_words
from zoo.errors import TrainingError, ZooError, one_line
from zoo.modules import build, mix
from zoo.plan import Plan
from zoo.plugin import Model, Recipe
from zoo.progress import downloads
from zoo.registry import fault
from zoo.registry import split as split_name
from zoo.torch_backend import TorchBackend
from zoo.training import checkpoints, distributed, finetune, frozen, metrics, runs
from zoo.training.average import Average
from zoo.training.batches import Batches, split
from zoo.training.distributed import World
from zoo.training.phases import Phase
from zoo.training.rehearsal import check_objectives, rehearse
from zoo.training.reports import Report
from zoo.training.stopping import REASONS, Interrupted, Stopped

WATCHED = 2000
"""Test samples on which measures are taken while a run goes on, if it holds out none for that."""

SHOWN = 16
"""Samples that are generated at each checkpoint."""

LOGGED = 500
"""About so many lines of loss terms are written in a run."""

TOGETHER = 10
"""Most steps between two times that several processes tell each other of a signal; fewer where steps take long."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How to train, as opposed to what: none of it changes the result, but for rounding."""

    compiled: Mapping[str, Any] | None
    sharded: bool
    checkpoint_every: int
    """Steps."""
    tensorboard: bool
    release: bool
    """Whether a release is to be written at the end."""
    quiet: bool


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Running:
    """A run under way: its data, module, optimisers and state."""

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
        how: How,
    ) -> None:
        self.name, self.model, self.recipe, self.folder = name, model, recipe, folder
        self.device, self.world, self.how = device, world, how
        whole, test = (
            data.load(recipe.data, split, data_dir=data_dir, progress=downloads(how.quiet), **data.form(vars(recipe)))
            for split in ("train", "test")
        )
        self.splits = whole, test
        if whole.note and world.first and not how.quiet:
            print(f"{whole.name}: {whole.note}", file=sys.stderr, flush=True)
        training, validation = split(whole, recipe)
        self.sample = training.sample
        self.batches = Batches(
            training, recipe.batch, recipe.seed, device,
            parts=world.size * recipe.accumulate, flip=recipe.flip, crop=recipe.crop,
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
        metrics.check(name, model, self.module.eval(), next(iter(self.watched.in_order(metrics.TRIAL))), recipe)
        self._to_training()
        self.spare = copy.deepcopy(self.module) if recipe.ema or how.sharded else None
        self.phases = [
            Phase(number, objective, self.module, recipe, device, world, how.compiled, how.sharded)
            for number, objective in enumerate(model.objectives)
        ]
        self.optimisers = [phase.optimiser for phase in self.phases]
        self.average = Average(self.module, recipe.ema) if recipe.ema else None
        self.state = checkpoints.State(device=device_words(device), processes=world.size)
        self._asked, self._ask_at = (0, time.monotonic()), 0
        self.complete = False
        """Whether there was nothing left to do."""
        if held:
            self._restore(held)
        elif world.first:
            if resume:
                if runs.check_origin(folder, origin) and origin is None:
                    raise TrainingError(
                        f"{folder} started from other weights and ended before its first checkpoint. "
                        "Give --from again, beside --resume."
                    )
                runs.cut_metrics(folder, 0)
            else:
                runs.clear(folder)
            about = finetune.describe(origin, self.match)
            runs.start(folder, name, recipe, *self.splits, how.checkpoint_every, about)
        world.wait()

    def _rehearse(self) -> None:
        """Try what the plugin declares, on the first batch, before anything is written."""
        batch = self.batches.train(0, torch.zeros((), device=self.device), self.world.rank * self.recipe.accumulate)
        # A module that outgrows a device has no room there; SyncBatchNorm takes what one sample in a process lacks.
        without = self.how.sharded or (self.world.size > 1 and self.device.type == "cuda" and len(batch.x) == 1)
        rehearse(
            self.name, self.model, self.recipe, self.sample, None if without else batch, self.device,
            release=self.how.release,
        )  # fmt: skip

    def _newest(self) -> bytes:
        """The newest checkpoint of the first process, which is on its disk; nothing where the run has none yet."""
        content = b""
        if self.world.first:
            runs.check_same(self.folder, self.name, self.recipe, *self.splits)
            runs.sweep(self.folder)
            content = checkpoints.newest(self.folder, _warn)
        return self.world.share(content, self.device)

    def _check_start(self, start: str | Path) -> None:
        """Raise :class:`TrainingError` unless a run that has a checkpoint, and needs it no more, started from `start`.

        Weights that have changed or gone since do not stop it: the same command always goes on.
        """
        if not self.world.first:
            return
        origin = None
        try:
            origin = finetune.origin(start)
        except ZooError as error:
            _warn(f"{self.folder} goes on from its checkpoint, without the weights of --from: {error}")
        recorded = runs.check_origin(self.folder, origin)
        if origin is not None and origin.sha256 != recorded["sha256"]:
            _warn(f"{self.folder} goes on from its checkpoint; the weights of --from {start} have changed since.")

    def _restore(self, content: bytes) -> None:
        """Go on from a checkpoint."""
        held = checkpoints.parse(content)
        checkpoints.restore(held, self.module, self.optimisers, self.average)
        if held.state.processes != self.world.size and self.world.first and not self.how.quiet:
            _warn(
                f"{held.state.processes} processes trained until here, and {self.world.size} go on: it is sound, "
                "but not bit for bit what it would have been."
            )
        self.state = dataclasses.replace(held.state, device=self.state.device, processes=self.world.size)
        self.complete = held.state.step == self.recipe.steps or held.state.ended
        if self.world.first:
            runs.cut_metrics(self.folder, self.state.step)

    def train(self, stopped: Stopped) -> None:
        """Run the steps that are left, or those until `stopped` says to stop."""
        if self.complete:
            return
        try:
            with self._report() as report:
                self._introduce(report)
                self._loop(stopped, report)
        finally:
            for phase in self.phases:
                phase.close()

    def _loop(self, stopped: Stopped, report: Report | None) -> None:
        steps, first, began = self.recipe.steps, self.state.step, time.monotonic() - self.state.seconds
        draws = sum(phase.due(step) for step in range(first) for phase in self.phases)
        drawn = draws
        log_every = max(1, steps // LOGGED)
        unread: list[tuple[int, str, Tensor]] = []
        latest = dict(self.state.unsaid)
        self._to_training()
        for step in range(first, steps):
            done = torch.tensor(step / steps, device=self.device)
            for phase in self.phases:
                if phase.due(step):
                    k = draws
                    terms = phase.move(lambda part, k=k, done=done: self.batches.train(k, done, part), step)  # type: ignore[misc]
                    unread += [(step + 1, name, term) for name, term in terms.items()]
                    draws += 1
            if self.average is not None:
                self.average.update(step)
            self.state = dataclasses.replace(self.state, step=step + 1, seconds=time.monotonic() - began)
            reason = self._told(stopped)
            planned = (step + 1) % self.how.checkpoint_every == 0 or step + 1 == steps
            logged = (step + 1) % log_every == 0 or step + 1 == steps
            if logged or planned or reason:
                latest |= self._read(unread)
                unread.clear()
            if logged:
                if report:
                    rate = next((phase.rate(step) for phase in self.phases if phase.due(step)), 0.0)
                    report.terms(step + 1, latest, rate, self.state.seconds)
                latest = {}
            if report:
                report.step(step + 1, (draws - drawn) * self.batches.size)
                for phase in self.phases:
                    if phase.note:
                        report.say(phase.note)
                        phase.note = ""
            if planned or reason:
                self.state = dataclasses.replace(self.state, unsaid=latest)
                self._checkpoint(began, planned, report)
                if reason and step + 1 < steps:
                    raise reason(
                        f"{reason.__name__} at step {step + 1}. The checkpoint is "
                        f"{checkpoints.path_of(self.folder, step + 1)}. Go on with the same command and --resume."
                    )
                if self.state.ended:
                    return

    @contextmanager
    def _report(self) -> Iterator[Report | None]:
        """What people see of the run, from the first process only."""
        if not self.world.first:
            yield None
            return
        unit = {"text": "windows", "image": "images"}.get(self.sample.x.kind, "sounds")
        with Report(
            self.name, self.folder, self.recipe.steps, self.state.step, unit,
            quiet=self.how.quiet, tensorboard=self.how.tensorboard,
        ) as report:  # fmt: skip
            yield report

    def _introduce(self, report: Report | None) -> None:
        if report is None:
            return
        count = sum(parameter.numel() for parameter in self.module.parameters())
        step = self.state.step
        going_on = f", going on from step {step} of {self.recipe.steps}" if step else ""
        others = f" in {self.world.size} processes" if self.world.size > 1 else ""
        report.say(
            f"{self.name}: {count:,} parameters in {self.recipe.precision} on {self.device}{others}, "
            f"into {self.folder}{going_on}"
        )
        if self.match:
            report.say(f"Starting weights: {self.match.words()}")
        has_statistics = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.module.modules())
        if has_statistics and self.world.size > 1 and self.device.type != "cuda":
            report.say("BatchNorm takes its statistics from each process's own share: SyncBatchNorm needs CUDA.")

    def _told(self, stopped: Stopped) -> type[Interrupted] | None:
        """Why to stop now, the same in every process: one that is told soon tells the others."""
        if self.world.size == 1:
            return stopped()
        step, before, when = self.state.step, *self._asked
        if step < self._ask_at:
            return None
        pace = (time.monotonic() - when) / max(1, step - before)  # seconds a step
        often = self.world.largest(int(1e6 * pace), self.device) / 1e6
        self._asked = step, time.monotonic()
        self._ask_at = step + max(1, min(TOGETHER, int(0.5 / max(often, 1e-6))))
        return REASONS[self.world.largest(REASONS.index(stopped()), self.device)]

    def _read(self, unread: list[tuple[int, str, Tensor]]) -> dict[str, float]:
        """The latest loss terms as numbers, the mean over the processes; stop the run where any of them is none."""
        if not unread:
            return {}
        values = self.world.mean(torch.stack([term.float() for _, _, term in unread])).tolist()
        for (step, name, _), value in zip(unread, values, strict=True):
            if not math.isfinite(value):
                self._refuse(step, f"the loss term {name!r} ({value})")
        return {name: value for (_, name, _), value in zip(unread, values, strict=True)}

    def _refuse(self, step: int, what: str) -> None:
        """Stop the run because something is no longer a number."""
        held = checkpoints.steps(self.folder) if self.world.first else []
        if held:
            last = f"The last good checkpoint is {checkpoints.path_of(self.folder, held[-1])}"
        else:
            last = "There is no checkpoint" if self.world.first else "Process 0 names the last good checkpoint"
        raise TrainingError(
            f"{self.name} stopped at step {step}: {what} is not finite. {last}. "
            "Start again with a lower lr or clip=1, and --force or another --out; --from takes weights from a run."
        )

    def _checkpoint(self, began: float, planned: bool, report: Report | None) -> None:
        """Fit, measure, write and show the model as it is now; one that was not planned leaves no trace in the run."""
        self.world.settle(self.module)
        for key, value in self.module.named_parameters():
            if not distributed.whole(value.detach()).isfinite().all():
                self._refuse(self.state.step, f"the weight {key}")
        tensors = checkpoints.collect(self.module, self.optimisers, self.average)
        if report:
            shown = self._shown(tensors)
            if self.model.finish is not None:
                torch.manual_seed(mix(self.recipe.seed, "finish"))
                self._finish(shown)
                for name, buffer in shown.named_buffers():
                    if f"module.{name}" in tensors:
                        tensors[f"module.{name}"] = buffer.detach().cpu().clone()
            self.state = dataclasses.replace(self.state, measures={}, measured=0, split="", score=None)
            if planned:
                self._watch(shown, report)
            self.state = dataclasses.replace(self.state, seconds=time.monotonic() - began)
            checkpoints.write(self.folder, self.state, tensors)
            if planned:
                self._show(shown, report)
                report.draw(last=self.state.step == self.recipe.steps or self.state.ended)
            figures = "".join(
                f"  {measure.name} {self.state.measures[measure.name]:.4g} {measure.unit}"
                for measure in metrics.quick(self.model.measures) if planned and measure.name in self.state.measures
            )  # fmt: skip
            report.say(f"step {self.state.step}: checkpoint written{figures}")
            if self.state.ended:
                report.say(
                    f"{self.recipe.early_stop} got no better for {self.recipe.patience} checkpoints: stopped early."
                )
        ended = self.world.largest(int(self.state.ended), self.device)
        self.state = dataclasses.replace(self.state, ended=bool(ended))
        self._to_training()

    def _to_training(self) -> None:
        """Put the module in training mode, but for the frozen parts that `build` left in eval mode."""
        self.module.train()
        for part in self._still:
            part.training = False

    def _finish(self, module: nn.Module) -> None:
        try:
            with torch.no_grad():
                assert self.model.finish is not None
                self.model.finish(module, self.batches.in_order(), self.recipe)
        except ZooError:
            raise
        except Exception as error:
            raise fault(
                split_name(self.name)[0],
                f"the function 'finish' of {self.name} fails at step {self.state.step}: {one_line(error)[:200]}. "
                "Try other settings or data; ZOO_DEBUG=1 shows all of it",
                error,
                self.model.finish,
            ) from error

    def _shown(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """The module that is measured, shown and released: the averages where there are any, in eval mode."""
        if self.spare is None:
            return self.module.eval()
        checkpoints.load_module(checkpoints.weights(checkpoints.Checkpoint(tensors, self.state)), self.spare)
        return self.spare.eval()

    def _watch(self, module: nn.Module, report: Report) -> None:
        """Measure, keep the record, and end the run if it asks for that.

        A metric that cannot be taken has no value at this checkpoint; where it is the one that chooses the best
        checkpoint, this one is not better.
        """
        measures = metrics.quick(self.model.measures)
        if not measures:
            return
        held_out = self.watched is not self.test
        count = len(self.watched) if held_out else min(WATCHED, len(self.test))
        taken, failed = metrics.take(measures, module, self.watched, self.recipe, count)
        for error in failed.values():
            report.say(f"step {self.state.step}: {str(error).rstrip('.')}. It has no value at this checkpoint.")
        values = metrics.means(taken)
        name, where = self.recipe.early_stop or measures[0].name, "validation" if held_out else "test"
        (judge,) = (measure for measure in measures if measure.name == name)
        score = None if name not in values else values[name] if judge.better == "lower" else -values[name]
        record = self.state.record
        better = score is not None and (record is None or score < record)
        waited = 0 if better else self.state.waited + 1
        report.measures(self.state.step, values, count, where)
        self.state = dataclasses.replace(
            self.state,
            measures=values,
            measured=count,
            split=where,
            score=score,
            record=score if better else record,
            waited=waited,
            ended=bool(self.recipe.early_stop) and waited >= self.recipe.patience,
        )

    def _show(self, module: nn.Module, report: Report) -> None:
        """Tell of what the model generates."""
        value = self.model.generation(module)
        if value is None:
            return
        tasks = self.model.tasks(module)
        plan = Plan(value, tasks, self.sample)
        count = 1 if self.sample.x.kind == "text" else SHOWN
        samples = generation.generate(TorchBackend.of_module(module, tasks).run, plan, n=count, seed=0)
        report.sample(self.state.step, show.contents(samples, self.sample.x))
