"""The metrics that a plugin declares itself: likelihoods, bounds, and metrics of a set of generated samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.contract.own_metrics import OwnMetric
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.intervals import of_samples, of_seeds
from zoo.plugin import Metric, Recipe, SetMetric
from zoo.training import metric_values, set_values
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
    metric: OwnMetric,
    module: nn.Module,
    recipe: Recipe,
    device: torch.device,
    evaluated: EvaluatedModel,
    budget: Budget,
) -> Measurement:
    """Compute a declared metric: of each sample by the module, in eval mode on `device`, or of generated samples."""
    if isinstance(metric, SetMetric):
        return _of_set(metric, recipe, evaluated, budget)
    count = min(budget.limit or metric.limit or len(evaluated.test), len(evaluated.test))
    try:
        found = values(metric, module, _batches(evaluated, recipe, device), recipe, count, budget.quiet)
    except EvaluationError as error:
        raise EvaluationError(
            f"{str(error).rstrip('.')}: the model is broken, or this release leaves out weights that the metric "
            "needs, and the run folder has them"
        ) from error
    protocol = f"{metric.protocol}; {_which(evaluated, count)} test samples of {evaluated.data}"
    return of_samples(metric.name, found, metric.unit, protocol, metric.better)


def _of_set(metric: SetMetric, recipe: Recipe, evaluated: EvaluatedModel, budget: Budget) -> Measurement:
    """The mean over seeds of generation, with its interval. The graphs of a release generate the samples."""
    model, plan = evaluated.model, evaluated.model.release.plan
    if plan is None:
        raise EvaluationError(f"{model.name} generates nothing")
    count = min(budget.samples or metric.samples, budget.limit or len(evaluated.test), len(evaluated.test))
    test = set_values.held(_batches(evaluated, recipe, torch.device("cpu")), evaluated.test.sample, count)
    found = []
    for seed in range(budget.seeds):
        with Progress(f"Generating with seed {seed}", count, quiet=budget.quiet) as progress:
            samples = set_values.generated(model.generate, plan, test, seed, progress)
        found.append(set_values.value(metric, samples, test))
    seeds = f"seeds 0 to {budget.seeds - 1}" if budget.seeds > 1 else "seed 0"
    protocol = (
        f"{metric.protocol}; {count:,} generated samples ({seeds}), {_which(evaluated, count)} test samples of "
        f"{evaluated.data}"
    )
    return of_seeds(metric.name, found, metric.unit, protocol, metric.better, count=count)


def _batches(evaluated: EvaluatedModel, recipe: Recipe, device: torch.device) -> Batches:
    return Batches(evaluated.test, max(recipe.batch, 100), recipe.seed, device)


def _which(evaluated: EvaluatedModel, count: int) -> str:
    return f"{count:,}" if count == len(evaluated.test) else f"the first {count:,} of {len(evaluated.test):,}"


def spoil(module: nn.Module, left_out: Iterable[str]) -> nn.Module:
    """Fill the weights that a release leaves out with NaN, so that no metric can use untrained weights."""
    state = module.state_dict()
    for name in left_out:
        if name in state and state[name].is_floating_point():
            state[name].fill_(torch.nan)
    return module
