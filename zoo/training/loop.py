"""The training loop: the phases in order, EMA, loss terms, signals, and checkpoints."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zoo.contract import settings
from zoo.media import kinds
from zoo.plugin import RunInfo
from zoo.training import checkpointing, checkpoints
from zoo.training.logging import Report
from zoo.training.signals import REASONS, Interrupted, Stopped
from zoo.training.trainer_state import TrainingRun

LOGGED = 500
"""The approximate number of lines of loss terms that a run writes."""

TOGETHER = 10
"""Maximum steps between two exchanges of signals among the processes; fewer if steps are slow."""


def train(run: TrainingRun, stopped: Stopped) -> None:
    """Run the remaining steps, or stop early if `stopped` returns a reason."""
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
    latest = dict(run.state.pending_terms)
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
        planned = (step + 1) % run.options.checkpoint_every == 0 or step + 1 == steps
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
            run.state = dataclasses.replace(run.state, pending_terms=latest)
            checkpointing.checkpoint(run, began, planned, report)
            if reason and step + 1 < steps:
                raise reason(
                    f"{reason.__name__} at step {step + 1}. The checkpoint is "
                    f"{checkpoints.path_of(run.folder, step + 1)}. Continue with the same command and --resume."
                )
            if run.state.ended:
                return


@contextmanager
def _report(run: TrainingRun) -> Iterator[Report | None]:
    """The report of the run, in rank 0; None in other processes."""
    if not run.world.first:
        yield None
        return
    unit = kinds.of_sample(run.sample.x).unit
    about = RunInfo(
        name=run.name,
        folder=run.folder,
        step=run.state.step,
        steps=run.recipe.steps,
        recipe=settings.flat(run.recipe),
    )
    with Report(about, unit, run.options.loggers, quiet=run.options.quiet) as report:
        yield report


def _introduce(run: TrainingRun, report: Report | None) -> None:
    if report is None:
        return
    count = sum(parameter.numel() for parameter in run.module.parameters())
    step = run.state.step
    going_on = f", continued from step {step} of {run.recipe.steps}" if step else ""
    others = f" in {run.world.size} processes" if run.world.size > 1 else ""
    report.say(
        f"{run.name}: {count:,} parameters in {run.recipe.precision} on {run.device}{others}, "
        f"into {run.folder}{going_on}"
    )
    if run.match:
        report.say(f"Starting weights: {run.match.describe()}")
    has_statistics = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in run.module.modules())
    if has_statistics and run.world.size > 1 and run.device.type != "cuda":
        report.say("BatchNorm uses the statistics of each process's own micro-batch: SyncBatchNorm needs CUDA.")


class _Stop:
    """Whether to stop and why, with the same answer in every process: processes exchange signals regularly."""

    def __init__(self, run: TrainingRun, stopped: Stopped) -> None:
        self.run, self.stopped = run, stopped
        self._last_exchange, self._next_exchange = (0, time.monotonic()), 0

    def __call__(self, step: int) -> type[Interrupted] | None:
        """The reason to stop after `step` steps; None to continue."""
        if self.run.world.size == 1:
            return self.stopped()
        last_step, last_time = self._last_exchange
        if step < self._next_exchange:
            return None
        pace = (time.monotonic() - last_time) / max(1, step - last_step)  # seconds per step
        slowest = self.run.world.largest(int(1e6 * pace), self.run.device) / 1e6
        self._last_exchange = step, time.monotonic()
        self._next_exchange = step + max(1, min(TOGETHER, int(0.5 / max(slowest, 1e-6))))
        return REASONS[self.run.world.largest(REASONS.index(self.stopped()), self.run.device)]


def _read(run: TrainingRun, unread: list[tuple[int, str, Tensor]]) -> dict[str, float]:
    """The latest loss terms, averaged over the processes; stop the run if any value is not finite."""
    if not unread:
        return {}
    values = run.world.mean(torch.stack([term.float() for _, _, term in unread])).tolist()
    for (step, name, _), value in zip(unread, values, strict=True):
        if not math.isfinite(value):
            run.fail_non_finite(step, f"the loss term {name!r} ({value})")
    return {name: value for (_, name, _), value in zip(unread, values, strict=True)}
