"""The measures that a plugin declares itself: likelihoods, bounds, and whatever only the model can say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.errors import EvaluationError, PluginError, one_line
from zoo.evaluation.figures import Figure
from zoo.evaluation.intervals import of_samples
from zoo.evaluation.subject import Effort, Subject
from zoo.modules import mix
from zoo.plugin import Measure, Recipe
from zoo.progress import Progress
from zoo.training.batches import Batches

if TYPE_CHECKING:
    from torch import nn


def values(
    measure: Measure, module: nn.Module, batches: Batches, recipe: Recipe, count: int, quiet: bool
) -> NDArray[np.float64]:
    """One value a sample, (count,), of the first `count` test samples; torch is seeded anew for each batch."""
    parts: list[NDArray[np.float64]] = []
    done = 0
    devices = [next(module.parameters()).device] if next(module.parameters()).device.type == "cuda" else []
    with (
        torch.no_grad(),
        torch.random.fork_rng(devices),
        Progress(f"Measuring {measure.name}", count, quiet=quiet) as progress,
    ):
        for number, batch in enumerate(batches.in_order(count)):
            torch.manual_seed(mix(recipe.seed, "measure", number))
            try:
                found = measure.fn(module, batch, recipe)
            except Exception as error:
                raise PluginError(f"Measure {measure.name!r} failed: {one_line(error)[:200]}") from error
            if not isinstance(found, torch.Tensor) or found.shape != batch.index.shape:
                shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                raise PluginError(
                    f"Measure {measure.name!r} gave {shape} for a batch of {len(batch.index)}: it must give one value "
                    "a sample, (b,)."
                )
            parts.append(found.double().cpu().numpy())
            done += len(batch.index)
            progress.update(done, {}, done)
    return np.concatenate(parts)


def figure(
    measure: Measure, module: nn.Module, recipe: Recipe, device: torch.device, subject: Subject, effort: Effort
) -> Figure:
    """A declared measure of a module in eval mode on `device`: the mean, with its bootstrap interval."""
    test = subject.test
    batches = Batches(test, max(recipe.batch, 100), recipe.seed, device)
    count = min(effort.limit or measure.limit or len(test), len(test))
    found = values(measure, module, batches, recipe, count, effort.quiet)
    wrong = int((~np.isfinite(found)).sum())
    if wrong:
        raise EvaluationError(
            f"{measure.name} is not finite for {wrong:,} of {count:,} samples: the model is broken, or this release "
            "leaves out weights that the measure needs, and the run folder has them"
        )
    which = f"{count:,}" if count == len(test) else f"the first {count:,} of {len(test):,}"
    return of_samples(
        measure.name, found, measure.unit, f"{measure.protocol}; {which} test samples of {subject.data}", measure.better
    )


def spoil(module: nn.Module, left_out: Iterable[str]) -> nn.Module:
    """Fill what a release leaves out with NaN, so that no measure can rest on weights that were never trained."""
    state = module.state_dict()
    for name in left_out:
        if name in state and state[name].is_floating_point():
            state[name].fill_(torch.nan)
    return module
