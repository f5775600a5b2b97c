"""Computes metrics one after the other; a metric that does not apply or fails is reported, and the others continue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from zoo.contract.metric import Measurement
from zoo.contract.own_metrics import OwnMetric
from zoo.core.errors import ZooError, one_line
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.metric_groups import GROUPS
from zoo.plugin import Model, Recipe


@dataclass(frozen=True)
class PluginMetrics:
    """The arguments of a model's own metrics."""

    model: Model
    module: Any
    recipe: Recipe
    device: Any


@dataclass(frozen=True)
class MetricJob:
    """Metrics that are computed together."""

    name: str
    """The name of the group, or of one of the model's own metrics."""
    wanted: frozenset[str]
    measurements: Callable[[], Sequence[Measurement]]


def own_jobs(own: PluginMetrics, evaluated: EvaluatedModel, wanted: frozenset[str], budget: Budget) -> list[MetricJob]:
    """One job for each of the model's own metrics in `wanted`."""
    return [
        MetricJob(metric.name, wanted, partial(_declared, metric, own, evaluated, budget))
        for metric in own.model.metrics
        if metric.name in wanted
    ]


def group_jobs(evaluated: EvaluatedModel, wanted: frozenset[str], budget: Budget) -> list[MetricJob]:
    """One job for each group with a wanted metric."""
    return [
        MetricJob(name, wanted, partial(group.measurements, evaluated, budget))
        for name, group in GROUPS.items()
        if wanted & {*group.names}
    ]


def take(
    jobs: Iterable[MetricJob], keep: Callable[[Sequence[Measurement]], None], costs_a_line: type[Exception] = ZooError
) -> tuple[list[Measurement], dict[str, str]]:
    """Run the jobs and return their measurements, and the reasons of those left out, by name.

    `keep` is called with the measurements of each job. A job is left out if it runs out of memory, or raises an error
    of type `costs_a_line`.
    """
    measurements: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    for job in jobs:
        try:
            computed = [measurement for measurement in job.measurements() if measurement.name in job.wanted]
        except Exception as error:
            if _memory(error.__cause__ or error):
                left_out[job.name] = "there is not enough memory; set a smaller --limit or --samples"
            elif isinstance(error, costs_a_line):
                left_out[job.name] = one_line(error).rstrip(".")
            else:
                raise
            continue
        if computed:
            keep(computed)
        measurements.update((measurement.name, measurement) for measurement in computed)
    return [*measurements.values()], left_out


def _declared(metric: OwnMetric, own: PluginMetrics, evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    from zoo.evaluation import declared

    return [declared.measurement(metric, own.module, own.recipe, own.device, evaluated, budget)]


def _memory(error: BaseException) -> bool:
    """Whether an error means out of memory: in Python, numpy, or torch on a GPU or the CPU."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
