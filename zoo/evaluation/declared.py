"""The metrics that a plugin declares itself: likelihoods, bounds and other metrics of one model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.intervals import of_samples
from zoo.plugin import Metric, Recipe
from zoo.training import metric_values
from zoo.training.batches import Batches

if TYPE_CHECKING:
    from torch import nn


def values(
    metric: Metric, module: nn.Module, batches: Batches, recipe: Recipe, count: int, quiet: bool
) -> NDArray[np.float64]:
    """One value per sample, (count,), with progress. Raises the error of :func:`zoo.training.metric_values.take`."""
    with Progress(f"Measuring {metric.name}", count, quiet=quiet) as progress:
        computed, failed = metric_values.take(
            (metric,), module, batches, recipe, count, lambda done: progress.update(done, {}, done)
        )
    if failed:
        raise failed[metric.name]
    return computed[metric.name]


def measurement(
    metric: Metric,
    module: nn.Module,
    recipe: Recipe,
    device: torch.device,
    evaluated: EvaluatedModel,
    budget: Budget,
) -> Measurement:
    """Compute a declared metric of a module, in eval mode on `device`: the mean, with its bootstrap interval."""
    test = evaluated.test
    batches = Batches(test, max(recipe.batch, 100), recipe.seed, device)
    count = min(budget.limit or metric.limit or len(test), len(test))
    try:
        found = values(metric, module, batches, recipe, count, budget.quiet)
    except EvaluationError as error:
        raise EvaluationError(
            f"{str(error).rstrip('.')}: the model is broken, or this release leaves out weights that the metric "
            "needs, and the run folder has them"
        ) from error
    which = f"{count:,}" if count == len(test) else f"the first {count:,} of {len(test):,}"
    return of_samples(
        metric.name,
        found,
        metric.unit,
        f"{metric.protocol}; {which} test samples of {evaluated.data}",
        metric.better,
    )


def spoil(module: nn.Module, left_out: Iterable[str]) -> nn.Module:
    """Fill the weights that a release leaves out with NaN, so that no metric can use untrained weights."""
    state = module.state_dict()
    for name in left_out:
        if name in state and state[name].is_floating_point():
            state[name].fill_(torch.nan)
    return module
