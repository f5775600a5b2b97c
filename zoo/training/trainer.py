"""The one trainer: runs a model's objectives as phases, writes checkpoints, resumes exactly, ends with a release."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

try:
    import torch
except ImportError as error:
    from zoo.errors import unusable

    raise unusable(error, "torch", "train", "Training") from error

import zoo_export
from zoo import data, files, generation, registry, settings, show
from zoo.devices import device_words, torch_device
from zoo.errors import TrainingError
from zoo.modules import build, mix
from zoo.plugin import Model, Recipe
from zoo.progress import Progress, downloads
from zoo.release import MANIFEST
from zoo.sources import RELEASE
from zoo.torch_backend import TorchBackend
from zoo.training import checkpoints, runs
from zoo.training.batches import Batches
from zoo.training.phases import Phase

WATCHED = 2000
"""Test samples on which measures are taken while a run goes on; all of them at its end."""

SHOWN = 16
"""Samples that are generated at each checkpoint."""


class Interrupted(TrainingError):
    """A run was stopped from outside, after it wrote a checkpoint."""

    exit_code = 130


class Terminated(Interrupted):
    """A run was stopped by SIGTERM, as when a machine is taken back."""

    exit_code = 143


Stopped = Callable[[], type[Interrupted] | None]
"""Says whether a run is to stop, and as what."""


@dataclass(frozen=True)
class Run:
    """A run that is complete."""

    folder: Path
    release: Path | None
    steps: int
    seconds: float
    measures: Mapping[str, float]


def train(
    name: str,
    *,
    data: str | None = None,
    data_dir: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] | None = None,
    compile: bool = False,
    checkpoint_every: int | None = None,
    release: bool = True,
    quiet: bool = False,
) -> Run:
    """Train ``model.recipe`` and write its release into the run folder (default ``runs/NAME``).

    `set` changes recipe fields. `checkpoint_every` is in steps (default: a tenth of the run). A run that was
    stopped goes on with `resume`, and ends bit for bit as if it had not been stopped (on one device, eager).
    Raises :class:`ZooError` for anything that a person can mend.
    """
    model, recipe = registry.load_recipe(name)
    changes = dict(set or {})
    changes |= {key: value for key, value in (("data", data), ("precision", precision)) if value is not None}
    recipe = settings.replace(recipe, changes)
    settings.at_least("checkpoint_every", checkpoint_every, 1)
    folder = Path(out) if out is not None else Path("runs") / name
    if resume:
        runs.described(folder)
    else:
        runs.check_free(folder, force)
    if release:
        zoo_export.check_installed("Writing the release at the end (--no-release leaves it out)")
    where = torch_device(device)
    with runs.lock(folder):
        run = _Run(name, model, recipe, folder, where, data_dir, compile, resume, quiet)
        with _signals() as stopped:
            run.train(checkpoint_every or max(1, recipe.steps // 10), stopped)
        target = folder / RELEASE
        if release and not (run.complete and (target / MANIFEST).is_file()):
            if not quiet:
                print("Writing the release and proving that torch and ONNX Runtime agree …", file=sys.stderr)
            try:
                zoo_export.export(folder, target, force=True)
            except KeyboardInterrupt:
                raise Interrupted(
                    "Interrupted while writing the release; the training is complete. "
                    f"Run: zoo export {folder} --to DIR"
                ) from None
    return Run(folder, target if release else None, recipe.steps, run.seconds, run.measures)


class _Run:
    """A run under way: its data, module and optimisers."""

    def __init__(
        self,
        name: str,
        model: Model,
        recipe: Recipe,
        folder: Path,
        device: torch.device,
        data_dir: str | Path | None,
        compiled: bool,
        resume: bool,
        quiet: bool,
    ) -> None:
        self.name, self.model, self.recipe, self.folder, self.device = name, model, recipe, folder, device
        self.quiet = quiet
        training, test = (
            data.load(
                recipe.data,
                split,
                data_dir=data_dir,
                length=recipe.length,
                seconds=recipe.seconds,
                bands=recipe.bands,
                progress=downloads(quiet),
            )
            for split in ("train", "test")
        )
        self.sample = training.sample
        self.batches = Batches(training, recipe.batch, recipe.seed, device)
        self.test = Batches(test, max(recipe.batch, 100), recipe.seed, device)
        self.module = build(model, recipe, training.sample, name).to(device)
        self.phases = [Phase(objective, self.module, recipe, device, compiled) for objective in model.objectives]
        self.optimisers = [phase.optimiser for phase in self.phases]
        self.step, self.seconds = 0, 0.0
        self.measures: Mapping[str, float] = {}
        self.complete = False
        """Whether there was nothing left to do."""
        if resume:
            runs.check_same(folder, name, recipe, training)
            if checkpoints.steps(folder):
                checkpoint = checkpoints.read(folder)
                checkpoints.restore(checkpoint, self.module, self.optimisers)
                self.step, self.seconds = checkpoint.state.step, checkpoint.state.seconds
                self.measures = checkpoint.state.measures
                self.complete = self.step == recipe.steps
            runs.cut_metrics(folder, self.step)
        else:
            runs.start(folder, name, recipe, training)

    def train(self, checkpoint_every: int, stopped: Stopped) -> None:
        """Run the steps that are left, or those until `stopped` says to stop."""
        steps, first, began = self.recipe.steps, self.step, time.monotonic() - self.seconds
        draws = sum(self._due(phase, step) for step in range(first) for phase in self.phases)
        drawn = draws
        shown: dict[str, float] = {}
        log_every = max(1, steps // 500)
        unit = {"image": "images", "text": "windows"}.get(self.sample.x.kind, "sounds")
        self.module.train()
        with Progress(f"Training {self.name}", steps, first, unit, self.quiet) as progress:
            progress.say(self._introduction(first))
            while self.step < steps:
                logged = (self.step + 1) % log_every == 0 or self.step + 1 == steps
                line: dict[str, float] = {}  # the terms of the phases that are due now
                done = torch.tensor(self.step / steps, device=self.device)
                for number, phase in enumerate(self.phases):
                    if self._due(phase, self.step):
                        torch.manual_seed(mix(self.recipe.seed, "step", self.step, number))
                        terms = phase.move(self.batches.train(draws, done), self.step)
                        draws += 1
                        if logged:
                            line |= {key: float(value) for key, value in terms.items()}
                self.step += 1
                self.seconds = time.monotonic() - began
                if logged:
                    self._refuse(
                        [f"the loss term {key!r} ({value})" for key, value in line.items() if not math.isfinite(value)]
                    )
                    lr = self.phases[0].rate(self.step - 1)
                    entry = {"step": self.step, "terms": line, "lr": lr}
                    runs.append_metrics(self.folder, entry | {"seconds": round(self.seconds, 3)})
                    shown |= line
                    progress.update(self.step, shown, (draws - drawn) * self.batches.size)
                reason = stopped()
                planned = self.step % checkpoint_every == 0 or self.step == steps
                if planned or reason:
                    self._checkpoint(began, progress, planned)
                    if reason and self.step < steps:
                        raise reason(
                            f"{reason.__name__} at step {self.step}. The checkpoint is "
                            f"{checkpoints.path_of(self.folder, self.step)}. Go on with the same command and --resume."
                        )

    def _introduction(self, first: int) -> str:
        count = sum(parameter.numel() for parameter in self.module.parameters())
        going_on = f", going on from step {first} of {self.recipe.steps}" if first else ""
        return f"{self.name}: {count:,} parameters on {self.device}, into {self.folder}{going_on}"

    def _due(self, phase: Phase, step: int) -> bool:
        start, end = phase.objective.during
        return step % phase.objective.every == 0 and start <= step / self.recipe.steps < end

    def _refuse(self, not_finite: list[str]) -> None:
        """Stop the run if a loss term or a weight is no longer a number."""
        if not not_finite:
            return
        held = checkpoints.steps(self.folder)
        last = (
            f"The last checkpoint is {checkpoints.path_of(self.folder, held[-1])}" if held else "There is no checkpoint"
        )
        raise TrainingError(
            f"{self.name} stopped at step {self.step}: {not_finite[0]} is not finite. {last}. Lower lr, or set clip=1."
        )

    def _checkpoint(self, began: float, progress: Progress, planned: bool) -> None:
        """Fit, measure, write and show the model as it is now; one that was not planned leaves no trace in the run."""
        self._refuse(
            [f"the weight {key}" for key, value in self.module.named_parameters() if not value.isfinite().all()]
        )
        self.module.eval()
        torch.manual_seed(mix(self.recipe.seed, "finish"))
        with torch.no_grad():
            if self.model.finish is not None:
                self.model.finish(self.module, self.batches.in_order(), self.recipe)
        measured = min(WATCHED, len(self.test)) if planned else 0
        self.measures = self._measure(measured)
        rank = next(iter(self.measures.values()), None)
        if self.step == self.recipe.steps and measured < len(self.test):
            measured = len(self.test)
            self.measures = self._measure(measured)
        if self.measures:
            runs.append_metrics(self.folder, {"step": self.step, "measures": self.measures, "measured": measured})
        self.seconds = time.monotonic() - began
        state = checkpoints.State(
            step=self.step,
            seconds=self.seconds,
            device=device_words(self.device),
            measures=self.measures,
            measured=measured,
            rank=rank,
        )
        checkpoints.write(self.folder, state, self.module, self.optimisers)
        if planned:
            self._show()
        figures = "".join(f"  {m.name} {self.measures[m.name]:.4g} {m.unit}" for m in self.model.measures if planned)
        progress.say(f"step {self.step}: checkpoint written{figures}")
        self.module.train()

    @torch.no_grad()
    def _measure(self, count: int) -> dict[str, float]:
        """Each measure's mean over the first `count` samples of the test split; none for no samples."""
        sums: dict[str, float] = {measure.name: 0.0 for measure in self.model.measures if count}
        for number, batch in enumerate(self.test.in_order(count) if sums else ()):
            for measure in self.model.measures:
                torch.manual_seed(mix(self.recipe.seed, "measure", number))
                sums[measure.name] += float(measure.fn(self.module, batch, self.recipe).double().sum())
        return {name: total / count for name, total in sums.items()}

    def _show(self) -> None:
        """Write what the model generates into ``samples/``."""
        if self.model.generate is None:
            return
        tasks = self.model.tasks(self.module)
        task = tasks[self.model.generate.task]
        samples = generation.generate(
            TorchBackend.of_module(self.module, tasks).run, self.model.generate, task.inputs, task.outputs, self.sample,
            n=1 if self.sample.x.kind == "text" else SHOWN, seed=0,
        )  # fmt: skip
        path = self.folder / runs.SAMPLES / f"step-{self.step:08d}"
        for ending, content in show.contents(samples, self.sample.x).items():
            files.write(path.with_suffix(ending), content)


@contextmanager
def _signals() -> Iterator[Stopped]:
    """Turns Ctrl-C and SIGTERM into an error that the loop asks for after each step; a second Ctrl-C stops at once."""
    reason: type[Interrupted] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal reason
        if reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        reason = Interrupted if number == signal.SIGINT else Terminated

    if threading.current_thread() is not threading.main_thread():
        yield lambda: reason
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: reason
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
