"""The usage of a codebook, for models that encode an image as a grid of codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Measurement
from zoo.contract.specs import Label
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.media.display import to_display

WHOLE = "no interval: a measurement of the samples as a whole"


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The fraction of codes that test images use, and the perplexity of their distribution."""
    image, task = evaluated.image, evaluated.model.release.tasks.get("encode")
    made = None if task is None or [*task.inputs.values()] != [image] else next(iter(task.outputs.values()))
    if not isinstance(made, Label) or not made.shape:
        raise DoesNotApply(f"{evaluated.model.name} has no task 'encode' from an image to a grid of codes")
    if made.shape == (image.height, image.width):
        raise DoesNotApply(f"the codes of {evaluated.model.name} are the pixels")
    test = some(evaluated.test, budget.limit)
    codes = apply(evaluated.model, "encode", to_display(test.array), budget.quiet)
    uses = np.bincount(codes.ravel(), minlength=made.classes)
    of = f"{made.classes} codes, a grid of {made.shape}; {len(test):,} test images of {evaluated.data}"
    return [
        Measurement(name=name, value=value, unit=unit, protocol=of, better="higher", interval=WHOLE, count=len(test))
        for name, value, unit in (
            ("codebook_use", float((uses > 0).mean()), "fraction of codes"),
            ("perplexity", perplexity(uses), "codes"),
        )
    ]


def perplexity(uses: NDArray[np.int64]) -> float:
    """exp(−Σ p log p), p = uses / Σ uses: the number of equally frequent codes with the same entropy."""
    p = uses[uses > 0] / uses.sum()
    return float(np.exp(-(p * np.log(p)).sum()))
