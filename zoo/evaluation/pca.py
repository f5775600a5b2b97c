"""Principal components on pixels: the baseline with the same number of numbers a code (Pearson 1901)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from zoo.data import DataSet
from zoo.evaluation.evaluated_model import some

Array = NDArray[Any]


WIDE = 4096
"""Numbers an image above which their covariance is too large to be held, and PCA is randomised."""


class Pca:
    """PCA of a data set's pixels in [0, 1], with `size` components or as many as the data allows."""

    def __init__(self, training: DataSet, size: int, fit: int) -> None:
        pixels = flat(some(training, fit).array)
        self.size = min(size, *pixels.shape)
        wide = pixels.shape[1] > WIDE
        self._pca = PCA(self.size, svd_solver="randomized" if wide else "covariance_eigh", random_state=0).fit(pixels)
        self.words = f"{'randomised ' if wide else ''}PCA, {self.size} numbers"

    def encode(self, x: Array) -> Array:
        """uint8 (n, c, h, w) to float32 (n, size)."""
        return np.asarray(self._pca.transform(flat(x)))

    def errors(self, x: Array) -> Array:
        """The mean squared error of each image's reconstruction, (n,)."""
        pixels = flat(x)
        back = self._pca.inverse_transform(self._pca.transform(pixels))
        return np.asarray(np.square(back - pixels).mean(1, dtype=np.float64))


def flat(x: Array) -> Array:
    """Images, uint8 (n, c, h, w), as rows of pixels in [0, 1]: float32 (n, c·h·w)."""
    return x.reshape(len(x), -1).astype(np.float32) / np.float32(255)
