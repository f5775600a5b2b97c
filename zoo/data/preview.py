"""A data set for people: its first samples, as a model would generate them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.contract.specs import Image, Text
from zoo.data.dataset import DataSet
from zoo.media.display import shown

TEXT = 400
"""Characters of a text that are shown."""


def first(data: DataSet) -> tuple[Any, int]:
    """The first samples of a data set, as a model would generate them, and in how many columns to show them."""
    x = data.sample.x
    if isinstance(x, Text):
        characters = data.read(np.arange(min(TEXT, len(data.x))))
        return ["".join(x.vocabulary[index] for index in characters)], 1
    many, columns = (64, 8) if isinstance(x, Image) else (8, 2)
    samples = data.read(np.arange(min(many, len(data))))
    return shown(samples), columns
