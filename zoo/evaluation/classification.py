"""The accuracy of a classifier."""

from __future__ import annotations

import numpy as np

from zoo.contract.metric import Measurement
from zoo.contract.specs import Vector
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.evaluation.intervals import of_samples
from zoo.media.display import to_display


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The fraction of test images whose most likely class, by the task ``classify``, is their label."""
    image, classes = evaluated.image, evaluated.model.release.sample.classes
    task = evaluated.model.release.tasks.get("classify")
    if task is None or [*task.inputs.values()] != [image] or [*task.outputs.values()] != [Vector((classes,))]:
        raise DoesNotApply(f"{evaluated.model.name} has no task 'classify' from an image to one value per class")
    test = some(evaluated.test, budget.limit)
    if test.labels is None:
        raise DoesNotApply(f"{evaluated.test.name} has no labels")
    picked = apply(evaluated.model, "classify", to_display(test.array), budget.quiet).argmax(1)
    protocol = f"the likeliest class of {len(test):,} test images of {evaluated.data}"
    return [of_samples("accuracy", np.asarray(picked == test.labels, np.float64), "fraction", protocol, "higher")]
