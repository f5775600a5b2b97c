"""How close generated images are to real ones: FID, KID, precision and recall on released features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.metric import Better, Figure
from zoo.contract.specs import Image
from zoo.core.progress import Progress
from zoo.evaluation import distances, inception
from zoo.evaluation.classifier import judge, words
from zoo.evaluation.evaluated_model import BLOCK, Budget, DoesNotApply, EvaluatedModel, some
from zoo.evaluation.intervals import of_seeds
from zoo.evaluation.metric_groups import FAMILIES
from zoo.media.display import shown

CALLS = 100
"""Where an image takes more calls of a task, a tenth of the usual number is generated, unless told otherwise."""

MANIFOLD = 10_000
"""Images of each kind at most on which precision and recall are taken, which compare each with each."""

Array = NDArray[Any]
Extract = Callable[[Array], Array]
"""Features, (n, d), of images as people hold them, uint8 (n, h, w) or (n, h, w, 3)."""


def figures(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """On the features of the zoo's own classifier of that data set."""
    plan_of(subject)
    with judge(subject, "features") as model:

        def extract(images: Array) -> Array:
            return np.asarray(model.run("features", images), np.float64).reshape(len(images), -1)

        return on_features(subject, budget, extract, words(model), FAMILIES["generation"].names)


def on_inception(subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    """The same on Inception v3, where torch-fidelity and its weights are there."""
    plan_of(subject)
    extract, which = inception.extractor()
    budget = dataclasses.replace(budget, reference=min(budget.reference or inception.REFERENCE, inception.REFERENCE))
    return on_features(subject, budget, extract, which, FAMILIES["inception"].names)


def on_features(
    subject: EvaluatedModel, budget: Budget, extract: Extract, which: str, names: tuple[str, ...]
) -> list[Figure]:
    """FID, KID, precision and recall under `names`, each beside that of the real test split.

    Generated images, and the test images of the baseline, are of one number, since FID falls with it.
    """
    reference = some(subject.training, budget.reference)
    count = how_many(subject, budget)
    test = some(subject.test, count)
    if min(count, len(test), len(reference)) < 2:
        raise DoesNotApply("it takes at least 2 images of each kind")
    real = _features(extract, shown(reference.array), "training images", budget.quiet)
    held = _features(extract, shown(test.array), "test images", budget.quiet)
    baseline = _compare(real, held)
    rows = [_compare(real, _generated(subject, extract, count, seed, budget.quiet)) for seed in range(budget.seeds)]
    made = f"seeds 0 to {budget.seeds - 1}" if budget.seeds > 1 else "seed 0"
    against = f"{count:,} generated ({made}) against {len(reference):,} training images of {subject.data}; {which}"
    units: tuple[tuple[str, Better, str], ...] = (
        ("squared distance", "lower", against),
        ("MMD²", "lower", f"{distances.SUBSETS} subsets of at most {distances.SUBSET:,}; {against}"),
        ("share of generated", "higher", f"k = {distances.NEIGHBOURS}, sets of one size; {against}"),
        ("share of real", "higher", f"k = {distances.NEIGHBOURS}, sets of one size; {against}"),
    )
    return [
        of_seeds(
            name, [row[place] for row in rows], unit, protocol, better,
            (f"{len(test):,} real test images", baseline[place]), count,
        )
        for place, (name, (unit, better, protocol)) in enumerate(zip(names, units, strict=True))
    ]  # fmt: skip


def how_many(subject: EvaluatedModel, budget: Budget) -> int:
    """How many images are generated."""
    most = budget.most if plan_of(subject).calls <= CALLS else budget.most // 10
    return budget.samples or min(most, len(subject.test))


def plan_of(subject: EvaluatedModel) -> Plan:
    """How its images are generated; :class:`DoesNotApply` where there are none."""
    plan = subject.model.release.plan
    if plan is None:
        raise DoesNotApply(f"{subject.model.name} generates nothing")
    if not isinstance(subject.image, Image) or not isinstance(plan.gives, Image):
        raise DoesNotApply(f"{subject.model.name} generates no images")
    return plan


def _features(extract: Extract, images: Array, what: str, quiet: bool) -> Array:
    parts = []
    with Progress(f"Features of {what}", len(images), unit="images", quiet=quiet) as progress:
        for start in range(0, len(images), BLOCK):
            parts.append(extract(images[start : start + BLOCK]))
            done = min(start + BLOCK, len(images))
            progress.update(done, {}, done)
    return np.concatenate(parts)


def _generated(subject: EvaluatedModel, extract: Extract, count: int, seed: int, quiet: bool) -> Array:
    """Features of samples 0 to `count` − 1 of a seed; the images are not kept."""
    parts = []
    with Progress(f"Generating with seed {seed}", count, unit="images", quiet=quiet) as progress:
        for start in range(0, count, BLOCK):
            done = min(start + BLOCK, count)
            parts.append(extract(subject.model.generate(done - start, seed=seed, first=start)))
            progress.update(done, {}, done)
    return np.concatenate(parts)


def _compare(real: Array, fake: Array) -> tuple[float, float, float, float]:
    """FID, KID, precision, recall; the last two on sets of one size."""
    size = min(len(real), len(fake), MANIFOLD)
    random = np.random.default_rng(0)
    alike = [side[np.sort(random.permutation(len(side))[:size])] for side in (real, fake)]
    return distances.fid(real, fake), distances.kid(real, fake), *distances.precision_recall(*alike)
