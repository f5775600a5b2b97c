"""Small data sets of each kind of sample that kinds_plugin.py is trained on, made by a formula."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.contract.data import Split

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


def data_set(name: str) -> zoo.DataSet:
    """The data set of a name."""

    def load(split: Split, folder: Path, options: zoo.Options) -> Mapping[str, NDArray[np.generic]]:
        x, labels = made(name, split)
        return {"x": x, "label": labels}

    return zoo.DataSet(
        card=zoo.DataCard(title=name, source="made by a formula", licence="MIT", citation="none", split="made"),
        sample=lambda options: zoo.Sample(FORMS[name], {"label": zoo.Label(2)}),
        load=load,
        classes=("low", "high"),
        train=COUNTS["train"],
        test=COUNTS["test"],
    )


dots, paint, moons, clouds, four = map(data_set, FORMS)

PAIR = zoo.Sample(FORMS["moons"], {"clip": FORMS["dots"], "point": FORMS["clouds"]})


def load_pairs(split: Split, folder: Path, options: zoo.ImageOptions) -> Mapping[str, NDArray[np.generic]]:
    names = {"x": "moons", "clip": "dots", "point": "clouds"}
    return {field: made(name, split)[0] for field, name in names.items()}


pairs = zoo.DataSet(
    card=zoo.DataCard(title="pairs", source="made by a formula", licence="MIT", citation="none", split="made"),
    sample=lambda options: PAIR,
    load=load_pairs,
    train=COUNTS["train"],
    test=COUNTS["test"],
)


def load_clips(split: Split, folder: Path, options: zoo.ImageOptions) -> Mapping[str, NDArray[np.generic]]:
    x = np.random.default_rng(COUNTS[split]).integers(0, 256, (COUNTS[split], *FORMS["dots"].shape)).astype(np.uint8)
    return {"x": x, "other": x[:, 0]}


clips = zoo.DataSet(
    card=pairs.card,
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(FORMS["dots"], {"other": zoo.Image(1, 6, 8)}),
    load=load_clips,
)
"""Videos of noise, with their first frames."""
