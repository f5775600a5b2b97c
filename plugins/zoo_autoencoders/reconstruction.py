"""The squared error of a reconstruction, as a loss term and as a metric."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import zoo


def squared_error(made: Tensor, x: Tensor) -> Tensor:
    """‖x − made‖², summed over pixels: images (b, c, h, w) → (b,)."""
    return (made - x).square().flatten(1).sum(1)


def mse(module: Any, batch: zoo.Batch, recipe: zoo.Recipe) -> Tensor:
    """The mean squared error per pixel of ``module.reconstruct(batch.x)``, (b,)."""
    return (module.reconstruct(batch.x) - batch.x).square().flatten(1).mean(1)


reconstruction_error = zoo.Metric(
    "reconstruction_error", mse, "per pixel, on [0, 1]", "reconstruction of test images from their latents"
)
