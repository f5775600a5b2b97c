"""95% confidence intervals: bootstrap over samples (Efron 1979), and Student's t over seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zoo.contract.metric import Better, Measurement

RESAMPLES = 1000
BATCH = 16  # resamples in memory at once
LEVEL = 0.95


def bootstrap(values: NDArray[Any]) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `values`, (n,), from `RESAMPLES` resamples, seed 0."""
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, batch=BATCH, confidence_level=LEVEL, method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)


def of_samples(
    name: str,
    values: NDArray[Any],
    unit: str,
    protocol: str,
    better: Better = "lower",
    baseline: tuple[str, float] | None = None,
) -> Measurement:
    """The mean of one value per sample, (n,), with its bootstrap interval."""
    values = np.asarray(values, np.float64)
    measurement = Measurement(
        name=name, value=float(values.mean()), unit=unit, protocol=protocol, better=better,
        interval="no interval: one sample", baseline=baseline, count=len(values),
    )  # fmt: skip
    return measurement if len(values) < 2 else _with(measurement, *bootstrap(values), "95% by bootstrap over samples")


def of_seeds(
    name: str,
    values: Sequence[float],
    unit: str,
    protocol: str,
    better: Better = "lower",
    baseline: tuple[str, float] | None = None,
    count: int = 0,
) -> Measurement:
    """The mean over a few seeds, each on `count` samples, with its Student's t interval."""
    mean, seeds = float(np.mean(values)), len(values)
    measurement = Measurement(
        name=name, value=mean, unit=unit, protocol=protocol, better=better, baseline=baseline, count=count,
        interval="no interval: " + ("one seed" if seeds == 1 else f"the same for {seeds} seeds"),
    )  # fmt: skip
    if len(set(values)) == 1:
        return measurement
    half = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * float(np.std(values, ddof=1)) / math.sqrt(seeds)
    return _with(measurement, mean - half, mean + half, f"95% over {seeds} seeds (Student's t)")


def _with(measurement: Measurement, low: float, high: float, how: str) -> Measurement:
    return dataclasses.replace(measurement, low=low, high=high, interval=how)
