"""The distribution of generated classes, and the accuracy of class labels, by the released classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.metric import Better, Measurement
from zoo.core.progress import Progress
from zoo.evaluation.classifier import described, released_classifier
from zoo.evaluation.evaluated_model import BLOCK, Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.generation import how_many, plan_of
from zoo.evaluation.given import given_of
from zoo.evaluation.intervals import of_samples
from zoo.media.display import to_display
from zoo.runtime import LoadedModel

LABEL = "label"
"""The input that is the class of a sample; a Label of another name is a category whose meaning is learnt."""

Array = NDArray[Any]


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The fractions of the rarest and the commonest class among generated images, and the label accuracy.

    A code that was learnt without labels is first matched to classes, one to one, for the best agreement.
    """
    plan = plan_of(evaluated)
    classes = evaluated.model.release.sample.classes
    if not classes:
        raise DoesNotApply(f"{evaluated.test.name} has no classes")
    count = how_many(evaluated, budget)
    with released_classifier(evaluated, "classify") as classifier:
        test = some(evaluated.test, count)
        held = fractions(_classify(classifier, to_display(test.array)), classes)
        made = _generated(evaluated, classifier, count, budget.quiet)
        by = f"of {count:,} generated images (seed 0), by {described(classifier)}"
    found = fractions(made, classes)
    ends: tuple[tuple[str, int, Better], ...] = (
        ("rarest_class", int(found.argmin()), "higher"),
        ("commonest_class", int(found.argmax()), "lower"),
    )
    rows = [
        of_samples(
            name, np.asarray(made == place, np.float64), "fraction", f"class {place} {by}", better,
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
        rows.append(of_samples(name, np.asarray(right, np.float64), "fraction", f"images of {what}, {by}", "higher"))
    return rows


def fractions(picked: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The fraction of each class among class indices (n,)."""
    found: NDArray[np.float64] = np.bincount(picked, minlength=classes) / len(picked)
    return found


def match(codes: NDArray[np.int64], picked: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The code of each class, (classes,): the one-to-one matching with the best agreement (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (picked, codes), 1)
    found: NDArray[np.int64] = linear_sum_assignment(table, maximize=True)[1]
    return found


def _asked(plan: Plan, classes: int) -> str:
    """The name of the generation's input that is a class, or is matched to classes; "" if there is none."""
    labels = [name for name, spec in plan.labels().items() if spec.classes == classes]
    return labels[0] if len(labels) == 1 else ""


def _classify(classifier: LoadedModel, images: Array) -> NDArray[np.int64]:
    picked: NDArray[np.int64] = np.asarray(classifier.run("classify", images), np.float64).argmax(1)
    return picked


def _generated(evaluated: EvaluatedModel, classifier: LoadedModel, count: int, quiet: bool) -> NDArray[np.int64]:
    """The classes of samples 0 to `count` − 1 of seed 0; the images are discarded."""
    parts = []
    with Progress("Classifying generated images", count, unit="images", quiet=quiet) as progress:
        for start in range(0, count, BLOCK):
            done = min(start + BLOCK, count)
            given = given_of(evaluated, start, done - start)
            parts.append(_classify(classifier, evaluated.model.generate(done - start, seed=0, first=start, **given)))
            progress.update(done, {}, done)
    return np.concatenate(parts)
