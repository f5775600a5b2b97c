"""A figure: one measured number, what lets somebody repeat it, and how sure it is. Needs neither torch nor numpy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zoo.core.errors import EvaluationError

Better = Literal["lower", "higher"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number. Raises :class:`EvaluationError` for a value that is not finite, which measures nothing."""

    name: str
    value: float
    unit: str
    protocol: str
    """What somebody needs to repeat it: samples, split, binarisation, features, seeds."""
    better: Better = "lower"
    low: float | None = None
    high: float | None = None
    """The ends of the 95% interval; None where none was taken."""
    interval: str = ""
    """How the interval was made, or why there is none."""
    baseline: tuple[str, float] | None = None
    """What it stands beside: a name and a value on the same samples, such as PCA's."""
    count: int = 0
    """The samples that it rests on; 0 where that was not written down."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise EvaluationError(f"{self.name} came out as {self.value}, which measures nothing.")

    def to_json(self) -> dict[str, Any]:
        """The JSON object that stands in ``measures.json`` and in a manifest."""
        entry = dataclasses.asdict(self)
        if self.baseline is not None:
            entry["baseline"] = {"name": self.baseline[0], "value": self.baseline[1]}
        return entry


def from_json(entry: Mapping[str, Any]) -> Figure:
    """The figure of a JSON object; one written before figures had intervals has none. Other keys are left unread."""
    known = {key: entry[key] for key in (field.name for field in dataclasses.fields(Figure)) if key in entry}
    if known.get("baseline") is not None:
        known["baseline"] = (known["baseline"]["name"], known["baseline"]["value"])
    return Figure(**known)


def from_catalogue(entry: Mapping[str, Any]) -> Figure:
    """The figure of an entry of ``registry.yaml``."""
    return from_json({**entry, "baseline": entry.get("beside")})


def cells(figure: Figure) -> tuple[str, str, str, str]:
    """The name, the value, the unit and the baseline, in words: a row of a table."""
    return figure.name, value_words(figure), figure.unit, baseline_words(figure)


def number(value: float, digits: int = 4) -> str:
    """``"22.34"``, ``"-10,639"``: so many digits, and all of those before the point."""
    return f"{value:,.0f}" if 10**digits - 0.5 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def value_words(figure: Figure) -> str:
    """``"22.34 ± 0.31"``: the value with half the width of its interval, where there is one."""
    if figure.low is None or figure.high is None:
        return number(figure.value)
    return f"{number(figure.value)} ± {number((figure.high - figure.low) / 2, 2)}"


def loss_words(loss: Mapping[str, Any]) -> str:
    """``"+3.1%"``: by what part of itself a metric got worse, of a manifest's ``losses``; near 0 by how much."""
    before, after = float(loss["float"]), float(loss["quantized"])
    if loss.get("of", abs(before)) > abs(before):
        return f"{before - after if loss.get('better') == 'higher' else after - before:+.2g}"
    return f"{loss['loss']:+.1%}"


def baseline_words(figure: Figure) -> str:
    """``"0.931 (PCA, 16 numbers)"``, or a dash."""
    return "-" if figure.baseline is None else f"{number(figure.baseline[1])} ({figure.baseline[0]})"


def protocol_words(figure: Figure) -> str:
    """The protocol, and how sure the value is."""
    return f"{figure.protocol}; {figure.interval}" if figure.interval else figure.protocol
