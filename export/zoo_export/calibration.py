"""What a release's tasks meet in use: real data, codes of real data, seeded noise, the states of a reader."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Iterative, Label, Noise, Spec, Text
from zoo.core import philox
from zoo.data import DataSet
from zoo.evaluation import likelihood
from zoo.evaluation.evaluated_model import some
from zoo.runtime import LoadedModel
from zoo.runtime.example_inputs import SEED, example
from zoo.sampling import autoregressive
from zoo.sampling.ddim import table
from zoo.sampling.generation import MOST_ROWS

Array = NDArray[Any]

SAMPLES = 256
"""Samples of the training split on which the ranges of activations are taken."""

FULL = {np.dtype(np.uint8): 255, np.dtype(np.int16): 32768}
"""What numbers of a data set are divided by to be what a graph takes."""


def feeds(model: LoadedModel, data: DataSet, count: int = SAMPLES) -> dict[str, Mapping[str, Array]]:
    """For each task its inputs, at most `count` of each, drawn from a split of the model's data with seed 0.

    A sample is a real one, and a label its label. What has the form of a code is the code of a real sample; where
    noise has that form, every second one is drawn instead, as generation does. The step of a model that goes token by
    token gets the states that it meets in the middle of real samples; that of one that goes from noise to a sample gets
    real samples with noise of any time.
    """
    plan = model.release.plan
    real, labels = _real(data, count)
    codes = _codes(model, real)
    found: dict[str, Mapping[str, Array]] = {}
    for name, task in model.release.tasks.items():
        found[name] = {
            key: _input(spec, stream, model.release.sample.x, real, labels, codes)
            for stream, (key, spec) in enumerate(task.inputs.items())
        }
        if plan is None or name not in plan.uses:
            continue
        if plan.tokens is not None and plan.tokens.task == name:
            found[name] = _halfway(model, plan, found[name], real, codes)
        elif isinstance(plan.value, Iterative):
            found[name] = {**found[name], **_noisy(plan.value, real)}
    return found


def _halfway(
    model: LoadedModel, plan: Plan, given: Mapping[str, Array], real: Array, codes: Array | None
) -> Mapping[str, Array]:
    """What the token's task gets in the middle of real texts, or of the tokens of real samples."""
    assert plan.tokens is not None
    grid, token = plan.tokens.shape, plan.tasks[plan.tokens.task].inputs["token"]
    assert isinstance(token, Label)
    if not grid:
        found = real
    elif codes is not None and codes.shape[1:] == grid and codes.dtype == np.int64:
        found = codes.reshape(len(codes), -1)
    else:
        found = example(Label(token.classes, (math.prod(grid),)), len(real), 0)
    half = found[:MOST_ROWS, : max(1, found.shape[1] // 2)]
    labels = {name: given[name][: len(half)] for name in plan.labels(plan.tokens.task)}
    *_, (met, _) = autoregressive.read(model.backend.run, plan, labels, half.T)
    return met


def _noisy(generation: Iterative, real: Array) -> dict[str, Array]:
    """√ᾱ x₀ + √(1 − ᾱ) ε of real samples x₀, at times that are evenly spread over them."""
    times = np.arange(len(real)) * len(generation.alphas) // len(real)
    alphas = table(generation)[times].reshape(-1, *[1] * (real.ndim - 1))
    drawn = philox.draw("normal", real.shape[1:], SEED, np.arange(len(real)))
    return {"x": np.sqrt(alphas) * (2 * real - 1) + np.sqrt(1 - alphas) * drawn, "time": times}


def _input(spec: Spec, stream: int, sample: Spec, real: Array, labels: Array | None, codes: Array | None) -> Array:
    if spec == sample:
        return real
    if isinstance(spec, Label) and labels is not None and labels.max() < spec.classes and not spec.shape:
        return labels
    if codes is None or codes.shape[1:] != spec.shape or codes.dtype != spec.dtype:
        return example(spec, len(real), stream)
    if not isinstance(spec, Noise):
        return codes
    drawn = philox.draw(spec.distribution, spec.shape, SEED, np.arange(len(codes)), stream)
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
