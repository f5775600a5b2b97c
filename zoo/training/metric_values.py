"""The values of a model's own metrics of each sample, computed and checked batch by batch.

The training loop takes them at checkpoints, and ``zoo evaluate`` on whole splits.
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
from zoo.plugin import Batch, Metric, Recipe
from zoo.training.batches import Batches

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
    with own_generators(module):
        for number, batch in enumerate(batches.in_order(count)):
            for metric in metrics:
                if metric.name in failed:
                    continue
                try:
                    per_batch[metric.name].append(of_batch(metric, module, batch, number, recipe))
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


def of_batch(metric: Metric, module: nn.Module, batch: Batch, number: int, recipe: Recipe) -> NDArray[np.float64]:
    """The values of batch `number`, (b,): float64. Raises :class:`PluginError`, as :func:`take` says."""
    torch.manual_seed(derive_seed(recipe.seed, "measure", number))
    try:
        found = metric.fn(module, batch, recipe)
        if isinstance(found, Tensor) and found.shape == batch.index.shape and not found.is_complex():
            values: NDArray[np.float64] = found.double().cpu().numpy()
            return values
    except (Exception, SystemExit) as error:
        raise PluginError(f"The metric {metric.name!r} fails: {one_line(error)[:200]}.") from error
    gave = type(found).__name__
    if isinstance(found, Tensor):
        gave = f"{tuple(found.shape)}{f' of {found.dtype}' if found.is_complex() else ''}"
    raise PluginError(
        f"The metric {metric.name!r} gave {gave} for a batch of {len(batch.index)}: it must give one value per sample, "
        "(b,). A mean is over all axes but the first."
    )


def own_generators(module: nn.Module) -> AbstractContextManager[None]:
    """Restore torch's generators after the block."""
    device = next(module.parameters()).device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def means(values: Values) -> dict[str, float]:
    """The value of each metric: its mean over samples."""
    return {name: float(array.mean()) for name, array in values.items()}
