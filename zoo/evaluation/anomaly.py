"""Anomaly detection: the AUROC of a class that was left out of training, compared with PCA's reconstruction error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.contract.specs import Score
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.pca import Pca
from zoo.media.display import to_display

COMPONENTS = 32
"""The number of PCA components for a model without latents."""

RESAMPLES = 200

Array = NDArray[Any]


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """AUROC of the left-out class against the rest of the test split, by the task ``score`` or the squared error."""
    if evaluated.leave_out < 0:
        raise DoesNotApply("no class was left out of training (recipe field leave_out)")
    task = evaluated.model.release.tasks.get("score")
    scores = task is not None and isinstance(next(iter(task.outputs.values())), Score) and len(task.inputs) == 1
    _ = evaluated.image
    if not scores and not evaluated.way:
        raise DoesNotApply(f"{evaluated.model.name} has no task 'score', and none that gives an image back")
    test = some(evaluated.whole, budget.limit)
    assert test.labels is not None
    anomalous = test.labels == evaluated.leave_out
    if anomalous.all() or not anomalous.any():
        raise DoesNotApply(f"the {len(test):,} test images are all of one kind: class {evaluated.leave_out} or not")
    if scores:
        values, by = (
            apply(evaluated.model, "score", to_display(test.array), budget.quiet).astype(np.float64),
            "the task score",
        )
    else:
        real = test.array.astype(np.float32) / np.float32(255)
        error = evaluated.reconstruct(test.array, budget.quiet) - real
        values, by = (
            np.square(error).mean((1, 2, 3), dtype=np.float64),
            f"the squared error of {' and '.join(evaluated.way)}",
        )
    size = math.prod(evaluated.latent.shape) if evaluated.latent is not None else COMPONENTS
    pca = Pca(evaluated.training, size, budget.fit)
    low, high = interval(anomalous, values)
    return [
        Measurement(
            name="auroc",
            value=area(anomalous, values),
            unit="AUROC",
            protocol=f"class {evaluated.leave_out}, left out of training, against the rest of {len(test):,} test "
            f"images of {test.name}, by {by}",
            better="higher",
            low=low,
            high=high,
            interval="95% by bootstrap within each kind",
            count=len(test),
            baseline=(f"error of {pca.name}", area(anomalous, pca.errors(test.array))),
        )
    ]


def area(anomalous: Array, values: Array) -> float:
    """The area under the ROC curve: the probability that an anomalous image scores above a normal one."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(anomalous, values))


def interval(anomalous: Array, values: Array) -> tuple[float, float]:
    """The 95% percentile interval of the AUROC, over resamples of the anomalous and of the normal images, seed 0."""
    random = np.random.default_rng(0)
    kinds = [np.flatnonzero(anomalous), np.flatnonzero(~anomalous)]
    areas = []
    for _ in range(RESAMPLES):
        index = np.concatenate([random.choice(kind, len(kind)) for kind in kinds])
        areas.append(area(anomalous[index], values[index]))
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
