"""The rate of a codec: the bits of a real stream."""

from __future__ import annotations

import math

from zoo.contract.metric import Measurement
from zoo.contract.specs import Image, Text
from zoo.core.progress import Progress
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, some
from zoo.media import grid, kinds

MOST = 2000
"""Test samples in the stream, at most, unless the budget says otherwise."""


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """Bits per dimension of one stream of test samples, header and checksum included."""
    model, x = evaluated.model, evaluated.model.release.sample.x
    if model.release.codec is None:
        raise DoesNotApply(f"{model.name} has no codec")
    if isinstance(x, Text):
        raise DoesNotApply("it compresses text, and this is measured on other samples")
    test, kind = some(evaluated.test, budget.limit or MOST), kinds.of_sample(x)
    samples = kind.from_data(test.array)
    with Progress(f"{model.name}: compress", len(test), unit=kind.unit, quiet=budget.quiet) as progress:
        data = model.compress(samples, progress=lambda done, _: progress.move(done, done))
    dimensions = len(test) * math.prod(x.shape)
    baseline = None
    if isinstance(x, Image) and x.channels in (1, 3):  # one under the other, so that PNG has one header too
        column = grid.png(kind.frames(samples, x).reshape(-1, *samples.shape[2:]))
        baseline = ("one PNG of all", 8 * len(column) / dimensions)
    return [
        Measurement(
            name="bits_per_dimension",
            value=8 * len(data) / dimensions,
            unit="bits per dimension",
            protocol=f"{len(test):,} test {kind.unit} of {evaluated.data} as one stream, header included",
            better="lower",
            interval="no interval: one stream",
            baseline=baseline,
            count=len(test),
        )
    ]
