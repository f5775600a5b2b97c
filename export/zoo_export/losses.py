"""What a release loses by quantisation: its measures beside those of the float release, sizes, and rough speeds."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Figure, value_words
from zoo.core.errors import ExportError
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.metric_groups import OWN
from zoo.evaluation.runner import PluginMetrics, family_jobs, take
from zoo.plugin import Recipe
from zoo.release import Release
from zoo.runtime import LoadedModel
from zoo_export import calibration
from zoo_export.own import first

Array = NDArray[Any]

SCALES = {"mse": 1e-3, "fid": 1.0, "knn": 0.1, "accuracy": 0.1, "nll": 0.1}
"""What may not get worse, of all models: by a part of itself, or of this, in its unit, where it is smaller, so that a
model which makes no error may make a small one. With a bound of 0.1 an MSE may become 0.0001, which is 40 dB. Other
metrics are 0 where nothing is wrong, or move by more than the bound from seed to seed."""

OWN_SCALE = 1e-3
"""The same of a model's own metric, whatever its unit."""

SHOWN = (*SCALES, "psnr")
"""What is measured. PSNR follows from the MSE, and a mean of decibels has no sense where some images have no error."""

SPREAD = 1e-3
"""Outputs of a task whose standard deviation is below this count as having this one."""

BUDGET = Budget(limit=1000, most=1000, fit=2000, reference=2000)
"""What is spent on the measures of either release: a minute at most, together."""

NLL = 100
"""Windows of a text, each of which takes many calls."""

BOUND = "quantize_loss"
"""The recipe field that says how much worse a metric may get."""

OPTION = "--quantize-loss"

CALLS, SECONDS = 30, 2.0
"""Calls of a task at most, and about how long it takes, to find its speed at one batch."""


@dataclass(frozen=True)
class Loss:
    """A measure of the float release and of the quantised one."""

    before: Figure
    after: Figure
    counts: bool = True
    """Whether the release is refused where this got worse than allowed."""

    @property
    def inside(self) -> bool:
        """Whether the quantised release's value lies in the interval of the float one's: too small to tell."""
        low, high = self.before.low, self.before.high
        return low is not None and high is not None and low <= self.after.value <= high

    @property
    def of(self) -> float:
        """What the loss is relative to, in the unit of the metric: its value, but no less than its scale."""
        return max(abs(self.before.value), SCALES.get(self.before.name, OWN_SCALE))

    @property
    def relative(self) -> float:
        """By what part of that the metric got worse; below 0 for a better one."""
        worse = self.after.value - self.before.value
        return (worse if self.before.better == "lower" else 0.0 - worse) / self.of

    def to_json(self) -> dict[str, Any]:
        """The JSON object that stands in a manifest."""
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
) -> tuple[list[Loss], list[Figure], dict[str, str]]:
    """The losses of a quantised release, all its figures, and why metrics do not apply.

    The model's own first metric is the one that counts where graphs can answer for the tasks that it calls; elsewhere
    what can be measured of any model does.
    """
    budget = dataclasses.replace(BUDGET, quiet=quiet)
    if before.model.release.sample.x.kind == "text":
        budget = dataclasses.replace(budget, limit=NLL)
    subjects = before, dataclasses.replace(before, model=after)
    mine = [first(own, subject, budget) for subject in subjects]
    left_out: dict[str, str] = {}
    taken = [figure for figure in mine if isinstance(figure, Figure)]
    if len(taken) < len(mine):
        taken, left_out[OWN] = [], next(reason for reason in mine if isinstance(reason, str))
    alone = {figure.name for figure in taken}
    sides = []
    for place, subject in enumerate(subjects):
        figures, reasons = take(family_jobs(subject, frozenset(SHOWN) - alone, budget), lambda _: None)
        sides.append({figure.name: figure for figure in (*taken[place : place + 1], *figures)})
        left_out |= reasons
    left, right = sides
    losses = [
        Loss(figure, right[name], counts=name in (alone or SCALES)) for name, figure in left.items() if name in right
    ]
    return losses, [*right.values()], left_out


def differences(
    before: LoadedModel, after: LoadedModel, feeds: Mapping[str, Mapping[str, Array]]
) -> dict[str, dict[str, float]]:
    """For each task the largest difference of an output, and the largest relative one: ‖q − f‖ / ‖f − mean of f‖."""
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
    """The bound: as given, or that of the recipe. Raises :class:`ExportError` for a metric that got worse by more.

    Where no metric counts, no task may differ by more.
    """
    allows = "was allowed" if bound is not None else "is what its recipe allows"
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
                f"{release.name} loses too much: {loss.before.name} is {value_words(loss.before)} in float and "
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
    """A number of two digits that is not below a value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:.2g}"


def speeds(
    before: LoadedModel, after: LoadedModel, feeds: Mapping[str, Mapping[str, Array]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds a call of each task at batches 1 and 64, by task and batch: the median of interleaved calls.

    Rough: ``zoo bench`` measures.
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
