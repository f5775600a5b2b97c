"""From which score on a sample is called strange: calibrated on test samples, which the model has not seen."""

from __future__ import annotations

import numpy as np

from zoo.contract.metric import Figure
from zoo.contract.specs import Image, Score, Text
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.media.display import shown
from zoo.release import THRESHOLD, USUAL


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """The score below which ``USUAL`` of the test images or audio clips lie, by the task ``score``."""
    task = subject.model.release.tasks.get("score")
    if task is None or [type(spec) for spec in task.outputs.values()] != [Score]:
        raise DoesNotApply(f"{subject.model.name} has no task 'score'")
    x = subject.model.release.sample.x
    if isinstance(x, Text):
        raise DoesNotApply("it scores text, and this is measured on images and audio clips")
    if [*task.inputs.values()] != [x]:
        raise DoesNotApply("its task 'score' takes more than an image or an audio clip")
    test = some(subject.test, budget.limit)
    scores = apply(subject.model, "score", shown(test.array), budget.quiet).astype(np.float64)
    kind = "images" if isinstance(x, Image) else "audio clips"
    protocol = f"{USUAL:.0%} of {len(test):,} test {kind} of {subject.data} score below"
    return [
        Figure(
            name=THRESHOLD, value=float(np.quantile(scores, USUAL)), unit="score", protocol=protocol,
            interval="no interval: a quantile", count=len(test),
        )
    ]  # fmt: skip
