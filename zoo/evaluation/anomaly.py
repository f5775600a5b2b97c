"""Whether a class that was left out of training stands out: AUROC, beside PCA's reconstruction error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Figure
from zoo.contract.specs import Score
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.pca import Pca
from zoo.media.display import shown

COMPONENTS = 32
"""Of PCA, where the model has no codes to say how many."""

RESAMPLES = 200

Array = NDArray[Any]


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """AUROC of the left-out class against the rest of the test split, by the task ``score`` or the squared error."""
    if subject.leave_out < 0:
        raise DoesNotApply("no class was left out of training (recipe field leave_out)")
    task = subject.model.release.tasks.get("score")
    scores = task is not None and isinstance(next(iter(task.outputs.values())), Score) and len(task.inputs) == 1
    _ = subject.image
    if not scores and not subject.way:
        raise DoesNotApply(f"{subject.model.name} has no task 'score', and none that gives an image back")
    test = some(subject.whole, budget.limit)
    assert test.labels is not None
    strange = test.labels == subject.leave_out
    if strange.all() or not strange.any():
        raise DoesNotApply(f"the {len(test):,} test images are all of one kind: class {subject.leave_out} or not")
    if scores:
        values, by = apply(subject.model, "score", shown(test.array), budget.quiet).astype(np.float64), "the task score"
    else:
        real = test.array.astype(np.float32) / np.float32(255)
        error = subject.reconstruct(test.array, budget.quiet) - real
        values, by = (
            np.square(error).mean((1, 2, 3), dtype=np.float64),
            f"the squared error of {' and '.join(subject.way)}",
        )
    size = math.prod(subject.code.shape) if subject.code is not None else COMPONENTS
    pca = Pca(subject.training, size, budget.fit)
    low, high = interval(strange, values)
    return [
        Figure(
            name="auroc",
            value=area(strange, values),
            unit="AUROC",
            protocol=f"class {subject.leave_out}, left out of training, against the rest of {len(test):,} test "
            f"images of {test.name}, by {by}",
            better="higher",
            low=low,
            high=high,
            interval="95% by bootstrap within each kind",
            count=len(test),
            baseline=(f"error of {pca.words}", area(strange, pca.errors(test.array))),
        )
    ]


def area(strange: Array, values: Array) -> float:
    """The area under the ROC curve: the chance that a strange image scores above one that is not."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(strange, values))


def interval(strange: Array, values: Array) -> tuple[float, float]:
    """Its 95% percentile interval over resamples of the strange ones and of the others, seed 0."""
    random = np.random.default_rng(0)
    kinds = [np.flatnonzero(strange), np.flatnonzero(~strange)]
    found = []
    for _ in range(RESAMPLES):
        index = np.concatenate([random.choice(kind, len(kind)) for kind in kinds])
        found.append(area(strange[index], values[index]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
