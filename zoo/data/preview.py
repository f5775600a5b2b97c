"""What a look at data shows: its form and counts, and the first samples in the form in which a model generates them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.contract.specs import FieldSpec, Text
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


def describe(train: DataSplit, test: DataSplit) -> dict[str, Any]:
    """Return what is known of both splits of a data set that is read: its counts, its form and its classes."""
    sample = train.sample
    counts = {
        split.split: np.bincount(split.labels, minlength=sample.classes).tolist()
        for split in (train, test)
        if split.labels is not None
    }
    return {
        "source": train.source,
        "licence": train.licence,
        "train": len(train.x),
        "test": len(test.x),
        "unit": "characters" if train.windows else kinds.of_sample(sample.x).unit,
        "fields": {name: _form(sample[name]) for name in ("x", *sample.fields)},
        "classes": list(train.classes),
        **({"counts": counts} if counts else {}),
        "note": train.note,
        "sha256": train.sha256,
        "test_sha256": test.sha256,
    }


def _form(spec: FieldSpec) -> dict[str, Any]:
    keys = ("classes", "rate", "names", "vocabulary")
    more = {key: getattr(spec, key) for key in keys if getattr(spec, key, None)}
    return {"kind": spec.kind, "shape": list(spec.shape), **more}
