"""Which classes a model generates, by the released classifier: that none is missing, and that labels are obeyed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.metric import Better, Figure
from zoo.core.progress import Progress
from zoo.evaluation.classifier import judge, words
from zoo.evaluation.evaluated_model import BLOCK, Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.generation import how_many, plan_of
from zoo.evaluation.intervals import of_samples
from zoo.media.display import shown
from zoo.runtime import LoadedModel

LABEL = "label"
"""The input that is the class of a sample; a Label of another name is a code that training gave a meaning."""

Array = NDArray[Any]


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """The shares of the rarest and of the commonest class among what is generated; and how often a label is obeyed.

    A code that was learned without labels is first matched to classes, one to one, as it agrees best.
    """
    plan = plan_of(subject)
    classes = subject.model.release.sample.classes
    if not classes:
        raise DoesNotApply(f"{subject.test.name} has no classes")
    count = how_many(subject, budget)
    with judge(subject, "classify") as classifier:
        test = some(subject.test, count)
        held = shares(_classify(classifier, shown(test.array)), classes)
        made = _generated(subject, classifier, count, budget.quiet)
        by = f"of {count:,} generated images (seed 0), by {words(classifier)}"
    found = shares(made, classes)
    ends: tuple[tuple[str, int, Better], ...] = (
        ("rarest_class", int(found.argmin()), "higher"),
        ("commonest_class", int(found.argmax()), "lower"),
    )
    rows = [
        of_samples(
            name, np.asarray(made == place, np.float64), "share", f"class {place} {by}", better,
            (f"{len(test):,} real test images", float(held.min() if better == "higher" else held.max())),
        )
        for name, place, better in ends
    ]  # fmt: skip
    asked = _asked(plan, classes)
    if asked:
        given = np.arange(count) % classes
        matched = asked == LABEL
        name, what = ("label_accuracy", "the label") if matched else ("code_accuracy", f"the class matched to {asked}")
        right = (made if matched else match(given, made, classes)[made]) == given
        rows.append(of_samples(name, np.asarray(right, np.float64), "share", f"images of {what}, {by}", "higher"))
    return rows


def shares(picked: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The share of each class among class indices (n,)."""
    found: NDArray[np.float64] = np.bincount(picked, minlength=classes) / len(picked)
    return found


def match(codes: NDArray[np.int64], picked: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The code that stands for each class, (classes,): one to one, and with the most agreement in all (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (picked, codes), 1)
    found: NDArray[np.int64] = linear_sum_assignment(table, maximize=True)[1]
    return found


def _asked(plan: Plan, classes: int) -> str:
    """The name of the input of generation that is a class, or is to be one; empty where there is none."""
    labels = [name for name, spec in plan.labels().items() if spec.classes == classes]
    return labels[0] if len(labels) == 1 else ""


def _classify(classifier: LoadedModel, images: Array) -> NDArray[np.int64]:
    picked: NDArray[np.int64] = np.asarray(classifier.run("classify", images), np.float64).argmax(1)
    return picked


def _generated(subject: EvaluatedModel, classifier: LoadedModel, count: int, quiet: bool) -> NDArray[np.int64]:
    """The classes of samples 0 to `count` − 1 of seed 0; the images are not kept."""
    parts = []
    with Progress("Classifying generated images", count, unit="images", quiet=quiet) as progress:
        for start in range(0, count, BLOCK):
            done = min(start + BLOCK, count)
            parts.append(_classify(classifier, subject.model.generate(done - start, seed=0, first=start)))
            progress.update(done, {}, done)
    return np.concatenate(parts)
