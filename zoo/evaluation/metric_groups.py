"""The groups of metrics that follow from a model's tasks, and the module that computes each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from zoo.contract.names import METRICS
from zoo.core.errors import NotFoundError, suggest

if TYPE_CHECKING:
    from zoo.contract.metric import Measurement
    from zoo.evaluation.evaluated_model import Budget, EvaluatedModel


@dataclass(frozen=True)
class MetricGroup:
    """Metrics that ``function(subject, budget)`` of a module computes together; the module is imported when needed."""

    names: tuple[str, ...]
    module: str
    function: str = "measurements"
    opt_in: bool = False
    """Whether the group is slow, so that it is computed only if named."""

    def measurements(self, evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
        """Compute the metrics; raise :class:`zoo.evaluation.evaluated_model.DoesNotApply` if they do not apply."""
        function: Callable[[EvaluatedModel, Budget], list[Measurement]] = getattr(
            import_module(self.module), self.function
        )
        return function(evaluated, budget)


GROUPS = {
    "reconstruction": MetricGroup(METRICS["reconstruction"], "zoo.evaluation.reconstruction"),
    "generation": MetricGroup(METRICS["generation"], "zoo.evaluation.generation"),
    "inception": MetricGroup(METRICS["inception"], "zoo.evaluation.generation", "on_inception", opt_in=True),
    "classes": MetricGroup(METRICS["classes"], "zoo.evaluation.classes"),
    "representation": MetricGroup(METRICS["representation"], "zoo.evaluation.representation"),
    "codebook": MetricGroup(METRICS["codebook"], "zoo.evaluation.codebook"),
    "anomaly": MetricGroup(METRICS["anomaly"], "zoo.evaluation.anomaly"),
    "threshold": MetricGroup(METRICS["threshold"], "zoo.evaluation.threshold"),
    "classification": MetricGroup(METRICS["classification"], "zoo.evaluation.classification"),
    "likelihood": MetricGroup(METRICS["likelihood"], "zoo.evaluation.likelihood"),
    "codec": MetricGroup(METRICS["codec"], "zoo.evaluation.compression"),
}

OWN = "own"
"""The name of the group of a model's own metrics."""


def chosen(only: Sequence[str], own: tuple[str, ...]) -> frozenset[str]:
    """The names of the metrics to compute: those that `only` names, directly or by group; by default all but slow ones.

    `own` holds the names of the model's own metrics. Raises :class:`NotFoundError` for an unknown name.
    """
    groups = {OWN: own} | {name: group.names for name, group in GROUPS.items()}
    known = list(dict.fromkeys([*groups, *(name for names in groups.values() for name in names)]))
    if not only:
        opt_in = {name for group in GROUPS.values() if group.opt_in for name in group.names}
        return frozenset(known) - opt_in
    wanted: set[str] = set()
    for name in only:
        if name not in known:
            raise NotFoundError(f"No metric named {name!r}.{suggest(name, known)} There are: {', '.join(known)}.")
        wanted.update((name,) if name in own else groups.get(name, (name,)))
    return frozenset(wanted)
