"""Reporting during a run: the progress bar, metrics.jsonl, curves.png, samples/, and optionally TensorBoard."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from zoo.core import files
from zoo.core.errors import one_line, unusable
from zoo.core.progress import Progress
from zoo.training import curves, run_folder

REDRAW = 20.0
"""Minimum seconds between two plots of the curves."""


class Report:
    """Reports on a run in its folder and on standard error. Use it as a context manager."""

    def __init__(
        self, name: str, folder: Path, steps: int, step: int, unit: str, *, quiet: bool, tensorboard: bool
    ) -> None:
        self._name, self._folder = name, folder
        self._progress = Progress(f"Training {name}", steps, step, unit, quiet)
        self._shown: dict[str, float] = {}
        self._drawn = time.monotonic()
        self._board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise unusable(error, "tensorboard", "tensorboard", "--tensorboard") from error
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Report:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if self._board:
            self._board.close()

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
        if self._board:
            for name, value in terms.items():
                self._board.add_scalar(f"loss/{name}", value, step)
            self._board.add_scalar("lr", lr, step)

    def metrics(self, step: int, metrics: Mapping[str, float], count: int, split: str) -> None:
        """Report the metrics after a step, on the first `count` samples of a split."""
        if not metrics:
            return
        run_folder.append_metrics(self._folder, {"step": step, "metrics": metrics, "measured": count, "split": split})
        if self._board:
            for name, value in metrics.items():
                self._board.add_scalar(f"{split}/{name}", value, step)

    def sample(self, step: int, files_by_ending: Mapping[str, bytes]) -> None:
        """Report the samples generated after a step: the contents of files by ending."""
        for ending, content in files_by_ending.items():
            files.write(self._folder / run_folder.SAMPLES / f"step-{step:08d}{ending}", content)
        if self._board and ".txt" in files_by_ending:
            self._board.add_text("samples", files_by_ending[".txt"].decode(), step)
        elif self._board and ".png" in files_by_ending:
            image = np.asarray(Image.open(io.BytesIO(files_by_ending[".png"])).convert("RGB"))
            self._board.add_image("samples", image, step, dataformats="HWC")
        elif self._board and ".csv" in files_by_ending:
            self._board.add_text("samples", indent(files_by_ending[".csv"].decode(), " " * 4), step)

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
