"""The information of latents about labels: linear probe, k-NN and k-means, with PCA of the same size as baseline."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.intervals import of_samples, of_seeds
from zoo.evaluation.pca import Pca
from zoo.media.display import to_display

NEIGHBOURS = 5

Array = NDArray[Any]


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The test accuracies of classifiers fitted on training latents, and the NMI of clusters of test latents."""
    _ = evaluated.image
    if evaluated.latent is None:
        raise DoesNotApply(f"{evaluated.model.name} has no task 'encode' from an image to a vector of floats")
    training, test = some(evaluated.training, budget.fit), some(evaluated.test, budget.limit)
    if training.labels is None or test.labels is None or len(np.unique(training.labels)) < 2:
        raise DoesNotApply(f"{evaluated.test.name} has no labels, or only one")
    both = (training, test)
    left, right = (_rows(apply(evaluated.model, "encode", to_display(part.array), budget.quiet)) for part in both)
    pca = Pca(evaluated.training, math.prod(evaluated.latent.shape), budget.fit)
    latents = standardised(left, right)
    components = standardised(pca.encode(training.array), pca.encode(test.array))
    known, asked = training.labels, test.labels
    of = f"{latents[1].shape[1]} dimensions, standardised; {len(test):,} test images of {evaluated.data}"
    fitted = f"fitted on {len(training):,} training images"
    return [
        of_samples(
            "linear_probe", linear(*latents, known, asked), "accuracy",
            f"logistic regression, L2 with C = 1, {fitted}; {of}", "higher",
            (pca.name, float(linear(*components, known, asked).mean())),
        ),
        of_samples(
            "knn", nearest(*latents, known, asked), "accuracy",
            f"{NEIGHBOURS} nearest of {len(training):,} training images; {of}", "higher",
            (pca.name, float(nearest(*components, known, asked).mean())),
        ),
        of_seeds(
            "nmi", [clusters(latents[1], asked, seed) for seed in range(budget.seeds)], "NMI, 0 to 1",
            f"k-means with one cluster a class, best of 3 starts, seeds from 0; {of}", "higher",
            (pca.name, float(np.mean([clusters(components[1], asked, seed) for seed in range(budget.seeds)]))),
            len(test),
        ),
    ]  # fmt: skip


def standardised(training: Array, test: Array) -> tuple[Array, Array]:
    """Standardise latents by the mean and deviation of the training latents; a constant dimension becomes 0."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(training)
    return scaler.transform(training), scaler.transform(test)


def linear(training: Array, test: Array, known: Array, asked: Array) -> Array:
    """Whether a linear probe predicts each label (Alain & Bengio 2016, https://arxiv.org/abs/1610.01644): (n,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the protocol is 1,000 iterations
        return np.asarray(LogisticRegression(max_iter=1000).fit(training, known).predict(test) == asked, np.float64)


def nearest(training: Array, test: Array, known: Array, asked: Array) -> Array:
    """Whether the majority of the nearest training latents has the right label: (n,)."""
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(training)), algorithm="brute").fit(training, known)
    return np.asarray(classifier.predict(test) == asked, np.float64)


def clusters(latents: Array, labels: Array, seed: int) -> float:
    """The normalised mutual information of k-means clusters C and labels Y: I(Y; C) / mean of H(Y) and H(C)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import normalized_mutual_info_score

    count = min(len(np.unique(labels)), len(latents))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # latents that coincide give fewer clusters
        assigned = KMeans(count, n_init=3, random_state=seed).fit_predict(latents)
    return float(normalized_mutual_info_score(labels, assigned))


def _rows(latents: Array) -> Array:
    return latents.reshape(len(latents), -1).astype(np.float64)
