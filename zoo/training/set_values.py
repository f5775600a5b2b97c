"""The value of a model's own metric of a set: samples are generated, and compared with as many test samples."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Sample
from zoo.core.errors import EvaluationError, PluginError, one_line
from zoo.core.progress import Progress
from zoo.media.convert import from_batch, join
from zoo.plugin import Batch, SetMetric
from zoo.training.batches import Batches

BLOCK = 500
"""Samples that are generated between two reports of progress."""

Generate = Callable[..., Any]
"""``generate(n=…, seed=…, first=…, **asked)``, as :meth:`zoo.runtime.LoadedModel.generate`."""


def held(batches: Batches, sample: Sample, count: int) -> dict[str, Any]:
    """The first `count` samples of a split by field, as people hold them: see :class:`zoo.SetMetric`."""
    parts = [fields_of(batch, sample) for batch in batches.in_order(count)]
    return {name: join([part[name] for part in parts]) for name in parts[0]}


def fields_of(batch: Batch, sample: Sample) -> dict[str, Any]:
    """The samples of a batch by field, as people hold them."""
    specs = {"x": sample.x, **{name: spec for name, spec in sample.fields.items() if name in batch.fields}}
    return {name: from_batch(batch[name].cpu().numpy(), spec) for name, spec in specs.items()}


def asked_of(plan: Plan, test: Mapping[str, Any]) -> dict[str, Any]:
    """What test samples say about the samples to generate: labels of a field's name, and given inputs."""
    labels = {name: test[name] for name in plan.labels() if name in plan.options and name in test}
    return labels | {name: test[field] for name, field in plan.given().items()}


def generated(
    generate: Generate, plan: Plan, test: Mapping[str, Any], seed: int, progress: Progress | None = None
) -> Any:
    """Samples 0, 1, … of a seed, as many as `test` has; sample i is of what test sample i says."""
    count, asked, parts = len(test["x"]), asked_of(plan, test), []
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        here = {name: values[start:end] for name, values in asked.items()}
        parts.append(generate(n=end - start, seed=seed, first=start, **here))
        if progress is not None:
            progress.update(end, {}, end)
    return join(parts)


def value(metric: SetMetric, samples: Any, test: Mapping[str, Any]) -> float:
    """The metric of generated samples. Raises :class:`PluginError` if it raises or returns no real number, and
    :class:`EvaluationError` if this number is not finite."""
    try:
        found: Any = metric.fn(_read_only(samples), {name: _read_only(held) for name, held in test.items()})
    except (Exception, SystemExit) as error:
        raise PluginError(f"The metric {metric.name!r} fails: {one_line(error)[:200]}.") from error
    if isinstance(found, bool) or not isinstance(found, numbers.Real):
        raise PluginError(
            f"The metric {metric.name!r} gave {type(found).__name__} for {len(samples)} generated samples: "
            "it must give one number, a float."
        )
    if not math.isfinite(found):
        raise EvaluationError(f"{metric.name} is {float(found)}, not finite, for {len(samples):,} generated samples.")
    return float(found)


def _read_only(value: Any) -> Any:
    """An array as one that cannot be changed; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
