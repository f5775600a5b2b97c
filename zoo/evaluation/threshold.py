"""From which score on a sample is called strange: calibrated on test samples, which the model has not seen."""

from __future__ import annotations

import numpy as np

from zoo.evaluation.figures import Figure
from zoo.evaluation.subject import DoesNotApply, Effort, Subject, apply, shown, some
from zoo.release import THRESHOLD, USUAL
from zoo.specs import Score


def figures(subject: Subject, effort: Effort) -> list[Figure]:
    """The score below which ``USUAL`` of the test pictures lie, by the task ``score``."""
    task = subject.model.release.tasks.get("score")
    if task is None or [type(spec) for spec in task.outputs.values()] != [Score]:
        raise DoesNotApply(f"{subject.model.name} has no task 'score'")
    if [*task.inputs.values()] != [subject.picture]:
        raise DoesNotApply("its task 'score' takes more than a picture")
    test = some(subject.test, effort.limit)
    scores = apply(subject.model, "score", shown(test.array), effort.quiet).astype(np.float64)
    protocol = f"{USUAL:.0%} of {len(test):,} test pictures of {subject.data} score below"
    return [
        Figure(
            name=THRESHOLD, value=float(np.quantile(scores, USUAL)), unit="score", protocol=protocol,
            interval="no interval: a quantile", count=len(test),
        )
    ]  # fmt: skip
