"""How often a classifier is right."""

from __future__ import annotations

import numpy as np

from zoo.contract.metric import Figure
from zoo.contract.specs import Vector
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.intervals import of_samples
from zoo.media.display import shown


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """The share of test images whose likeliest class, by the task ``classify``, is their label."""
    image, classes = subject.image, subject.model.release.sample.classes
    task = subject.model.release.tasks.get("classify")
    if task is None or [*task.inputs.values()] != [image] or [*task.outputs.values()] != [Vector((classes,))]:
        raise DoesNotApply(f"{subject.model.name} has no task 'classify' from an image to one number a class")
    test = some(subject.test, budget.limit)
    if test.labels is None:
        raise DoesNotApply(f"{subject.test.name} has no labels")
    picked = apply(subject.model, "classify", shown(test.array), budget.quiet).argmax(1)
    protocol = f"the likeliest class of {len(test):,} test images of {subject.data}"
    return [of_samples("accuracy", np.asarray(picked == test.labels, np.float64), "share", protocol, "higher")]
