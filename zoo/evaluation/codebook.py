"""How much of a codebook is in use, where a task gives an image as a grid of codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.contract.metric import Figure
from zoo.contract.specs import Label
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, apply, some
from zoo.media.display import shown

WHOLE = "no interval: a figure of the samples as a whole"


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """The share of the codes that test images use, and the perplexity of those."""
    image, task = subject.image, subject.model.release.tasks.get("encode")
    made = None if task is None or [*task.inputs.values()] != [image] else next(iter(task.outputs.values()))
    if not isinstance(made, Label) or not made.shape:
        raise DoesNotApply(f"{subject.model.name} has no task 'encode' from an image to a grid of codes")
    if made.shape == (image.height, image.width):
        raise DoesNotApply(f"the codes of {subject.model.name} are the pixels")
    test = some(subject.test, budget.limit)
    codes = apply(subject.model, "encode", shown(test.array), budget.quiet)
    uses = np.bincount(codes.ravel(), minlength=made.classes)
    of = f"{made.classes} codes, a grid of {made.shape}; {len(test):,} test images of {subject.data}"
    return [
        Figure(name=name, value=value, unit=unit, protocol=of, better="higher", interval=WHOLE, count=len(test))
        for name, value, unit in (
            ("codebook_use", float((uses > 0).mean()), "share of codes"),
            ("perplexity", perplexity(uses), "codes"),
        )
    ]


def perplexity(uses: NDArray[np.int64]) -> float:
    """exp(−Σ p log p), p = uses / Σ uses: as many codes, all used alike, would tell as much."""
    p = uses[uses > 0] / uses.sum()
    return float(np.exp(-(p * np.log(p)).sum()))
