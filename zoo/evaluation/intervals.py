"""95% intervals: by the bootstrap over samples (Efron 1979), and over seeds (Student's t)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.figures import Better, Figure

RESAMPLES = 1000
LEVEL = 0.95
_T = (12.706, 4.303, 3.182, 2.776)  # Student's t at 97.5% for 1 to 4 degrees of freedom


def bootstrap(values: NDArray[Any]) -> tuple[float, float]:
    """The percentile interval of the mean of `values`, (n,): means of `RESAMPLES` resamples, seed 0."""
    random = np.random.default_rng(0)
    count = len(values)
    means = [values[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


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
    mean, same = float(np.mean(values)), len(set(values)) == 1
    figure = Figure(
        name=name, value=mean, unit=unit, protocol=protocol, better=better, baseline=baseline, count=count,
        interval="no interval: " + ("one seed" if len(values) == 1 else f"the same for {len(values)} seeds"),
    )  # fmt: skip
    if same or len(values) > len(_T) + 1:
        return figure
    half = _T[len(values) - 2] * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _with(figure, mean - half, mean + half, f"95% over {len(values)} seeds (Student's t)")


def _with(figure: Figure, low: float, high: float, how: str) -> Figure:
    import dataclasses

    return dataclasses.replace(figure, low=low, high=high, interval=how)
