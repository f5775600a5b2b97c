"""All metrics of a model's own: tried before the first step, and computed at each checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.contract.own_metrics import Metric, SetMetric, at_checkpoints, how_many
from zoo.contract.specs import Sample
from zoo.core.errors import EvaluationError, PluginError, ZooError, one_line
from zoo.core.progress import duration
from zoo.modules.torch_backend import TorchBackend
from zoo.plugin import Batch, Model, Recipe
from zoo.registry import declarations, fault, split
from zoo.sampling import generation
from zoo.training import metric_values, set_values
from zoo.training.batches import Batches

TRIAL = 5
"""The number of test samples, and of generated ones, on which every metric is tried before the first step."""


@torch.no_grad()
def check(name: str, model: Model, module: nn.Module, batch: Batch, recipe: Recipe, sample: Sample) -> None:
    """Try every metric of `model` on a few samples and a fresh module in eval mode, before training starts.

    Raises :class:`PluginError`, with the metric's file and line, for a metric that :mod:`zoo.training.metric_values` or
    :mod:`zoo.training.set_values` refuses, or that is NaN. A model with `finish` has not been fitted yet: its metrics
    may raise or be NaN here, but must return the right type and shape.
    """
    with metric_values.own_generators(module):
        for metric in model.metrics:
            try:
                if isinstance(metric, SetMetric):
                    _try_set(name, metric, model, module, batch, sample)
                elif np.isnan(metric_values.of_batch(metric, module, batch, 0, recipe)).any():
                    raise EvaluationError(f"The metric {metric.name!r} is not a number (NaN) before the first step.")
            except ZooError as error:
                unfitted = isinstance(error, EvaluationError) or error.__cause__ is not None
                if model.finish is None or not unfitted:
                    said = f"{name} cannot be measured: {error}"
                    raise fault(split(name)[0], said, error.__cause__, metric.fn) from error


def compute(
    name: str, model: Model, module: nn.Module, batches: Batches, recipe: Recipe, sample: Sample, count: int,
    say: Callable[[str], None],
) -> tuple[dict[str, float], dict[str, ZooError]]:  # fmt: skip
    """The value of each metric that is computed at checkpoints, in the plugin's order, or its error, by name.

    A metric has at most `count` samples. `say` is called with what the generation of a set costs.
    """
    metrics = at_checkpoints(model.metrics)
    found: dict[str, float] = {}
    failed: dict[str, ZooError] = {}
    of_samples: dict[int, list[Metric]] = {}
    for metric in metrics:
        samples = how_many(metric, count)
        if isinstance(metric, Metric):
            of_samples.setdefault(samples, []).append(metric)
            continue
        start = time.monotonic()
        try:
            test = set_values.held(batches, sample, samples)
            found[metric.name] = set_values.value(metric, _generated(name, model, module, sample, test), test)
        except ZooError as error:
            failed[metric.name] = error
        say(f"{metric.name}, of {samples:,} generated samples, took {duration(time.monotonic() - start)}")
    for samples, several in of_samples.items():
        values, wrong = metric_values.take(several, module, batches, recipe, samples)
        found |= metric_values.means(values)
        failed |= wrong
    return {metric.name: found[metric.name] for metric in metrics if metric.name in found}, failed


def _try_set(name: str, metric: SetMetric, model: Model, module: nn.Module, batch: Batch, sample: Sample) -> None:
    test = {key: values[:TRIAL] for key, values in set_values.fields_of(batch, sample).items()}
    try:
        samples = _generated(name, model, module, sample, test)
    except Exception as error:
        raise PluginError(
            f"The metric {metric.name!r} has no samples: generation fails: {one_line(error)[:200]}"
        ) from error
    first, again = (set_values.value(metric, samples, test) for _ in range(2))
    if first != again:
        raise PluginError(
            f"The metric {metric.name!r} gives {first:.6g} and then {again:.6g} for the same samples: it draws random "
            "numbers without a seed, or changes the samples."
        )


def _generated(name: str, model: Model, module: nn.Module, sample: Sample, test: Mapping[str, Any]) -> Any:
    """Samples of seed 0, beside those of a test split."""
    plugin, tasks = split(name)[0], model.tasks(module)
    plan = declarations.plan(plugin, model, module, tasks, sample)
    assert plan is not None  # a model with such a metric generates
    return set_values.generated(
        partial(generation.generate, TorchBackend.of_module(module, tasks).run, plan), plan, test, 0
    )
