"""The quality of reconstructions: MSE, PSNR and SSIM of images, MSE of arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.contract.specs import Array as ArraySpec
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.intervals import of_samples
from zoo.evaluation.pca import Pca
from zoo.media.display import to_graph

MOST = 100.0
"""The PSNR in dB of a reconstruction without error, which would be infinite."""

Array = NDArray[Any]


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """MSE, with PCA of the same latent size as baseline, PSNR and SSIM of test images; MSE alone of test arrays."""
    numbers = isinstance(evaluated.model.release.sample.x, ArraySpec)
    _ = numbers or evaluated.image
    if not evaluated.way:
        raise DoesNotApply(
            f"{evaluated.model.name} has no task that reconstructs {'an array' if numbers else 'an image'}"
        )
    test = some(evaluated.test, budget.limit)
    recon = evaluated.reconstruct(test.array, budget.quiet)
    real = to_graph(test.array)
    errors = np.square(recon - real).mean(tuple(range(1, real.ndim)), dtype=np.float64)
    tested = f"{len(test):,} test {'arrays' if numbers else 'images'} of {evaluated.data}"
    protocol = f"{' and '.join(evaluated.way)} of {tested}{'' if numbers else ', as uint8'}"
    baseline = None
    if evaluated.latent is not None:
        pca = Pca(evaluated.training, math.prod(evaluated.latent.shape), budget.fit)
        baseline = (pca.name, float(pca.errors(test.array).mean()))
    if numbers:
        return [of_samples("mse", errors, "per number", protocol, "lower", baseline)]
    found = [
        of_samples("mse", errors, "per pixel, on [0, 1]", protocol, "lower", baseline),
        of_samples("psnr", psnr(errors), "dB", f"mean over images; {protocol}", "higher"),
    ]
    size = window(*test.array.shape[2:])
    if size:
        kind = "11×11 Gaussian window, σ 1.5" if size == 11 else f"{size}×{size} uniform window"
        protocol = f"{kind}; {protocol}"
        found.append(of_samples("ssim", ssim(recon, real, budget.quiet), "at most 1", protocol, "higher"))
    return found


def psnr(errors: Array) -> Array:
    """10 log10(1 / MSE) of each image in dB, at most 100; `errors` are the MSE of images in [0, 1]."""
    return np.asarray(np.minimum(-10 * np.log10(np.maximum(errors, 10 ** (-MOST / 10))), MOST))


def window(height: int, width: int) -> int:
    """The size of SSIM's window: 11 if it fits, else 7 or the largest odd size that fits; 0 if none does."""
    shortest = min(height, width)
    if shortest >= 11:
        return 11
    side = min(7, shortest - 1 + shortest % 2)
    return side if side >= 3 else 0


def ssim(left: Array, right: Array, quiet: bool = True) -> Array:
    """SSIM (Wang et al. 2004, eq. 13) of each pair of images in [0, 1], float32 (n, c, h, w): (n,).

    The window is Gaussian if 11×11 fits (section III-C), else uniform; borders are mirrored.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    from zoo.core.progress import Progress

    size = window(*left.shape[2:])
    parts: list[Array] = []
    with Progress("Measuring ssim", len(left), unit="images", quiet=quiet) as progress:
        for start in range(0, len(left), 500):
            back, real = (torch.from_numpy(np.ascontiguousarray(side[start : start + 500])) for side in (left, right))
            values = structural_similarity_index_measure(
                back, real, gaussian_kernel=size == 11, kernel_size=size, data_range=1.0, reduction="none"
            )
            assert isinstance(values, torch.Tensor)
            parts.append(values.numpy())
            done = min(start + 500, len(left))
            progress.update(done, {}, done)
    return np.concatenate(parts)
