"""Small data sets of each kind of sample that kinds_plugin.py is trained on, made by a formula."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

import zoo
from zoo import data
from zoo.data.dataset import DataSet, Options, Split, fingerprint
from zoo.data.named import NamedSet

FORMS = {
    "dots": zoo.Video(1, 5, 6, 8),
    "paint": zoo.Video(3, 3, 4, 4),
    "moons": zoo.Array((2,), -2.0, 3.0),
    "clouds": zoo.Array((4, 3)),
    "four": zoo.Image(4, 5, 6),
}
COUNTS = {"train": 80, "test": 20}


def made(name: str, split: Split) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """The samples and labels of a split."""
    random = np.random.default_rng([len(name), COUNTS[split]])
    count, form = COUNTS[split], FORMS[name]
    labels = np.arange(count) % 2
    if isinstance(form, zoo.Video):  # a dot that moves to the right, from one of two rows
        x = np.zeros((count, *form.shape), np.uint8)
        start = random.integers(0, form.width, count)
        for moment in range(form.frames):
            x[np.arange(count), moment, :, labels, (start + moment) % form.width] = 255
        return x, labels
    if isinstance(form, zoo.Image):  # each plane its own shade
        shades = random.integers(0, 256, (count, form.channels, 1, 1))
        return np.broadcast_to(shades, (count, *form.shape)).astype(np.uint8), labels
    angle = random.uniform(0, np.pi, (count, *form.shape[:-1])) + np.pi * labels.reshape(
        -1, *[1] * (len(form.shape) - 1)
    )
    x = np.stack([np.cos(angle), np.sin(angle), angle / 9][: form.shape[-1]], -1)
    return x.astype(np.float32), labels


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    x, labels = made(known.name, split)
    sample = zoo.Sample(FORMS[known.name], {"label": zoo.Label(2)})
    return known.data_set(split, sample, np.ascontiguousarray(x), labels, fingerprint(x, labels))


@contextmanager
def known() -> Iterator[None]:
    """Within the block these are data sets by name."""
    with pytest.MonkeyPatch.context() as patch:
        for name, form in FORMS.items():
            about = NamedSet(
                name=name, title=name, kind=form.kind, loader="kinds_data", train=80, test=20, shape=form.shape,
                split="made", source="made by a formula", citation="none", licence="MIT", proven=True,
                classes=("low", "high"), package="zoo",
            )  # fmt: skip
            patch.setitem(data.NAMED, name, about)
        yield
