"""array:FILE: the user's own numbers: a .npy file, or a table. :mod:`zoo.data.array_file` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zoo
from zoo.contract.data import Split
from zoo.data import array_file


@dataclass(frozen=True, kw_only=True)
class ArrayOptions(zoo.Options):
    label: str = zoo.setting("", "the column of a table that holds the classes; empty: the column 'label', if any")


def load(split: Split, file: Path, options: ArrayOptions) -> zoo.Loaded:
    """Load one split of the numbers in a file."""
    return array_file.read(file, split, options.label)


array = zoo.DataSet(
    card=zoo.DataCard(
        title="numbers in a .npy, .csv or .parquet file",
        source="The user's own numbers",
        licence="unknown",
        citation="none",
        split="every tenth sample to test, from the first on, the others to train on",
    ),
    options=ArrayOptions,
    load=load,
    place="FILE",
)
