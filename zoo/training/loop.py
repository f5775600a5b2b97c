"""The steps of a run: phases in their order, EMA, loss terms, signals, and a checkpoint where one is due."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zoo.training import checkpointing, checkpoints
from zoo.training.logging import Report
from zoo.training.signals import REASONS, Interrupted, Stopped
from zoo.training.trainer_state import TrainingRun

LOGGED = 500
"""About so many lines of loss terms are written in a run."""

TOGETHER = 10
"""Most steps between two times that several processes tell each other of a signal; fewer where steps take long."""


def train(run: TrainingRun, stopped: Stopped) -> None:
    """Run the steps that are left, or those until `stopped` says to stop."""
    if run.complete:
        return
    try:
        with _report(run) as report:
            _introduce(run, report)
            _steps(run, stopped, report)
    finally:
        for phase in run.phases:
            phase.close()


def _steps(run: TrainingRun, stopped: Stopped, report: Report | None) -> None:
    steps, first, began = run.recipe.steps, run.state.step, time.monotonic() - run.state.seconds
    draws = sum(phase.due(step) for step in range(first) for phase in run.phases)
    drawn = draws
    log_every = max(1, steps // LOGGED)
    unread: list[tuple[int, str, Tensor]] = []
    latest = dict(run.state.unsaid)
    stop = _Stop(run, stopped)
    run.to_training()
    for step in range(first, steps):
        done = torch.tensor(step / steps, device=run.device)
        for phase in run.phases:
            if phase.due(step):
                k = draws
                terms = phase.move(lambda micro, k=k, done=done: run.batches.train(k, done, micro), step)  # type: ignore[misc]
                unread += [(step + 1, name, term) for name, term in terms.items()]
                draws += 1
        if run.ema is not None:
            run.ema.update(step)
        run.state = dataclasses.replace(run.state, step=step + 1, seconds=time.monotonic() - began)
        reason = stop(run.state.step)
        planned = (step + 1) % run.how.checkpoint_every == 0 or step + 1 == steps
        logged = (step + 1) % log_every == 0 or step + 1 == steps
        if logged or planned or reason:
            latest |= _read(run, unread)
            unread.clear()
        if logged:
            if report:
                rate = next((phase.rate(step) for phase in run.phases if phase.due(step)), 0.0)
                report.terms(step + 1, latest, rate, run.state.seconds)
            latest = {}
        if report:
            report.step(step + 1, (draws - drawn) * run.batches.size)
            for phase in run.phases:
                if phase.note:
                    report.say(phase.note)
                    phase.note = ""
        if planned or reason:
            run.state = dataclasses.replace(run.state, unsaid=latest)
            checkpointing.checkpoint(run, began, planned, report)
            if reason and step + 1 < steps:
                raise reason(
                    f"{reason.__name__} at step {step + 1}. The checkpoint is "
                    f"{checkpoints.path_of(run.folder, step + 1)}. Go on with the same command and --resume."
                )
            if run.state.ended:
                return


@contextmanager
def _report(run: TrainingRun) -> Iterator[Report | None]:
    """What people see of the run, from the first process only."""
    if not run.world.first:
        yield None
        return
    unit = {"text": "windows", "image": "images"}.get(run.sample.x.kind, "clips")
    with Report(
        run.name, run.folder, run.recipe.steps, run.state.step, unit,
        quiet=run.how.quiet, tensorboard=run.how.tensorboard,
    ) as report:  # fmt: skip
        yield report


def _introduce(run: TrainingRun, report: Report | None) -> None:
    if report is None:
        return
    count = sum(parameter.numel() for parameter in run.module.parameters())
    step = run.state.step
    going_on = f", going on from step {step} of {run.recipe.steps}" if step else ""
    others = f" in {run.world.size} processes" if run.world.size > 1 else ""
    report.say(
        f"{run.name}: {count:,} parameters in {run.recipe.precision} on {run.device}{others}, "
        f"into {run.folder}{going_on}"
    )
    if run.match:
        report.say(f"Starting weights: {run.match.words()}")
    has_statistics = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in run.module.modules())
    if has_statistics and run.world.size > 1 and run.device.type != "cuda":
        report.say("BatchNorm takes its statistics from each process's own share: SyncBatchNorm needs CUDA.")


class _Stop:
    """Why to stop now, the same in every process: one that has a signal soon tells the others."""

    def __init__(self, run: TrainingRun, stopped: Stopped) -> None:
        self.run, self.stopped = run, stopped
        self._asked, self._ask_at = (0, time.monotonic()), 0

    def __call__(self, step: int) -> type[Interrupted] | None:
        """Why to stop after so many steps; None to go on."""
        if self.run.world.size == 1:
            return self.stopped()
        before, when = self._asked
        if step < self._ask_at:
            return None
        pace = (time.monotonic() - when) / max(1, step - before)  # seconds a step
        often = self.run.world.largest(int(1e6 * pace), self.run.device) / 1e6
        self._asked = step, time.monotonic()
        self._ask_at = step + max(1, min(TOGETHER, int(0.5 / max(often, 1e-6))))
        return REASONS[self.run.world.largest(REASONS.index(self.stopped()), self.run.device)]


def _read(run: TrainingRun, unread: list[tuple[int, str, Tensor]]) -> dict[str, float]:
    """The latest loss terms as numbers, the mean over the processes; stop the run where any of them is none."""
    if not unread:
        return {}
    values = run.world.mean(torch.stack([term.float() for _, _, term in unread])).tolist()
    for (step, name, _), value in zip(unread, values, strict=True):
        if not math.isfinite(value):
            run.fail_non_finite(step, f"the loss term {name!r} ({value})")
    return {name: value for (_, name, _), value in zip(unread, values, strict=True)}
