"""Realistic inputs of a release's tasks, for calibration: real data and its latents, seeded noise, and states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import DDIM, Iterative
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Label, Noise, Spec, Text
from zoo.core import philox
from zoo.data import DataSplit
from zoo.evaluation import likelihood
from zoo.evaluation.evaluated_model import some
from zoo.media.display import to_graph
from zoo.runtime import LoadedModel
from zoo.runtime.example_inputs import SEED, example
from zoo.sampling import autoregressive, generation, loop
from zoo.sampling.generation import MOST_ROWS

Array = NDArray[Any]

SAMPLES = 256
"""Training samples from which the ranges of activations are measured."""

ALONG = 8
"""Steps of the generation of an iterative model, at most, whose inputs are used."""


def feeds(model: LoadedModel, data: DataSplit, count: int = SAMPLES) -> dict[str, Mapping[str, Array]]:
    """The inputs of each task, at most `count`, from a split of the model's data (seed 0).

    Samples and labels are real. An input of the form of a latent is the latent of a real sample; if it is declared as
    noise, every second one is drawn as in generation. The step of an autoregressive model gets the states in the middle
    of real samples. The step of an iterative model gets what it gets in generation, at several steps.
    """
    plan = model.release.plan
    real, labels = _real(data, count)
    latents = _latents(model, real)
    inputs: dict[str, Mapping[str, Array]] = {}
    for name, task in model.release.tasks.items():
        inputs[name] = {
            key: _input(spec, stream, model.release.sample.x, real, labels, latents)
            for stream, (key, spec) in enumerate(task.inputs.items())
        }
        if plan is None or name not in plan.uses:
            continue
        if plan.tokens is not None and plan.tokens.task == name:
            inputs[name] = _halfway(model, plan, inputs[name], real, latents)
        elif isinstance(plan.loop, (Iterative, DDIM)) and plan.loop.task == name:
            inputs[name] = _along(model, plan, inputs[name])
    return inputs


def _halfway(
    model: LoadedModel, plan: Plan, given: Mapping[str, Array], real: Array, latents: Array | None
) -> Mapping[str, Array]:
    """The inputs of the token's task in the middle of real texts, or of the tokens of real samples."""
    assert plan.tokens is not None
    grid, token = plan.tokens.shape, plan.tasks[plan.tokens.task].inputs["token"]
    assert isinstance(token, Label)
    if not grid:
        tokens = real
    elif latents is not None and latents.shape[1:] == grid and latents.dtype == np.int64:
        tokens = latents.reshape(len(latents), -1)
    else:
        tokens = example(Label(token.classes, (math.prod(grid),)), len(real), 0)
    half = tokens[:MOST_ROWS, : max(1, tokens.shape[1] // 2)]
    asked = {name: given[name][: len(half)] for name in plan.asked(plan.tokens.task)}
    start = loop.begin(plan, np.arange(len(half)), SEED, asked)
    *_, (inputs, _) = autoregressive.read(model.backend.run, plan, start, half.T)
    return inputs


def _along(model: LoadedModel, plan: Plan, given: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs of an iterative loop's task at steps spread over the generation of samples, by default options."""
    assert isinstance(plan.loop, (Iterative, DDIM))
    name, count = plan.loop.task, len(next(iter(given.values())))
    indices = np.arange(max(1, count // ALONG))
    asked = generation.asked_of(plan, indices, **{key: given[key][: len(indices)] for key in plan.asked()})
    seen: list[Mapping[str, Array]] = []

    def run(task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if task == name:
            seen.append(dict(inputs))
        return model.backend.run(task, inputs)

    generation.sample(run, plan, indices, SEED, asked, generation.Request())
    places = np.linspace(0, len(seen) - 1, num=min(len(seen), count // len(indices)), dtype=int)  # first and last too
    return {key: np.concatenate([seen[place][key] for place in places]) for key in given}


def _input(spec: Spec, stream: int, sample: Spec, real: Array, labels: Array | None, latents: Array | None) -> Array:
    if spec == sample:
        return real
    if isinstance(spec, Label) and labels is not None and labels.max() < spec.classes and not spec.shape:
        return labels
    if latents is None or latents.shape[1:] != spec.shape or latents.dtype != spec.dtype:
        return example(spec, len(real), stream)
    if not isinstance(spec, Noise):
        return latents
    drawn = philox.draw(spec.distribution, spec.shape, SEED, np.arange(len(latents)), stream)
    drawn[::2] = latents[::2]
    return drawn


def _real(data: DataSplit, count: int) -> tuple[Array, Array | None]:
    """Samples of a data set, as a graph takes them, and their labels."""
    if isinstance(data.sample.x, Text):
        return likelihood.windows(data, np.arange(min(count, len(data)))), None
    chosen = some(data, count)
    return to_graph(chosen.array), chosen.labels


def _latents(model: LoadedModel, real: Array) -> Array | None:
    """The first output of the task ``encode`` for real samples; None if there is no such task."""
    task = model.release.tasks.get("encode")
    if task is None or [*task.inputs.values()] != [model.release.sample.x]:
        return None
    (given,) = task.inputs
    outputs = run(model, "encode", {given: real})
    return outputs[next(iter(task.outputs))]


def run(model: LoadedModel, task: str, given: Mapping[str, Array]) -> dict[str, Array]:
    """Run a task on any number of inputs, in batches, and return its outputs as the graph has them."""
    size = len(next(iter(given.values())))
    parts = [
        model.backend.run(task, {key: array[start : start + MOST_ROWS] for key, array in given.items()})
        for start in range(0, size, MOST_ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
