"""Classes, noise and scores: arrays of numbers that mean something."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.contract.specs import LARGEST_NUMBER, Label, Noise, Number, Score
from zoo.core.errors import SettingError, suggest
from zoo.media.kinds.base import Array, Kind, Reading, file_names

SHOWN = 20
"""Names of classes that a description lists."""


class LabelKind(Kind[Label]):
    """int64 in [0, classes)."""

    def to_batch(self, value: Any, spec: Label, name: str, reading: Reading) -> Array:
        """Also names of classes, one or a list, where the spec has names."""
        if spec.names and not all(str(file).endswith(".npy") for file in file_names(value)):
            value = numbered(value, spec, name)
        return super().to_batch(value, spec, name, reading)

    def check(self, array: Array, spec: Label, name: str) -> None:
        if len(wrong := array[(array < 0) | (array >= spec.classes)]):
            raise SettingError(f"{name} has the value {wrong[0]}; it must be from 0 to {spec.classes - 1}.")

    def gives(self, spec: Label) -> str:
        return f"{super().gives(spec)} from 0 to {spec.classes - 1}"

    def takes(self, spec: Label) -> str:
        return super().takes(spec) + (f"; the names of classes: {names_of(spec)}" if names_of(spec) else "")

    def describe(self, spec: Label) -> str:
        return f"label below {spec.classes}"

    def example(self, spec: Label, batch: int, stream: int) -> Array:
        return self._classes(spec, spec.classes, batch, stream)


def names_of(spec: Label) -> str:
    """The first names of classes, in words; "" where there are none, or where they are the numbers."""
    if spec.names == tuple(map(str, range(spec.classes))):
        return ""
    return ", ".join(spec.names[:SHOWN]) + (", …" if len(spec.names) > SHOWN else "")


def numbered(label: Any, spec: Label, name: str) -> Any:
    """The numbers of classes for their names, one or a list of them; anything else as it is.

    Raises :class:`SettingError` for a name that no class has.
    """
    if isinstance(label, (list, tuple)) and any(isinstance(one, str) for one in label):
        return [numbered(one, spec, name) for one in label]
    if not isinstance(label, str):
        return label
    if label not in spec.names:
        known = f", nor one of {names_of(spec)}" if names_of(spec) else ""
        raise SettingError(f"{name} = {label!r} is not an integer{known}.{suggest(label, spec.names)}")
    return spec.names.index(label)


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


class NumberKind(Kind[Number]):
    """float32, one an item, within a range."""

    def to_batch(self, value: Any, spec: Number, name: str, reading: Reading) -> Array:
        """Also one number, for all items."""
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise SettingError(f"{name} = {repr(value)[:40]} is not a number, nor a list of numbers.")
        for value in np.atleast_1d(array).ravel():
            if not abs(value) <= LARGEST_NUMBER and not np.isnan(value):
                raise SettingError(f"{name} is {value:g}, which no float32 holds. Check the input.")
        array = array.astype(np.float32)
        return super().to_batch(array, spec, name, reading)

    def check(self, array: Array, spec: Number, name: str) -> None:
        for value in array:
            if problem := spec.problem(float(value)):
                raise SettingError(f"{name} {problem}.")

    def gives(self, spec: Number) -> str:
        ends = [f"{words} {end:g}" for words, end in (("at least", spec.ge), ("at most", spec.le)) if end is not None]
        return f"a number{f' of {ends[0]}' if ends else ''}{f' and {ends[1]}' if ends[1:] else ''}"

    def takes(self, spec: Number) -> str:
        return f"{self.gives(spec)}, or one an item (default: {spec.default:g})"

    def describe(self, spec: Number) -> str:
        return "number"

    def example(self, spec: Number, batch: int, stream: int) -> Array:
        """The default, and values between the ends of the range."""
        made = np.full(batch, spec.default, np.float32)
        if spec.ge is not None and spec.le is not None:
            made[1:] = np.linspace(spec.ge, spec.le, batch - 1, dtype=np.float32) if batch > 1 else made[1:]
        return made
