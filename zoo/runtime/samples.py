"""The samples that a release shows: of one seed, and where users give something, from what lies in the release."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.media.convert import from_batch
from zoo.release import given
from zoo.runtime.model import LoadedModel


def given_of(model: LoadedModel, n: int, first: int = 0) -> dict[str, Any]:
    """What the samples from index `first` on are generated from, as people hold it, by option; {} if nothing."""
    plan = model.release.plan
    found = given.read(model.release, np.arange(first, first + n))
    return {name: from_batch(array, plan.inputs("given")[name]) for name, array in found.items()} if plan else {}


def samples_of(model: LoadedModel, n: int, seed: int, **options: Any) -> Any:
    """Samples 0 to `n` − 1 of a seed, as :meth:`LoadedModel.generate` gives them."""
    return model.generate(n, seed=seed, **given_of(model, n), **options)
