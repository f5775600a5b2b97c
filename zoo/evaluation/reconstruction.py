"""How well a model gives images back: MSE, PSNR, SSIM."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Figure
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.intervals import of_samples
from zoo.evaluation.pca import Pca

MOST = 100.0
"""dB: the PSNR of an image that comes back without an error, which would be infinite."""

Array = NDArray[Any]


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """MSE beside that of PCA with codes of the same size, PSNR, and SSIM, of test images."""
    _ = subject.image
    if not subject.way:
        raise DoesNotApply(f"{subject.model.name} has no task that gives an image back")
    test = some(subject.test, budget.limit)
    back = subject.reconstruct(test.array, budget.quiet)
    real = test.array.astype(np.float32) / np.float32(255)
    errors = np.square(back - real).mean((1, 2, 3), dtype=np.float64)
    protocol = f"{' and '.join(subject.way)} of {len(test):,} test images of {subject.data}, as uint8"
    baseline = None
    if subject.code is not None:
        pca = Pca(subject.training, math.prod(subject.code.shape), budget.fit)
        baseline = (pca.words, float(pca.errors(test.array).mean()))
    found = [
        of_samples("mse", errors, "per pixel, on [0, 1]", protocol, "lower", baseline),
        of_samples("psnr", psnr(errors), "dB", f"mean over images; {protocol}", "higher"),
    ]
    size = window(*test.array.shape[2:])
    if size:
        kind = "11×11 Gaussian window, σ 1.5" if size == 11 else f"{size}×{size} uniform window"
        protocol = f"{kind}; {protocol}"
        found.append(of_samples("ssim", ssim(back, real, budget.quiet), "at most 1", protocol, "higher"))
    return found


def psnr(errors: Array) -> Array:
    """10 log10(1 / MSE) of each image in decibels, 100 at most; `errors` are on [0, 1]."""
    return np.asarray(np.minimum(-10 * np.log10(np.maximum(errors, 10 ** (-MOST / 10))), MOST))


def window(height: int, width: int) -> int:
    """The side of the window of SSIM: 11 where it fits, else 7 or the largest odd one that fits; 0 for none."""
    least = min(height, width)
    if least >= 11:
        return 11
    side = min(7, least - 1 + least % 2)
    return side if side >= 3 else 0


def ssim(left: Array, right: Array, quiet: bool = True) -> Array:
    """SSIM of pairs of images on [0, 1], float32 (n, c, h, w), each (Wang et al. 2004, eq. 13): (n,).

    The window is Gaussian where 11×11 fits (their section III-C), else uniform; borders are mirrored.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    from zoo.core.progress import Progress

    size = window(*left.shape[2:])
    found: list[Array] = []
    with Progress("Measuring ssim", len(left), unit="images", quiet=quiet) as progress:
        for start in range(0, len(left), 500):
            back, real = (torch.from_numpy(np.ascontiguousarray(side[start : start + 500])) for side in (left, right))
            values = structural_similarity_index_measure(
                back, real, gaussian_kernel=size == 11, kernel_size=size, data_range=1.0, reduction="none"
            )
            assert isinstance(values, torch.Tensor)
            found.append(values.numpy())
            done = min(start + 500, len(left))
            progress.update(done, {}, done)
    return np.concatenate(found)
