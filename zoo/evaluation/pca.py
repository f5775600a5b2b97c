"""PCA of pixels (Pearson 1901): the baseline with as many components as the model's latents have dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from zoo.data import DataSplit
from zoo.evaluation.evaluated_model import some
from zoo.media.display import to_graph

Array = NDArray[Any]


WIDE = 4096
"""The number of pixel values above which the covariance is too large for memory, and PCA is randomised."""


class Pca:
    """PCA of a data set's pixels in [0, 1], with `size` components or as many as the data allows."""

    def __init__(self, training: DataSplit, size: int, fit: int) -> None:
        pixels = flat(some(training, fit).array)
        self.size = min(size, *pixels.shape)
        wide = pixels.shape[1] > WIDE
        self._pca = PCA(self.size, svd_solver="randomized" if wide else "covariance_eigh", random_state=0).fit(pixels)
        self.name = f"{'randomised ' if wide else ''}PCA, {self.size} components"

    def encode(self, x: Array) -> Array:
        """Project images, uint8 (n, c, h, w), to components, float32 (n, size)."""
        return np.asarray(self._pca.transform(flat(x)))

    def errors(self, x: Array) -> Array:
        """The mean squared error of each image's reconstruction, (n,)."""
        pixels = flat(x)
        recon = self._pca.inverse_transform(self._pca.transform(pixels))
        return np.asarray(np.square(recon - pixels).mean(1, dtype=np.float64))


def flat(x: Array) -> Array:
    """Flatten samples: uint8 (n, c, h, w) → pixels in [0, 1], float32 (n, c·h·w); arrays keep their numbers."""
    return to_graph(x.reshape(len(x), -1))
