"""A measurement: a value, its protocol and its confidence interval. Needs neither torch nor numpy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zoo.core.errors import EvaluationError

Better = Literal["lower", "higher"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measured value of one metric. Raises :class:`EvaluationError` for a value that is not finite."""

    name: str
    value: float
    unit: str
    protocol: str
    """What is needed to repeat the measurement: samples, split, binarisation, features, seeds."""
    better: Better = "lower"
    low: float | None = None
    high: float | None = None
    """The ends of the 95% interval; None if there is no interval."""
    interval: str = ""
    """How the interval was computed, or why there is none."""
    baseline: tuple[str, float] | None = None
    """The name of a baseline, such as PCA, and its value on the same samples."""
    count: int = 0
    """The number of samples behind the value; 0 if it was not recorded."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise EvaluationError(f"{self.name} is {self.value}, and a measurement must be finite.")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that ``evaluation.json`` and a manifest hold."""
        entry = dataclasses.asdict(self)
        if self.baseline is not None:
            entry["baseline"] = {"name": self.baseline[0], "value": self.baseline[1]}
        return entry


def from_json(entry: Mapping[str, Any]) -> Measurement:
    """Read a measurement from its JSON object. Older objects have no interval; unknown keys are ignored."""
    known = {key: entry[key] for key in (field.name for field in dataclasses.fields(Measurement)) if key in entry}
    if known.get("baseline") is not None:
        known["baseline"] = (known["baseline"]["name"], known["baseline"]["value"])
    return Measurement(**known)


def cells(measurement: Measurement) -> tuple[str, str, str, str]:
    """The row of a table: name, value, unit and baseline as text."""
    return measurement.name, format_value(measurement), measurement.unit, format_baseline(measurement)


def number(value: float, digits: int = 4) -> str:
    """``"22.34"``, ``"-10,639"``: `digits` significant digits, and all digits before the decimal point."""
    return f"{value:,.0f}" if 10**digits - 0.5 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def format_value(measurement: Measurement) -> str:
    """``"22.34 ± 0.31"``: the value and half the width of its interval, if it has one."""
    if measurement.low is None or measurement.high is None:
        return number(measurement.value)
    return f"{number(measurement.value)} ± {number((measurement.high - measurement.low) / 2, 2)}"


def format_loss(loss: Mapping[str, Any]) -> str:
    """``"+3.1%"``: the relative degradation of a metric in a manifest's ``losses``; near 0 the absolute one."""
    before, after = float(loss["float"]), float(loss["quantized"])
    if loss.get("of", abs(before)) > abs(before):
        return f"{before - after if loss.get('better') == 'higher' else after - before:+.2g}"
    return f"{loss['loss']:+.1%}"


def format_baseline(measurement: Measurement) -> str:
    """``"0.931 (PCA, 16 components)"``, or a dash."""
    return "-" if measurement.baseline is None else f"{number(measurement.baseline[1])} ({measurement.baseline[0]})"


def format_protocol(measurement: Measurement) -> str:
    """The protocol, and how the interval was computed."""
    return f"{measurement.protocol}; {measurement.interval}" if measurement.interval else measurement.protocol
