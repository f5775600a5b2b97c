"""Classes, noise and scores: arrays of numbers that mean something."""

from __future__ import annotations

from zoo.contract.specs import Label, Noise, Score
from zoo.core.errors import SettingError
from zoo.media.kinds.base import Array, Kind


class LabelKind(Kind[Label]):
    """int64 in [0, classes)."""

    def check(self, array: Array, spec: Label, name: str) -> None:
        if len(wrong := array[(array < 0) | (array >= spec.classes)]):
            raise SettingError(f"{name} has the value {wrong[0]}; it must be from 0 to {spec.classes - 1}.")

    def gives(self, spec: Label) -> str:
        return f"{super().gives(spec)} from 0 to {spec.classes - 1}"

    def describe(self, spec: Label) -> str:
        return f"label below {spec.classes}"

    def example(self, spec: Label, batch: int, stream: int) -> Array:
        return self._classes(spec, spec.classes, batch, stream)


class NoiseKind(Kind[Noise]):
    """float32, standard normal or uniform in [0, 1)."""

    def gives(self, spec: Noise) -> str:
        which = "standard normal" if spec.distribution == "normal" else "uniform in [0, 1)"
        return f"{super().gives(spec)}, {which} for samples"

    def example(self, spec: Noise, batch: int, stream: int) -> Array:
        return self._draw(spec.distribution, spec, batch, stream)


class ScoreKind(Kind[Score]):
    """float32, one an item."""

    def gives(self, spec: Score) -> str:
        return f"{super().gives(spec)}, the higher, the more anomalous"
