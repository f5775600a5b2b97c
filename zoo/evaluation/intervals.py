"""95% intervals: by the bootstrap over samples (Efron 1979), and over seeds (Student's t)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zoo.contract.metric import Better, Figure

RESAMPLES = 1000
BATCH = 16  # resamples in memory at once
LEVEL = 0.95


def bootstrap(values: NDArray[Any]) -> tuple[float, float]:
    """The percentile interval of the mean of `values`, (n,): means of `RESAMPLES` resamples, seed 0."""
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, batch=BATCH, confidence_level=LEVEL, method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def of_samples(
    name: str,
    values: NDArray[Any],
    unit: str,
    protocol: str,
    better: Better = "lower",
    baseline: tuple[str, float] | None = None,
) -> Figure:
    """The figure that is the mean of one value a sample, (n,), with its bootstrap interval."""
    values = np.asarray(values, np.float64)
    figure = Figure(
        name=name, value=float(values.mean()), unit=unit, protocol=protocol, better=better,
        interval="no interval: one sample", baseline=baseline, count=len(values),
    )  # fmt: skip
    return figure if len(values) < 2 else _with(figure, *bootstrap(values), "95% by bootstrap over samples")


def of_seeds(
    name: str,
    values: Sequence[float],
    unit: str,
    protocol: str,
    better: Better = "lower",
    baseline: tuple[str, float] | None = None,
    count: int = 0,
) -> Figure:
    """The figure that is the mean over a few seeds, each on `count` samples, with Student's interval of that mean."""
    mean, seeds = float(np.mean(values)), len(values)
    figure = Figure(
        name=name, value=mean, unit=unit, protocol=protocol, better=better, baseline=baseline, count=count,
        interval="no interval: " + ("one seed" if seeds == 1 else f"the same for {seeds} seeds"),
    )  # fmt: skip
    if len(set(values)) == 1:
        return figure
    half = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * float(np.std(values, ddof=1)) / math.sqrt(seeds)
    return _with(figure, mean - half, mean + half, f"95% over {seeds} seeds (Student's t)")


def _with(figure: Figure, low: float, high: float, how: str) -> Figure:
    return dataclasses.replace(figure, low=low, high=high, interval=how)
