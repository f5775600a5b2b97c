"""Previews of data sets: the first samples, in the form in which a model generates them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.contract.specs import Text
from zoo.data.data_split import DataSplit
from zoo.media import kinds
from zoo.media.display import to_display

TEXT = 400
"""The number of characters of a text in a preview."""


def first(data: DataSplit) -> tuple[Any, int]:
    """Return the first samples of a data set, in the form of generated samples, and the number of grid columns."""
    x = data.sample.x
    if isinstance(x, Text):
        characters = data.read(np.arange(min(TEXT if data.windows else TEXT // x.length + 1, len(data.x))))
        return ["".join(x.vocabulary[index] for index in row) for row in np.atleast_2d(characters)], 1
    kind = kinds.of_sample(x)
    samples = data.read(np.arange(min(kind.count(x), len(data))))
    return to_display(samples), kind.layout.columns
