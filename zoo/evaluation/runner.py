"""Takes measures one after the other: one that does not apply, or fails, costs a line, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from zoo.contract.metric import Figure
from zoo.core.errors import ZooError, one_line
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.metric_groups import FAMILIES
from zoo.plugin import Measure, Model, Recipe


@dataclass(frozen=True)
class PluginMetrics:
    """What a model's own measures are called with."""

    model: Model
    module: Any
    recipe: Recipe
    device: Any


@dataclass(frozen=True)
class MetricJob:
    """Measures that are taken together."""

    name: str
    """The family's, or the name of one of the model's own measures."""
    wanted: frozenset[str]
    figures: Callable[[], Sequence[Figure]]


def own_jobs(own: PluginMetrics, subject: EvaluatedModel, wanted: frozenset[str], budget: Budget) -> list[MetricJob]:
    """The model's own measures that are wanted, each a job."""
    return [
        MetricJob(measure.name, wanted, partial(_declared, measure, own, subject, budget))
        for measure in own.model.measures
        if measure.name in wanted
    ]


def family_jobs(
    subject: EvaluatedModel, wanted: frozenset[str], budget: Budget, own: Sequence[Measure] = ()
) -> list[MetricJob]:
    """The families in which something is wanted. A name of the model's `own` measures is its own everywhere."""
    wanted -= {measure.name for measure in own}
    return [
        MetricJob(name, wanted, partial(family.figures, subject, budget))
        for name, family in FAMILIES.items()
        if wanted & {*family.names}
    ]


def take(
    jobs: Iterable[MetricJob], keep: Callable[[Sequence[Figure]], None], costs_a_line: type[Exception] = ZooError
) -> tuple[list[Figure], dict[str, str]]:
    """The figures of the jobs, and why some were left out, by name. `keep` is given the figures of each job.

    A job that fails with an error of the type `costs_a_line`, or for want
    of memory, is left out.
    """
    figures: dict[str, Figure] = {}
    left_out: dict[str, str] = {}
    for job in jobs:
        try:
            found = [figure for figure in job.figures() if figure.name in job.wanted]
        except Exception as error:
            if _memory(error.__cause__ or error):
                left_out[job.name] = "there is not enough memory; take fewer with --limit or --samples"
            elif isinstance(error, costs_a_line):
                left_out[job.name] = one_line(error).rstrip(".")
            else:
                raise
            continue
        if found:
            keep(found)
        figures.update((figure.name, figure) for figure in found)
    return [*figures.values()], left_out


def _declared(measure: Measure, own: PluginMetrics, subject: EvaluatedModel, budget: Budget) -> list[Figure]:
    from zoo.evaluation import declared

    return [declared.figure(measure, own.module, own.recipe, own.device, subject, budget)]


def _memory(error: BaseException) -> bool:
    """Whether an error is for want of memory: Python's, numpy's, torch's on a GPU, or torch's on the CPU."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
