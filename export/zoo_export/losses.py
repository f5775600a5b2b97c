"""What a release loses by narrow numbers: its measures beside those of the float release, sizes, and rough speeds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ExportError
from zoo.evaluation.figures import Figure, value_words
from zoo.evaluation.jobs import family_jobs, take
from zoo.evaluation.subject import Effort, Subject
from zoo.plugin import Recipe
from zoo.release import Release
from zoo.runtime import LoadedModel
from zoo_export import calibration

Array = NDArray[Any]

MEASURES = ("mse", "psnr", "fid", "knn", "accuracy", "nll")
"""What may not get worse. Others are 0 where nothing is wrong, or move by more than this from seed to seed."""

EFFORT = Effort(limit=1000, most=1000, fit=2000, reference=2000)
"""What is spent on the measures of either release: a minute at most, together."""

NLL = 100
"""Windows of a text, each of which takes many calls."""

BOUND = "quantize_loss"
"""The recipe field that says how much worse a measure may get."""

CALLS, SECONDS = 30, 2.0
"""Calls of a task at most, and about how long it takes, to find its speed at one batch."""


@dataclass(frozen=True)
class Loss:
    """A measure of the float release and of the quantised one."""

    before: Figure
    after: Figure

    @property
    def inside(self) -> bool:
        """Whether the quantised release's value lies in the interval of the float one's: too small to tell."""
        low, high = self.before.low, self.before.high
        return low is not None and high is not None and low <= self.after.value <= high

    @property
    def relative(self) -> float:
        """By what part of itself the measure got worse; below 0 for a better one."""
        worse = self.after.value - self.before.value
        return (worse if self.before.better == "lower" else 0.0 - worse) / max(abs(self.before.value), 1e-12)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that stands in a manifest."""
        before, after = self.before.to_json(), self.after.to_json()
        same = {key: before[key] for key in ("name", "unit", "protocol", "better", "low", "high", "interval")}
        return {**same, "float": before["value"], "quantized": after["value"], "loss": self.relative}


def measured(before: Subject, after: LoadedModel, quiet: bool) -> tuple[list[Loss], list[Figure], dict[str, str]]:
    """The losses of a quantised release, all its figures, and why families of measures do not apply."""
    import dataclasses

    wanted = frozenset(MEASURES)
    found = []
    for subject in (before, dataclasses.replace(before, model=after)):
        effort = dataclasses.replace(EFFORT, quiet=quiet)
        if subject.model.release.sample.x.kind == "text":
            effort = dataclasses.replace(effort, limit=NLL)
        found.append(take(family_jobs(subject, wanted, effort), lambda _: None))
    (left, left_out), (right, also) = found
    of = {figure.name: figure for figure in right}
    return [Loss(figure, of[figure.name]) for figure in left if figure.name in of], right, left_out | also


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
            "relative": max(float(np.linalg.norm(gap)) / max(spread[key], 1e-12) for key, gap in gaps.items()),
        }
    return found


def check(release: Release, losses: Sequence[Loss], gaps: Mapping[str, Mapping[str, float]]) -> float:
    """The bound that the recipe of a release sets. Raises :class:`ExportError` for a measure that got worse by more.

    Where no measure applies, no task may differ by more.
    """
    bound = release.manifest["recipe"].get(BOUND)
    if not isinstance(bound, (int, float)):
        bound = next(field.default for field in Recipe.__dataclass_fields__.values() if field.name == BOUND)
    for loss in losses:
        if not (loss.inside or loss.relative <= bound):
            raise ExportError(
                f"{release.name} loses too much: {loss.before.name} is {value_words(loss.before)} in float and "
                f"{loss.after.value:.4g} quantised, {loss.relative:.1%} worse, and its recipe allows "
                f"{BOUND} = {bound:.4g}. Nothing was written."
            )
    for name, gap in {} if losses else gaps.items():
        if not gap["relative"] <= bound:
            raise ExportError(
                f"{release.name} loses too much: no measure applies, task {name!r} differs by {gap['relative']:.1%} of "
                f"its deviation, and its recipe allows {BOUND} = {bound:.4g}. Nothing was written."
            )
    return float(bound)


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
