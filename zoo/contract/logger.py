"""A logger of training runs: a function behind an entry point of the group ``zoo.loggers``.

    [project.entry-points."zoo.loggers"]
    mine = "zoo_mine.log:mine"

``mine(run)`` takes a :class:`RunInfo` and returns a :class:`Logger`; ``zoo train NAME --log mine`` calls it. Only the
process of rank 0 logs. A logger that raises during a run is dropped with one line, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run as a logger gets it when the run starts or continues."""

    name: str
    """The model and its recipe: ``"vae.mnist"``."""
    folder: Path
    """The run folder, where a logger may keep files of its own; ``--force`` removes them."""
    step: int
    """The steps that are already done; above 0 when a run continues. Later steps may have been logged before."""
    steps: int
    """The steps of the whole run."""
    recipe: Mapping[str, Any]
    """Every recipe field with its value."""


class Logger(Protocol):
    """What a logger returns. Steps count from 1: the step that was just completed."""

    def terms(self, step: int, terms: Mapping[str, float], lr: float) -> None:
        """Log the loss terms of a step, and the learning rate of its first phase."""

    def metrics(self, step: int, metrics: Mapping[str, float], split: str) -> None:
        """Log the metrics at a checkpoint, on the split ``"validation"`` or ``"test"``."""

    def samples(self, step: int, files: Sequence[Path]) -> None:
        """Log the samples generated at a checkpoint: files that were just written, such as a .png beside a .wav."""

    def close(self, complete: bool) -> None:
        """End the log; `complete` is False if the run was interrupted or failed."""


METHODS = ("terms", "metrics", "samples", "close")

LoggerFunction = Callable[[RunInfo], Logger]
