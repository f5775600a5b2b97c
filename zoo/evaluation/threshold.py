"""The anomaly threshold: the score above which a sample is anomalous, calibrated on unseen test samples."""

from __future__ import annotations

import numpy as np

from zoo.contract.metric import Measurement
from zoo.contract.specs import Score, Text
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.media import kinds
from zoo.media.display import to_display
from zoo.release import THRESHOLD, USUAL


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The ``USUAL`` quantile of the scores (task ``score``) of the test samples."""
    task = evaluated.model.release.tasks.get("score")
    if task is None or [type(spec) for spec in task.outputs.values()] != [Score]:
        raise DoesNotApply(f"{evaluated.model.name} has no task 'score'")
    x = evaluated.model.release.sample.x
    if isinstance(x, Text):
        raise DoesNotApply("it scores text, and this is measured on other samples")
    if [*task.inputs.values()] != [x]:
        raise DoesNotApply("its task 'score' takes more than a sample")
    test = some(evaluated.test, budget.limit)
    scores = apply(evaluated.model, "score", to_display(test.array), budget.quiet).astype(np.float64)
    protocol = f"{USUAL:.0%} of {len(test):,} test {kinds.of_sample(x).unit} of {evaluated.data} score below"
    return [
        Measurement(
            name=THRESHOLD, value=float(np.quantile(scores, USUAL)), unit="score", protocol=protocol,
            interval="no interval: a quantile", count=len(test),
        )
    ]  # fmt: skip
