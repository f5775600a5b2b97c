"""array:FILE: the user's own numbers: a .npy file, one sample a row of its first axis, or a .csv or .parquet table.

Every tenth sample, from the first on, is for testing. Numbers are taken as they are, as float32.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.contract.data import Loaded, Split
from zoo.contract.specs import LARGEST_NUMBER, Array, Label, Sample
from zoo.core.errors import DataError, suggest
from zoo.media import table
from zoo.media.images import shown
from zoo.media.kinds.base import stored

LABEL = "label"
"""The column of a table that holds the classes, unless another is named."""


def read(path: Path, split: Split, label: str = "") -> Loaded:
    """Read one split of the numbers in a file.

    `label` names the column of the classes: numbers or text, each value a class. The default is a column ``label``, if
    there is one; other columns must be of numbers.
    """
    given = str(path)
    if os.path.isdir(path):
        raise DataError(f"{given!r} is a folder, and array: takes a .npy, .csv or .parquet file. Name the file.")
    ending, column = path.suffix.lower(), ""
    names: tuple[str, ...] = ()
    if ending == ".npy":
        rows = stored(path)
        if label:
            raise DataError(f"{given!r} has no column {label!r}: a .npy file has no columns with names.")
        if rows.ndim == 0 or rows.dtype.kind not in "biuf":
            raise DataError(f"{given!r} is {rows.dtype} of shape {rows.shape}; it must be numbers, one sample a row.")
        values: NDArray[np.int64] | None = None
        classes: tuple[str, ...] = ()
        _check_finite(given, rows)
    elif ending in table.ENDINGS:
        found = table.read(path)
        column = label or (LABEL if LABEL in found.columns else "")
        if column and column not in found.columns:
            near = suggest(column, found.columns)
            raise DataError(f"{given!r} has no column {column!r}.{near} It has: {', '.join([*found.columns][:20])}.")
        others = tuple(name for name in found.columns if name != column)
        rows, names = found.numbers(others), others if found.named else ()
        values, classes = _classes(found.columns[column]) if column else (None, ())
    else:
        raise DataError(f"{given!r} must end in .npy, .csv or .parquet. Save the numbers in one of these forms.")
    if len(rows) < 2:
        raise DataError(
            f"{given!r} has {len(rows)} of at least 2 samples: one for training, one for testing. Add more."
        )
    test = np.arange(len(rows)) % 10 == 0
    chosen = test if split == "test" else ~test
    x, labels = np.ascontiguousarray(rows[chosen], np.float32), None if values is None else values[chosen]
    return Loaded(
        fields={"x": x} | ({} if labels is None else {"label": labels}),
        sample=Sample(Array(x.shape[1:], names=names), {"label": Label(len(classes))} if classes else {}),
        source=f"The user's own numbers {shown(path.name)!r}{f', classes of column {column!r}' if column else ''}",
        classes=classes,
    )


def _check_finite(given: str, rows: NDArray[np.generic]) -> None:
    """Raise :class:`DataError` for the first number of an array that is not finite in float32."""
    wrong = np.argwhere(~(np.abs(rows) <= LARGEST_NUMBER))
    if len(wrong):
        place = tuple(wrong[0])
        raise DataError(
            f"{given!r} has {rows[place]} in row {place[0] + 1}, which is no finite float32 number. Replace it."
        )


def _classes(column: NDArray[np.generic]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The class of each row, and the names of the classes, sorted: numbers by their value."""
    names, labels = np.unique(column, return_inverse=True)
    return labels.astype(np.int64), tuple(f"{name:g}" if names.dtype.kind == "f" else str(name) for name in names)
