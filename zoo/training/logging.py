"""Reporting during a run: the progress bar, metrics.jsonl, curves.png, samples/, and the loggers of the run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from zoo.contract.logger import Logger, LoggerFunction
from zoo.core import files
from zoo.core.errors import one_line
from zoo.core.progress import Progress
from zoo.plugin import RunInfo
from zoo.registry import loggers
from zoo.training import curves, run_folder

REDRAW = 20.0
"""Minimum seconds between two plots of the curves."""


class Report:
    """Reports on a run in its folder and on standard error. Use it as a context manager."""

    def __init__(
        self, run: RunInfo, unit: str, functions: Mapping[str, LoggerFunction] | None = None, *, quiet: bool
    ) -> None:
        """`functions` are the loggers to start, by name. Raises :class:`PluginError` if one does not start."""
        self._name, self._folder = run.name, run.folder
        self._progress = Progress(f"Training {run.name}", run.steps, run.step, unit, quiet)
        self._shown: dict[str, float] = {}
        self._drawn = time.monotonic()
        self._loggers: dict[str, Logger] = {}
        for name, function in (functions or {}).items():
            self._loggers[name] = loggers.start(name, function, run)

    def __enter__(self) -> Report:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log("close", kind is None)
        self._progress.__exit__(kind, error, trace)

    def _log(self, method: str, *values: Any) -> None:
        """Call a method of each logger; drop a logger that fails, with one line."""
        for name, logger in list(self._loggers.items()):
            try:
                getattr(logger, method)(*values)
            except (Exception, SystemExit) as error:  # whatever it is, the run is worth more than its log
                del self._loggers[name]
                with suppress(Exception, SystemExit):
                    logger.close(False)
                self.say(f"The logger {name!r} failed and is dropped; the run goes on: {one_line(error)[:200]}")

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._progress.say(text)

    def step(self, step: int, samples: int) -> None:
        """Report a completed step, and the samples used since the run started or resumed."""
        self._progress.move(step, samples)

    def terms(self, step: int, terms: Mapping[str, float], lr: float, seconds: float) -> None:
        """Report the loss terms of a step, `seconds` into the run."""
        run_folder.append_metrics(self._folder, {"step": step, "terms": terms, "lr": lr, "seconds": round(seconds, 3)})
        self._shown |= terms
        self._progress.tell(self._shown)
        self._log("terms", step, terms, lr)

    def metrics(self, step: int, metrics: Mapping[str, float], count: int, split: str) -> None:
        """Report the metrics after a step, on at most the first `count` samples of a split."""
        if not metrics:
            return
        run_folder.append_metrics(self._folder, {"step": step, "metrics": metrics, "measured": count, "split": split})
        self._log("metrics", step, metrics, split)

    def sample(self, step: int, files_by_ending: Mapping[str, bytes]) -> None:
        """Report the samples generated after a step: the contents of files by ending."""
        paths = []
        for ending, content in files_by_ending.items():
            paths.append(self._folder / run_folder.SAMPLES / f"step-{step:08d}{ending}")
            files.write(paths[-1], content)
        self._log("samples", step, tuple(paths))

    def draw(self, last: bool) -> None:
        """Plot the curves, at most once every `REDRAW` seconds, and always if `last`."""
        if not last and time.monotonic() - self._drawn < REDRAW:
            return
        try:
            lines = (self._folder / run_folder.METRICS).read_text("utf-8").splitlines()
            content = curves.image(lines, self._name)
        except (OSError, ValueError, ImportError) as error:  # a failed plot must not stop the run
            self.say(f"{run_folder.CURVES} could not be plotted: {one_line(error)}")
            return
        if content is not None:
            files.write(self._folder / run_folder.CURVES, content)
        self._drawn = time.monotonic()
