"""Distances between two sets of features, float64 (n, d) each: FID, KID, precision and recall."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

Array = NDArray[Any]

SUBSETS, SUBSET = 20, 1000
"""KID is the mean over `SUBSETS` pairs of subsets of at most `SUBSET` samples of each set."""

NEIGHBOURS = 3
"""k of precision and recall, as in section 3 of the paper."""


class _Identity(nn.Module):
    """Replaces the feature network of torchmetrics, since the inputs are features already."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.num_features = size

    def forward(self, features: Tensor) -> Tensor:
        return features


def fid(real: Array, fake: Array) -> float:
    """‖μ − μ'‖² + Tr(Σ + Σ' − 2 (Σ Σ')^½) (Heusel et al. 2017, eq. 6, https://arxiv.org/abs/1706.08500)."""
    metric = FrechetInceptionDistance(_Identity(real.shape[1]), input_img_size=(1, 1, 1))
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    return float(metric.compute())


def kid(real: Array, fake: Array) -> float:
    """The unbiased MMD² with the kernel (xᵀy / d + 1)³ (Bińkowski et al. 2018, eq. 4, https://arxiv.org/abs/1801.01401).

    The mean over 20 pairs of subsets of at most 1,000, drawn with seed 0.
    """
    random = np.random.default_rng(0)
    size = min(SUBSET, len(real), len(fake))
    distances = []
    for _ in range(SUBSETS):
        left, right = (torch.from_numpy(side[random.permutation(len(side))[:size]]) for side in (real, fake))
        distances.append(float(poly_mmd(left, right)))
    return float(np.mean(distances))


def precision_recall(real: Array, fake: Array) -> tuple[float, float]:
    """The fraction of `fake` on the manifold of `real`, and of `real` on that of `fake`.

    A manifold is the union of balls around the samples, with the distance to the third nearest neighbour as radius
    (Kynkäänniemi et al. 2019, eq. 1 and 2, https://arxiv.org/abs/1904.06991). The sets should have the same size.
    """
    return covered(fake, real), covered(real, fake)


def covered(points: Array, manifold: Array) -> float:
    """The fraction of `points` within the radius of at least one sample of `manifold` (eq. 1)."""
    k = min(NEIGHBOURS, len(manifold) - 1)
    # k + 1 neighbours: the nearest is the sample itself
    radii = NearestNeighbors(n_neighbors=k + 1).fit(manifold).kneighbors(manifold)[0][:, -1]

    def inside(distances: Array, start: int) -> Array:
        return np.asarray((distances <= radii).any(1))

    return float(np.concatenate(list(pairwise_distances_chunked(points, manifold, reduce_func=inside))).mean())
