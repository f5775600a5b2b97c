"""Tables of numbers in .csv and .parquet files: one row a sample. Parquet needs pyarrow (extra ``table``)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.core.errors import DataError, one_line, unreadable, unusable
from zoo.core.files import expand

ENDINGS = (".csv", ".parquet")

ROWS, COLUMNS = 4, 6
"""The size of the top of a table that a model card and a gallery show."""


@dataclass(frozen=True)
class Table:
    """A table of named columns of one length."""

    name: str
    """What errors call it."""
    columns: dict[str, NDArray[Any]]
    """Each (n,): float64 where every cell is a number, else str."""

    def numbers(self, without: str = "") -> NDArray[np.float64]:
        """All columns but one as float64 (n, columns). Raises :class:`DataError` for one that is not of numbers."""
        found = [key for key in self.columns if key != without]
        for key in found:
            column = self.columns[key]
            if column.dtype.kind != "f":
                row, cell = next((row, cell) for row, cell in enumerate(column) if _number(cell) is None)
                raise DataError(
                    f"{self.name}: column {key!r} has {str(cell)[:40]!r} in row {row + 1}, which is no number. "
                    "Leave the column out, or replace what is not a number."
                )
        if not found:
            raise DataError(f"{self.name} has no column of numbers.")
        return np.stack([self.columns[key] for key in found], axis=1)


def read(path: str | Path) -> Table:
    """The table in a .csv or a .parquet file. Raises :class:`DataError` for one that is damaged, empty or missing.

    The first row of a .csv file has the names of the columns, unless it has numbers alone.
    """
    place = expand(path)
    try:
        columns = _parquet(place) if place.suffix.lower() == ".parquet" else parse(place.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Check the path.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path} is no table that can be read: {one_line(error)[:200]}.") from error
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{path} has no rows.")
    return Table(str(path), columns)


def parse(text: str) -> dict[str, NDArray[Any]]:
    """The columns of a table in CSV. Raises ValueError where the rows differ in length."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not rows:
        return {}
    named = any(_number(cell) is None for cell in rows[0])
    names = [cell.strip() for cell in rows[0]] if named else [f"x{place}" for place in range(len(rows[0]))]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have one name")
    for place, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise ValueError(f"row {place} has {len(row)} cells, and row 1 has {len(names)}")
    cells = zip(*rows[named:], strict=True) if len(rows) > named else ([] for _ in names)
    return {name: _column(column) for name, column in zip(names, cells, strict=True)}


def write(samples: NDArray[Any]) -> str:
    """Numbers, (n, …), as a table in CSV: a header, then one row a sample. A number is read back as it was."""
    names = [f"x{'_'.join(map(str, place))}" for place in np.ndindex(samples.shape[1:])]
    flat = samples.reshape(len(samples), -1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *(map(str, row) for row in flat)])
    return text.getvalue()


def excerpt(text: str, rows: int = ROWS) -> list[list[str]]:
    """The names of the first columns of a table in CSV, and its first rows, in few digits; … for what is left out."""
    columns = parse(text)
    names = [*columns][:COLUMNS]
    top = zip(*(columns[name][:rows] for name in names), strict=True)
    more = ["…"] * (len(columns) > COLUMNS)
    below = [["…"] * len([*names, *more])] if columns and len(columns[names[0]]) > rows else []
    return [[*names, *more], *([*(_short(cell) for cell in row), *more] for row in top), *below]


def _short(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from pyarrow import ArrowException, parquet, types
    except ImportError as error:
        raise unusable(error, "pyarrow", "table", "Reading Parquet files") from error
    try:
        found = parquet.read_table(path)
    except ArrowException as error:
        raise ValueError(str(error)) from error
    if len(set(found.column_names)) < len(found.column_names):
        raise ValueError("two of its columns have one name")
    columns = {}
    for name, column in zip(found.column_names, found.columns, strict=True):
        is_number = types.is_integer(column.type) or types.is_floating(column.type)
        values = column.to_numpy().astype(np.float64) if is_number and not column.null_count else np.array([np.nan])
        columns[name] = values if np.isfinite(values).all() else _column(column.to_pylist())
    return columns


def _column(cells: Iterable[Any]) -> NDArray[Any]:
    """Cells as float64, or as str where one is no number."""
    values: Sequence[Any] = [*cells]
    numbers = [_number(cell) for cell in values]
    if None in numbers:
        return np.array([str(cell) for cell in values])
    return np.array(numbers, np.float64)


def _number(cell: Any) -> float | None:
    """A cell as a finite number; None for what is none."""
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
