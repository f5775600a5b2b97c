"""Arrays of numbers that are data: rows of tables, point clouds, volumes. Shown as numbers, never as images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.specs import Array as ArraySpec
from zoo.core.errors import DataError, ReleaseError, SettingError
from zoo.media import table
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Layout, Reading, SampleKind, stored, within

MOST = 2**16
"""The numbers of the samples of a release, at most; those of the first sample are always there."""


SHOWN = 8
"""The names of columns that a description of an input has, at most."""


class ArrayKind(SampleKind[ArraySpec]):
    """float32 (n, *shape), within the bounds of the spec."""

    noun, medium, unit, tag = "an array", "arrays", "samples", "tabular"
    card_count, card_ending = 16, ".csv"
    endings = (".npy", ".csv", ".json")
    layout = Layout(16, 1, 0)
    has_image = False
    compared = (4, 1)

    def bounds(self, spec: ArraySpec) -> tuple[float, float]:
        low, high = (-math.inf if spec.low is None else spec.low), (math.inf if spec.high is None else spec.high)
        return float(np.float32(low)), float(np.float32(high))

    def count(self, spec: ArraySpec) -> int:
        return max(1, min(self.layout.count, MOST // math.prod(spec.shape)))

    def read(self, files: Sequence[str | Path], spec: ArraySpec, name: str, reading: Reading) -> Array:
        """Arrays, and tables of one row a sample: columns by name, where both the table and the spec have names."""
        return np.concatenate([self._file(file, spec) for file in files])

    def _file(self, file: str | Path, spec: ArraySpec) -> Array:
        ending = Path(file).suffix.lower()
        if ending == ".npy":
            return self.from_array(stored(file), spec, str(file))
        if ending not in table.ENDINGS:
            raise SettingError(f"{str(file)!r} must end in .npy, {' or '.join(table.ENDINGS)}.")
        found, wanted = table.read(file), math.prod(spec.shape)
        if spec.names and found.named and [*found.columns] != table.places(spec.shape):
            return self.from_array(found.numbers(spec.names), spec, str(file))
        if len(found.columns) != wanted:
            raise DataError(
                f"{file} has {len(found.columns)} columns; this model takes {wanted} numbers a row. "
                f"Give a table of {wanted} columns."
            )
        rows = found.numbers()
        return self.from_array(rows.reshape(-1, *spec.shape), spec, str(file))

    def check(self, array: Array, spec: ArraySpec, name: str) -> None:
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            super().check(np.asarray(array, np.float32), spec, name)

    def check_numbers(self, array: Array, spec: ArraySpec) -> None:
        if not np.isfinite(np.clip(array, *self.bounds(spec))).all():
            raise ReleaseError("The model gave values that are not finite. Check its input and its weights.")

    def takes(self, spec: ArraySpec) -> str:
        return f"{self.gives(spec)}; the names of .npy files, or of .csv or .parquet files of one row a sample"

    def gives(self, spec: ArraySpec) -> str:
        bounded = spec.low is not None or spec.high is not None
        named = f", columns {', '.join(spec.names[:SHOWN])}{', …' if len(spec.names) > SHOWN else ''}"
        within_bounds = f", {within(*self.bounds(spec))}" if bounded else ""
        return f"{super().gives(spec)}{within_bounds}{named if spec.names else ''}"

    def describe(self, spec: ArraySpec) -> str:
        return f"array {'×'.join(map(str, spec.shape)) or 'of one number'}"

    def example(self, spec: ArraySpec, batch: int, stream: int) -> Array:
        """Uniform between two bounds, else standard normal, on the right side of a bound."""
        low, high = self.bounds(spec)
        if math.isinf(low) and math.isinf(high):
            return self._draw("normal", spec, batch, stream)
        if math.isinf(low) or math.isinf(high):
            away: Array = np.abs(self._draw("normal", spec, batch, stream))
            return np.float32(high) - away if math.isinf(low) else np.float32(low) + away
        drawn: Array = np.float32(low) + self._draw("uniform", spec, batch, stream) * np.float32(high - low)
        return drawn.clip(np.float32(low), np.float32(high))

    def frames(self, samples: Any, spec: ArraySpec) -> Pixels:
        raise SettingError("Arrays are shown as numbers, never as images. Write a .csv file.")

    def write(self, value: Any, spec: ArraySpec | None, ending: str, columns: int | None = None) -> list[bytes]:
        """Of .csv files one row a sample, with a header."""
        if ending == ".csv":
            return [table.write(np.asarray(value), spec.names if spec else ()).encode()]
        return super().write(value, spec, ending, columns)

    def files(self, samples: Any, spec: ArraySpec) -> dict[str, bytes]:
        return self.beside(samples, spec)

    def beside(self, samples: Any, spec: ArraySpec) -> dict[str, bytes]:
        return {".csv": self.write(samples, spec, ".csv")[0]}
