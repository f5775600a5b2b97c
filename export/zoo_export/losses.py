"""The loss of a quantised release: its metrics compared with those of the float release, and approximate speeds."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Measurement, format_value
from zoo.core.errors import ExportError
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.metric_groups import OWN
from zoo.evaluation.runner import PluginMetrics, group_jobs, take
from zoo.plugin import Recipe
from zoo.release import Release
from zoo.runtime import LoadedModel
from zoo_export import calibration
from zoo_export.own import first

Array = NDArray[Any]

SCALES = {"mse": 1e-3, "fid": 1.0, "knn": 0.1, "accuracy": 0.1, "nll": 0.1}
"""The metrics, of all models, that may not degrade beyond the bound. The degradation is relative to the metric's value,
or to this scale (in the metric's unit) if the value is smaller, so that a model without error may make a small one:
with a bound of 0.1 an MSE of 0 may become 0.0001, which is 40 dB. Other metrics are 0 for a perfect model, or vary by
more than the bound from seed to seed."""

OWN_SCALE = 1e-3
"""The scale of a model's own metric, whatever its unit."""

SHOWN = (*SCALES, "psnr")
"""The metrics that are computed. PSNR does not count: it follows from the MSE, and its mean is meaningless if some
images have no error."""

SPREAD = 1e-3
"""The smallest standard deviation to which differences of a task's outputs are relative."""

BUDGET = Budget(limit=1000, most=1000, fit=2000, reference=2000)
"""The budget of the metrics of each release: at most a minute for both."""

NLL = 100
"""The number of windows of a text, each of which takes many task calls."""

BOUND = "quantize_loss"
"""The recipe field with the allowed relative degradation of a metric."""

OPTION = "--quantize-loss"

CALLS, SECONDS = 30, 2.0
"""The maximum number of calls, and the approximate seconds, to measure a task's speed at one batch size."""


@dataclass(frozen=True)
class Loss:
    """A metric of the float release and of the quantised one."""

    before: Measurement
    after: Measurement
    counts: bool = True
    """Whether the export fails if this metric degrades beyond the bound."""

    @property
    def inside(self) -> bool:
        """Whether the quantised value is within the float value's interval: the loss is not significant."""
        low, high = self.before.low, self.before.high
        return low is not None and high is not None and low <= self.after.value <= high

    @property
    def of(self) -> float:
        """The value that the loss is relative to, in the metric's unit: the float value, but at least the scale."""
        return max(abs(self.before.value), SCALES.get(self.before.name, OWN_SCALE))

    @property
    def relative(self) -> float:
        """The relative degradation of the metric; negative if it improved."""
        worse = self.after.value - self.before.value
        return (worse if self.before.better == "lower" else 0.0 - worse) / self.of

    def to_json(self) -> dict[str, Any]:
        """The JSON object for the manifest."""
        before, after = self.before.to_json(), self.after.to_json()
        same = {key: before[key] for key in ("name", "unit", "protocol", "better", "low", "high", "interval")}
        return {
            **same,
            "float": before["value"],
            "quantized": after["value"],
            "loss": self.relative,
            "of": self.of,
            "counts": self.counts,
        }


def measured(
    before: EvaluatedModel, after: LoadedModel, own: PluginMetrics | str, quiet: bool
) -> tuple[list[Loss], list[Measurement], dict[str, str]]:
    """The losses of a quantised release, all its measurements, and the reasons why metrics do not apply.

    The model's first metric counts, if the quantised graphs run the tasks that it calls, or generate its samples; else
    the metrics in `SCALES` count.
    """
    budget = dataclasses.replace(BUDGET, quiet=quiet)
    if before.model.release.sample.x.kind == "text":
        budget = dataclasses.replace(budget, limit=NLL)
    subjects = before, dataclasses.replace(before, model=after)
    results = [first(own, evaluated, budget) for evaluated in subjects]
    left_out: dict[str, str] = {}
    own_measurements = [measurement for measurement in results if isinstance(measurement, Measurement)]
    if len(own_measurements) < len(results):
        own_measurements, left_out[OWN] = [], next(reason for reason in results if isinstance(reason, str))
    own_names = {measurement.name for measurement in own_measurements}  # one metric, or none
    sides = []
    for i, evaluated in enumerate(subjects):
        measurements, reasons = take(group_jobs(evaluated, frozenset(SHOWN), budget), lambda _: None)
        sides.append({measurement.name: measurement for measurement in (*own_measurements[i : i + 1], *measurements)})
        left_out |= reasons
    left, right = sides
    losses = [
        Loss(measurement, right[name], counts=name in (own_names or SCALES))
        for name, measurement in left.items()
        if name in right
    ]
    return losses, [*right.values()], left_out


def differences(
    before: LoadedModel, after: LoadedModel, feeds: Mapping[str, Mapping[str, Array]]
) -> dict[str, dict[str, float]]:
    """The largest difference of each task's outputs, and the largest relative one: ‖q − f‖ / ‖f − mean of f‖."""
    found = {}
    for name, given in feeds.items():
        left, right = (calibration.run(model, name, given) for model in (before, after))
        gaps = {key: right[key].astype(np.float64) - left[key] for key in left}
        spread = {key: float(np.linalg.norm(left[key] - left[key].mean(dtype=np.float64))) for key in left}
        found[name] = {
            "largest": max(float(np.abs(gap).max(initial=0.0)) for gap in gaps.values()),
            "relative": max(
                float(np.linalg.norm(gap)) / max(spread[key], SPREAD * math.sqrt(gap.size)) for key, gap in gaps.items()
            ),
        }
    return found


def check(
    release: Release,
    losses: Sequence[Loss],
    gaps: Mapping[str, Mapping[str, float]],
    bound: float | None = None,
) -> float:
    """Check the losses against the bound, by default that of the recipe, and return the bound.

    Raises :class:`ExportError` if a metric degrades by more; if no metric counts, the differences of the tasks count.
    """
    allows = "was given" if bound is not None else "is the bound of its recipe"
    if bound is None:
        found = release.manifest["recipe"].get(BOUND)
        bound = float(found if isinstance(found, (int, float)) else getattr(Recipe, BOUND))
    counting = [loss for loss in losses if loss.counts]
    for loss in counting:
        if not (loss.inside or loss.relative <= bound):
            by = f"{loss.relative:.1%} worse"
            if loss.of > abs(loss.before.value):
                by = f"worse by more than {bound * loss.of:.4g}"
            raise ExportError(
                f"{release.name} loses too much: {loss.before.name} is {format_value(loss.before)} in float and "
                f"{loss.after.value:.4g} quantised, {by}, and {BOUND} = {bound:.4g} {allows}. Nothing was written. "
                f"To accept it: {OPTION} {_above(loss.relative)}"
            )
    for name, gap in {} if counting else gaps.items():
        if not gap["relative"] <= bound:
            raise ExportError(
                f"{release.name} loses too much: no metric applies, task {name!r} differs by {gap['relative']:.1%} of "
                f"its deviation, and {BOUND} = {bound:.4g} {allows}. Nothing was written. "
                f"To accept it: {OPTION} {_above(gap['relative'])}"
            )
    return bound


def _above(value: float) -> str:
    """A value rounded up to two digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:.2g}"


def speeds(
    before: LoadedModel, after: LoadedModel, feeds: Mapping[str, Mapping[str, Array]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds per call of each task at batches 1 and 64, by task and batch: the median of interleaved calls.

    These are approximate; ``zoo bench`` measures accurately.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, given in feeds.items():
        found[name] = {}
        for batch in (1, 64):
            few = {key: np.resize(array, (batch, *array.shape[1:])) for key, array in given.items()}
            times: dict[str, list[float]] = {"float": [], "quantized": []}
            end = time.perf_counter() + SECONDS
            for number in range(CALLS + 1):
                for side, model in (("float", before), ("quantized", after)):
                    start = time.perf_counter()
                    model.backend.run(name, few)
                    if number:  # the first call sets up memory
                        times[side].append(1000 * (time.perf_counter() - start))
                if number and time.perf_counter() > end:
                    break
            found[name][str(batch)] = {side: round(float(np.median(taken)), 4) for side, taken in times.items()}
    return found
