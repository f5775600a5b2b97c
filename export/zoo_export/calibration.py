"""What a release's tasks meet in use: real data, codes of real data, seeded noise, the states of a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import noise
from zoo.data import DataSet
from zoo.evaluation import likelihood
from zoo.evaluation.subject import some
from zoo.examples import SEED, example
from zoo.generation import MOST_ROWS
from zoo.runtime import LoadedModel
from zoo.specs import Autoregressive, Label, Noise, Spec, Text

Array = NDArray[Any]

SAMPLES = 256
"""Samples of the training split on which the ranges of activations are taken."""

FULL = {np.dtype(np.uint8): 255, np.dtype(np.int16): 32768}
"""What numbers of a data set are divided by to be what a graph takes."""


def feeds(model: LoadedModel, data: DataSet, count: int = SAMPLES) -> dict[str, Mapping[str, Array]]:
    """For each task its inputs, at most `count` of each, drawn from a split of the model's data with seed 0.

    A sample is a real one, and a label its label. What has the form of a code is the code of a real sample; where
    noise has that form, every second one is drawn instead, as generation does. The step of a model that goes token by
    token gets the states that it meets in the middle of real windows.
    """
    value = model.release.generation
    real, labels = _real(data, count)
    codes = _codes(model, real)
    found: dict[str, Mapping[str, Array]] = {}
    for name, task in model.release.tasks.items():
        if isinstance(value, Autoregressive) and value.task == name:
            half = likelihood.windows(data, np.arange(min(MOST_ROWS, count, len(data))))[
                :, : data.sample.x.shape[0] // 2
            ]
            *_, (found[name], _) = likelihood.reading(model, half)
            continue
        found[name] = {
            key: _input(spec, stream, model.release.sample.x, real, labels, codes)
            for stream, (key, spec) in enumerate(task.inputs.items())
        }
    return found


def _input(spec: Spec, stream: int, sample: Spec, real: Array, labels: Array | None, codes: Array | None) -> Array:
    if spec == sample:
        return real
    if isinstance(spec, Label) and labels is not None and labels.max() < spec.classes and not spec.shape:
        return labels
    if codes is None or codes.shape[1:] != spec.shape or codes.dtype != spec.dtype:
        return example(spec, len(real), stream)
    if not isinstance(spec, Noise):
        return codes
    drawn = noise.draw(spec.distribution, spec.shape, SEED, np.arange(len(codes)), stream)
    drawn[::2] = codes[::2]
    return drawn


def _real(data: DataSet, count: int) -> tuple[Array, Array | None]:
    """Samples of a data set as a graph takes them, and their labels."""
    if isinstance(data.sample.x, Text):
        return likelihood.windows(data, np.arange(min(count, len(data)))), None
    chosen = some(data, count)
    x = chosen.array
    return (x.astype(np.float32) / np.float32(FULL.get(x.dtype, 1))).astype(np.float32), chosen.labels


def _codes(model: LoadedModel, real: Array) -> Array | None:
    """The first output of the task ``encode`` of real samples, where there is such a task."""
    task = model.release.tasks.get("encode")
    if task is None or [*task.inputs.values()] != [model.release.sample.x]:
        return None
    (given,) = task.inputs
    outputs = run(model, "encode", {given: real})
    return outputs[next(iter(task.outputs))]


def run(model: LoadedModel, task: str, given: Mapping[str, Array]) -> dict[str, Array]:
    """A task's outputs on any number of inputs as the graphs have them."""
    size = len(next(iter(given.values())))
    parts = [
        model.backend.run(task, {key: array[start : start + MOST_ROWS] for key, array in given.items()})
        for start in range(0, size, MOST_ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
