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

from zoo.contract.specs import LARGEST_NUMBER
from zoo.core.errors import DataError, suggest, unreadable, unusable
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
    named: bool = True
    """Whether the names of the columns are those of the file."""
    lines: Sequence[int] = ()
    """The line of each row in a .csv file; () for other files."""

    def numbers(self, names: Sequence[str] | None = None) -> NDArray[np.float64]:
        """The columns of these names, or all, as float64 (n, columns).

        Raises :class:`DataError` for a column that is not there, or that is not of finite float32 numbers.
        """
        found = [*self.columns] if names is None else names
        if not found:
            raise DataError(f"{self.name} has no column of numbers. Add one.")
        for key in found:
            if key not in self.columns:
                has = f"{', '.join([*self.columns][:20])}{', …' if len(self.columns) > 20 else ''}"
                near = suggest(key, self.columns)
                raise DataError(f"{self.name} has no column {key!r}.{near or ' Add it.'} It has: {has}.")
            self._check(key)
        return np.stack([self.columns[key] for key in found], axis=1)

    def _check(self, key: str) -> None:
        """Raise :class:`DataError` for the first cell of a column that is no finite number."""
        column = self.columns[key]
        if column.dtype.kind == "f":
            wrong = np.flatnonzero(~(np.abs(column) <= LARGEST_NUMBER))
            found = [(int(row), f"{column[row]:g}") for row in wrong[:1]]
        else:
            found = [(row, str(cell)) for row, cell in enumerate(column) if not _is_usable(cell)][:1]
        for row, cell in found:
            place = f"line {self.lines[row]}" if self.lines else f"row {row + 1}"
            what = "finite float32 number" if _is_float(cell) else "number"
            raise DataError(
                f"{self.name}: column {key!r} has {cell[:40]!r} in {place}, which is no {what}. "
                "Replace it, or leave the column out."
            )


def read(path: str | Path) -> Table:
    """The table in a .csv or a .parquet file. Raises :class:`DataError` for one that is damaged, empty or missing.

    The first row of a .csv file has the names of the columns, unless it has numbers alone.
    """
    place = expand(path)
    try:
        if place.suffix.lower() == ".parquet":
            found = _parquet(place, str(path))
        else:
            found = _csv(place.read_text("utf-8-sig"), str(path))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Check the path.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: byte {error.start} is no character. Save it as UTF-8.") from error
    except ValueError as error:
        raise DataError(f"{path} is no table that can be read: {' '.join(str(error).split())[:200]}.") from error
    if not found.columns or not len(next(iter(found.columns.values()))):
        raise DataError(f"{path} has no rows. Add some.")
    return found


def parse(text: str) -> dict[str, NDArray[Any]]:
    """The columns of a table in CSV. Raises ValueError where the rows differ in length."""
    return _csv(text, "").columns


def _csv(text: str, name: str) -> Table:
    """A table in CSV. A cell in quotes may have several lines; the first one is that of its row."""
    rows, lines = [], []
    reader, line = csv.reader(io.StringIO(text, newline="")), 1
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{error}. Save it again") from error
    if not rows:
        return Table(name, {})
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            said = f"line {line} has {_cells(row)}, and line {lines[0]} has {_cells(rows[0])}"
            raise ValueError(f"{said}. Give every line as many")
    named = _are_names(rows[0])
    names = _distinct(rows[0]) if named else places((len(rows[0]),))
    cells = zip(*rows[named:], strict=True) if len(rows) > named else ([] for _ in names)
    columns = {key: _column(column) for key, column in zip(names, cells, strict=True)}
    return Table(name, columns, named, lines[named:])


def _cells(row: Sequence[str]) -> str:
    return "1 cell" if len(row) == 1 else f"{len(row)} cells"


def _are_names(cells: Sequence[str]) -> bool:
    """Whether the cells are names of columns: one is text. Cells that are empty, or nan, say nothing."""
    return any(cell.strip() and not _is_float(cell) for cell in cells)


def _distinct(names: Iterable[str]) -> list[str]:
    """Names of columns, each in one line without spaces around it; ValueError where two are the same."""
    found = [" ".join(name.split()) for name in names]
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"two of its columns are called {twice[:40]!r}. Rename one")
    return found


def write(samples: NDArray[Any], names: Sequence[str] = ()) -> str:
    """Numbers, (n, …), as a table in CSV: a header, then one row a sample. A number is read back as it was.

    Columns without `names`, or whose names are all numbers and so would be read as a row, are called by their place.
    """
    if len(names) != math.prod(samples.shape[1:]) or not _are_names(names):
        names = places(samples.shape[1:])
    flat = samples.reshape(len(samples), -1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *(map(str, row) for row in flat)])
    return text.getvalue()


def places(shape: tuple[int, ...]) -> list[str]:
    """The names of columns that have none: ``x0``, ``x1``, …; ``x1_2`` for more than one axis."""
    return [f"x{'_'.join(map(str, place))}" for place in np.ndindex(shape)]


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


def _parquet(path: Path, name: str) -> Table:
    try:
        from pyarrow import ArrowException, parquet, types
    except ImportError as error:
        raise unusable(error, "pyarrow", "table", "Reading Parquet files") from error
    try:
        stored = parquet.read_table(path)
    except ArrowException as error:
        raise ValueError(f"{' '.join(str(error).split())[:160]}. Save it again") from error
    columns = {}
    for key, column in zip(_distinct(stored.column_names), stored.columns, strict=True):
        is_number = types.is_integer(column.type) or types.is_floating(column.type)
        values = column.to_numpy().astype(np.float64) if is_number and not column.null_count else np.array([np.nan])
        columns[key] = values if np.isfinite(values).all() else _column(column.to_pylist())
    return Table(name, columns, _are_names([*columns]))


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


def _is_usable(cell: Any) -> bool:
    """Whether a cell is a finite number of float32."""
    number = _number(cell)
    return number is not None and abs(number) <= LARGEST_NUMBER


def _is_float(cell: str) -> bool:
    """Whether a cell is a number, finite or not, or nan."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
