"""Distances between generated and real images: FID, KID, precision and recall on released features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.metric import Better, Measurement
from zoo.contract.specs import Image
from zoo.core.progress import Progress
from zoo.evaluation import distances, inception
from zoo.evaluation.classifier import described, released_classifier
from zoo.evaluation.evaluated_model import BLOCK, Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.given import given_of
from zoo.evaluation.intervals import of_seeds
from zoo.evaluation.metric_groups import GROUPS
from zoo.media.display import to_display

CALLS = 100
"""If an image takes more task calls than this, the default number of generated images is a tenth."""

MANIFOLD = 10_000
"""The maximum number of images of each kind for precision and recall, which compare all pairs."""

Array = NDArray[Any]
Extract = Callable[[Array], Array]
"""Maps uint8 images, (n, h, w) or (n, h, w, 3), to features, (n, d)."""


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """FID, KID, precision and recall on the features of zoo's classifier of the data set."""
    plan_of(evaluated)
    with released_classifier(evaluated, "features") as model:

        def extract(images: Array) -> Array:
            return np.asarray(model.run("features", images), np.float64).reshape(len(images), -1)

        return on_features(evaluated, budget, extract, described(model), GROUPS["generation"].names)


def on_inception(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """FID, KID, precision and recall on Inception v3, if torch-fidelity and its weights are installed."""
    plan_of(evaluated)
    if evaluated.image.channels not in (1, 3):
        raise DoesNotApply("Inception v3 takes images in grey or in colour")
    extract, which = inception.extractor()
    budget = dataclasses.replace(budget, reference=min(budget.reference or inception.REFERENCE, inception.REFERENCE))
    return on_features(evaluated, budget, extract, which, GROUPS["inception"].names)


def on_features(
    evaluated: EvaluatedModel, budget: Budget, extract: Extract, which: str, names: tuple[str, ...]
) -> list[Measurement]:
    """FID, KID, precision and recall under `names`, each with that of the real test split as baseline.

    The numbers of generated images and of the baseline's test images are equal, since FID falls with this number.
    """
    reference = some(evaluated.training, budget.reference)
    count = how_many(evaluated, budget)
    test = some(evaluated.test, count)
    if min(count, len(test), len(reference)) < 2:
        raise DoesNotApply("it needs at least 2 images of each kind")
    real = _features(extract, to_display(reference.array), "training images", budget.quiet)
    held = _features(extract, to_display(test.array), "test images", budget.quiet)
    baseline = _compare(real, held)
    rows = [_compare(real, _generated(evaluated, extract, count, seed, budget.quiet)) for seed in range(budget.seeds)]
    made = f"seeds 0 to {budget.seeds - 1}" if budget.seeds > 1 else "seed 0"
    against = f"{count:,} generated ({made}) against {len(reference):,} training images of {evaluated.data}; {which}"
    units: tuple[tuple[str, Better, str], ...] = (
        ("squared distance", "lower", against),
        ("MMD²", "lower", f"{distances.SUBSETS} subsets of at most {distances.SUBSET:,}; {against}"),
        ("fraction of generated", "higher", f"k = {distances.NEIGHBOURS}, sets of one size; {against}"),
        ("fraction of real", "higher", f"k = {distances.NEIGHBOURS}, sets of one size; {against}"),
    )
    return [
        of_seeds(
            name, [row[place] for row in rows], unit, protocol, better,
            (f"{len(test):,} real test images", baseline[place]), count,
        )
        for place, (name, (unit, better, protocol)) in enumerate(zip(names, units, strict=True))
    ]  # fmt: skip


def how_many(evaluated: EvaluatedModel, budget: Budget) -> int:
    """The number of images to generate."""
    most = budget.most if plan_of(evaluated).calls <= CALLS else budget.most // 10
    return budget.samples or min(most, len(evaluated.test))


def plan_of(evaluated: EvaluatedModel) -> Plan:
    """The plan that generates a model's images; raise :class:`DoesNotApply` if it generates none."""
    plan = evaluated.model.release.plan
    if plan is None:
        raise DoesNotApply(f"{evaluated.model.name} generates nothing")
    if not isinstance(evaluated.image, Image) or not isinstance(plan.gives, Image):
        raise DoesNotApply(f"{evaluated.model.name} generates no images")
    return plan


def _features(extract: Extract, images: Array, what: str, quiet: bool) -> Array:
    parts = []
    with Progress(f"Features of {what}", len(images), unit="images", quiet=quiet) as progress:
        for start in range(0, len(images), BLOCK):
            parts.append(extract(images[start : start + BLOCK]))
            done = min(start + BLOCK, len(images))
            progress.update(done, {}, done)
    return np.concatenate(parts)


def _generated(evaluated: EvaluatedModel, extract: Extract, count: int, seed: int, quiet: bool) -> Array:
    """Features of samples 0 to `count` − 1 of a seed; the images are discarded."""
    parts = []
    with Progress(f"Generating with seed {seed}", count, unit="images", quiet=quiet) as progress:
        for start in range(0, count, BLOCK):
            done = min(start + BLOCK, count)
            given = given_of(evaluated, start, done - start)
            parts.append(extract(evaluated.model.generate(done - start, seed=seed, first=start, **given)))
            progress.update(done, {}, done)
    return np.concatenate(parts)


def _compare(real: Array, fake: Array) -> tuple[float, float, float, float]:
    """FID, KID, precision and recall; the last two on subsets of equal size."""
    size = min(len(real), len(fake), MANIFOLD)
    random = np.random.default_rng(0)
    subsets = [side[np.sort(random.permutation(len(side))[:size])] for side in (real, fake)]
    return distances.fid(real, fake), distances.kid(real, fake), *distances.precision_recall(*subsets)
