"""What a model generates from in an evaluation, where users give it: test samples, in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.contract.specs import SampleSpec, Text
from zoo.evaluation.evaluated_model import EvaluatedModel
from zoo.media import kinds


def given_of(evaluated: EvaluatedModel, first: int, count: int) -> dict[str, Any]:
    """What samples `first` … are generated from, by option: sample i is of test sample i; {} if nothing is given."""
    plan, test = evaluated.model.release.plan, evaluated.test
    if plan is None or not plan.given():
        return {}
    rows = np.arange(first, first + count) % len(test)
    found: dict[str, Any] = {}
    for name, spec in plan.inputs("given").items():
        field = plan.given()[name]
        stored = test.read(rows) if field == "x" else np.asarray(test.fields[field])[rows]
        if isinstance(spec, Text):
            found[name] = [kinds.ids_to_text(ids, spec) for ids in stored]
        elif isinstance(spec, SampleSpec):
            found[name] = kinds.of_sample(spec).from_data(stored)
        else:
            found[name] = stored
    return found
