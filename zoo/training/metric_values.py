"""The evaluator of the metrics that a model declares: it computes and checks their values over batches.

The training loop uses it at checkpoints, and ``zoo evaluate`` uses it on whole splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo.core.errors import EvaluationError, PluginError, ZooError, one_line
from zoo.modules import derive_seed
from zoo.plugin import Batch, Metric, Model, Recipe
from zoo.registry import fault, split
from zoo.training.batches import Batches

TRIAL = 5
"""The maximum number of samples on which every metric is tried before the first step."""

Values = dict[str, NDArray[np.float64]]


@torch.no_grad()
def take(
    metrics: Sequence[Metric],
    module: nn.Module,
    batches: Batches,
    recipe: Recipe,
    count: int,
    done: Callable[[int], None] = lambda samples: None,
) -> tuple[Values, dict[str, ZooError]]:
    """Compute each metric for the first `count` samples: its values, (count,), or its error, by name.

    `module` is in eval mode. Torch is seeded for each batch, and its generators are restored afterwards. `done` is
    called with the number of samples so far. A metric has a :class:`PluginError` instead of values if it raises or does
    not return one real number per sample, and an :class:`EvaluationError` if some values are not finite.
    """
    per_batch: dict[str, list[NDArray[np.float64]]] = {metric.name: [] for metric in metrics}
    failed: dict[str, ZooError] = {}
    samples = 0
    with _own_generators(module):
        for number, batch in enumerate(batches.in_order(count)):
            for metric in metrics:
                if metric.name in failed:
                    continue
                try:
                    per_batch[metric.name].append(_of_batch(metric, module, batch, number, recipe))
                except PluginError as error:
                    failed[metric.name] = error
            samples += len(batch.index)
            done(samples)
    values = {name: np.concatenate(batched) for name, batched in per_batch.items() if name not in failed}
    for name, array in list(values.items()):
        wrong = int((~np.isfinite(array)).sum())
        if wrong:
            failed[name] = EvaluationError(f"{name} is not finite for {wrong:,} of {count:,} samples.")
            del values[name]
    return values, failed


@torch.no_grad()
def check(name: str, model: Model, module: nn.Module, batch: Batch, recipe: Recipe) -> None:
    """Try every metric of `model` on a batch and a fresh module in eval mode, before training starts.

    Raises :class:`PluginError`, with the metric's file and line, if a metric raises, is NaN, or does not return one
    real number per sample. A model with `finish` has not been fitted yet: its metrics may raise or be NaN here, but
    must return the right shape.
    """
    with _own_generators(module):
        for metric in model.metrics:
            try:
                found = _of_batch(metric, module, batch, 0, recipe)
                if np.isnan(found).any() and model.finish is None:
                    raise PluginError(f"The metric {metric.name!r} is not a number (NaN) before the first step.")
            except PluginError as error:
                if model.finish is None or error.__cause__ is None:
                    said = f"{name} cannot be measured: {error}"
                    raise fault(split(name)[0], said, error.__cause__, metric.fn) from error


def _of_batch(metric: Metric, module: nn.Module, batch: Batch, number: int, recipe: Recipe) -> NDArray[np.float64]:
    """The values of batch `number`, (b,)."""
    torch.manual_seed(derive_seed(recipe.seed, "measure", number))
    try:
        found = metric.fn(module, batch, recipe)
        if isinstance(found, Tensor) and found.shape == batch.index.shape and not found.is_complex():
            values: NDArray[np.float64] = found.double().cpu().numpy()
            return values
    except Exception as error:
        raise PluginError(f"The metric {metric.name!r} fails: {one_line(error)[:200]}.") from error
    gave = type(found).__name__
    if isinstance(found, Tensor):
        gave = f"{tuple(found.shape)}{f' of {found.dtype}' if found.is_complex() else ''}"
    raise PluginError(
        f"The metric {metric.name!r} gave {gave} for a batch of {len(batch.index)}: it must give one value per sample, "
        "(b,). A mean is over all axes but the first."
    )


def _own_generators(module: nn.Module) -> AbstractContextManager[None]:
    """Restore torch's generators after the block."""
    device = next(module.parameters()).device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def means(values: Values) -> dict[str, float]:
    """The value of each metric: its mean over samples."""
    return {name: float(array.mean()) for name, array in values.items()}


def quick(metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics computed at checkpoints: those without a limit. The first selects the best checkpoint."""
    return [metric for metric in metrics if metric.limit is None]
