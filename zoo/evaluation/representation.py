"""What codes know of the labels: linear probe, k-NN, and k-means, each beside PCA of the same size."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Figure
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.intervals import of_samples, of_seeds
from zoo.evaluation.pca import Pca
from zoo.media.display import shown

NEIGHBOURS = 5

Array = NDArray[Any]


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """Accuracies on test codes of what was fitted on training codes, and the NMI of clusters of test codes."""
    _ = subject.image
    if subject.code is None:
        raise DoesNotApply(f"{subject.model.name} has no task 'encode' from an image to a vector of floats")
    training, test = some(subject.training, budget.fit), some(subject.test, budget.limit)
    if training.labels is None or test.labels is None or len(np.unique(training.labels)) < 2:
        raise DoesNotApply(f"{subject.test.name} has no labels, or only one")
    both = (training, test)
    left, right = (_rows(apply(subject.model, "encode", shown(part.array), budget.quiet)) for part in both)
    pca = Pca(subject.training, math.prod(subject.code.shape), budget.fit)
    codes = standardised(left, right)
    components = standardised(pca.encode(training.array), pca.encode(test.array))
    known, asked = training.labels, test.labels
    of = f"{codes[1].shape[1]} numbers a code, standardised; {len(test):,} test images of {subject.data}"
    fitted = f"fitted on {len(training):,} training images"
    return [
        of_samples(
            "linear_probe", linear(*codes, known, asked), "accuracy",
            f"logistic regression, L2 with C = 1, {fitted}; {of}", "higher",
            (pca.words, float(linear(*components, known, asked).mean())),
        ),
        of_samples(
            "knn", nearest(*codes, known, asked), "accuracy",
            f"{NEIGHBOURS} nearest of {len(training):,} training images; {of}", "higher",
            (pca.words, float(nearest(*components, known, asked).mean())),
        ),
        of_seeds(
            "nmi", [clusters(codes[1], asked, seed) for seed in range(budget.seeds)], "NMI, 0 to 1",
            f"k-means with one cluster a class, best of 3 starts, seeds from 0; {of}", "higher",
            (pca.words, float(np.mean([clusters(components[1], asked, seed) for seed in range(budget.seeds)]))),
            len(test),
        ),
    ]  # fmt: skip


def standardised(training: Array, test: Array) -> tuple[Array, Array]:
    """Codes with mean 0 and deviation 1 over the training codes; a number that never changes becomes 0."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(training)
    return scaler.transform(training), scaler.transform(test)


def linear(training: Array, test: Array, known: Array, asked: Array) -> Array:
    """Whether a linear probe is right (Alain & Bengio 2016, https://arxiv.org/abs/1610.01644), (n,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are the protocol
        return np.asarray(LogisticRegression(max_iter=1000).fit(training, known).predict(test) == asked, np.float64)


def nearest(training: Array, test: Array, known: Array, asked: Array) -> Array:
    """Whether the majority of the nearest training codes is right, (n,)."""
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(training)), algorithm="brute").fit(training, known)
    return np.asarray(classifier.predict(test) == asked, np.float64)


def clusters(codes: Array, labels: Array, seed: int) -> float:
    """Normalised mutual information of k-means and the labels: I(Y; C) / mean of H(Y) and H(C)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import normalized_mutual_info_score

    count = min(len(np.unique(labels)), len(codes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # codes that coincide give fewer clusters
        found = KMeans(count, n_init=3, random_state=seed).fit_predict(codes)
    return float(normalized_mutual_info_score(labels, found))


def _rows(codes: Array) -> Array:
    return codes.reshape(len(codes), -1).astype(np.float64)
