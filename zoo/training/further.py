"""The data sets of a recipe: the one whose samples are modelled, and further ones, each a field of the samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from zoo import data
from zoo.contract.specs import Sample
from zoo.contract.use import Use
from zoo.data import DataSplit
from zoo.data.known_file import Progress
from zoo.plugin import Recipe
from zoo.registry import fault
from zoo.registry import split as split_name


def load_both(use: Use, data_dir: str | Path | None, progress: Progress | None = None) -> tuple[DataSplit, DataSplit]:
    """Load the training and the test split of a data set."""
    train, test = (data.load(use, split, data_dir=data_dir, progress=progress) for split in data.SPLITS)
    return train, test


def with_further(
    name: str, recipe: Recipe, sample: Sample, further: Mapping[str, tuple[DataSplit, DataSplit]]
) -> Sample:
    """Return the form of samples with a field for each further data set: its x, by the name of the recipe's field.

    Raises :class:`PluginError` if the data has a field of that name.
    """
    for field in further:
        if field in sample.fields:
            why = f"{name} has the data set {field!r}, and the samples of {recipe.data.name} have a field of that name"
            raise fault(split_name(name)[0], f"{why}. Rename the recipe field", type(recipe))
    more = {field: one.sample.x for field, (one, _) in further.items()}
    return dataclasses.replace(sample, fields={**sample.fields, **more}) if more else sample
