"""How far a reconstruction is from its image, as a term of a loss and as a metric."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import zoo


def squared_error(made: Tensor, x: Tensor) -> Tensor:
    """‖x − made‖², summed over pixels: of images (b, c, h, w) to (b,)."""
    return (made - x).square().flatten(1).sum(1)


def mse(module: Any, batch: zoo.Batch, recipe: zoo.Recipe) -> Tensor:
    """The mean squared error per pixel of ``module.reconstruct(batch.x)``, (b,)."""
    return (module.reconstruct(batch.x) - batch.x).square().flatten(1).mean(1)


from_codes = zoo.Measure(
    "reconstruction_error", mse, "per pixel, on [0, 1]", "reconstruction of test images from their codes"
)
