"""What a model generates from in training, where users give it: items of the test split, which its release keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Sample
from zoo.media import kinds
from zoo.media.convert import from_batch
from zoo.plugin import Model
from zoo.release import given
from zoo.training.batches import Batches


def of(plan: Plan, test: Batches) -> dict[str, NDArray[Any]]:
    """The given inputs of the first test samples, by option, as graphs take them: (k, …)."""
    fields = plan.given()
    if not fields:
        return {}
    batch = next(test.in_order(kinds.of_sample(plan.sample.x).count(plan.sample.x)))
    return {name: batch[field].cpu().numpy() for name, field in fields.items()}


def shown(plan: Plan, test: Batches, count: int) -> dict[str, Any]:
    """The same for samples 0 to `count` − 1, as people hold them, for :func:`zoo.sampling.generation.generate`."""
    specs, places = plan.inputs("given"), np.arange(count)
    return {name: from_batch(array[places % len(array)], specs[name]) for name, array in of(plan, test).items()}


def write(folder: Path, model: Model, module: nn.Module, sample: Sample, test: Batches) -> None:
    """Write the given inputs into a run folder, for its release."""
    value = model.generation(module)
    found = {} if value is None else of(Plan(value, model.tasks(module), sample), test)
    if found:
        given.write(folder, found)
