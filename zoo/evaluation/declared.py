"""The measures that a plugin declares itself: likelihoods, bounds, and whatever only the model can say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.contract.metric import Figure
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.intervals import of_samples
from zoo.plugin import Measure, Recipe
from zoo.training import metrics
from zoo.training.batches import Batches

if TYPE_CHECKING:
    from torch import nn


def values(
    measure: Measure, module: nn.Module, batches: Batches, recipe: Recipe, count: int, quiet: bool
) -> NDArray[np.float64]:
    """One value a sample, (count,), with progress; the error of :func:`zoo.training.metrics.take` where it fails."""
    with Progress(f"Measuring {measure.name}", count, quiet=quiet) as progress:
        found, failed = metrics.take(
            (measure,), module, batches, recipe, count, lambda done: progress.update(done, {}, done)
        )
    if failed:
        raise failed[measure.name]
    return found[measure.name]


def figure(
    measure: Measure,
    module: nn.Module,
    recipe: Recipe,
    device: torch.device,
    subject: EvaluatedModel,
    budget: Budget,
) -> Figure:
    """A declared measure of a module in eval mode on `device`: the mean, with its bootstrap interval."""
    test = subject.test
    batches = Batches(test, max(recipe.batch, 100), recipe.seed, device)
    count = min(budget.limit or measure.limit or len(test), len(test))
    try:
        found = values(measure, module, batches, recipe, count, budget.quiet)
    except EvaluationError as error:
        raise EvaluationError(
            f"{str(error).rstrip('.')}: the model is broken, or this release leaves out weights that the measure "
            "needs, and the run folder has them"
        ) from error
    which = f"{count:,}" if count == len(test) else f"the first {count:,} of {len(test):,}"
    return of_samples(
        measure.name,
        found,
        measure.unit,
        f"{measure.protocol}; {which} test samples of {subject.data}",
        measure.better,
    )


def spoil(module: nn.Module, left_out: Iterable[str]) -> nn.Module:
    """Fill what a release leaves out with NaN, so that no measure can rest on weights that were never trained."""
    state = module.state_dict()
    for name in left_out:
        if name in state and state[name].is_floating_point():
            state[name].fill_(torch.nan)
    return module
