"""The groups of metrics that follow from a model's tasks: their names, and the module that computes each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from zoo.core.errors import NotFoundError, suggest
from zoo.release import THRESHOLD

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
    "reconstruction": MetricGroup(("mse", "psnr", "ssim"), "zoo.evaluation.reconstruction"),
    "generation": MetricGroup(("fid", "kid", "precision", "recall"), "zoo.evaluation.generation"),
    "inception": MetricGroup(
        ("inception_fid", "inception_kid", "inception_precision", "inception_recall"),
        "zoo.evaluation.generation",
        "on_inception",
        opt_in=True,
    ),
    "classes": MetricGroup(
        ("rarest_class", "commonest_class", "label_accuracy", "code_accuracy"), "zoo.evaluation.classes"
    ),
    "representation": MetricGroup(("linear_probe", "knn", "nmi"), "zoo.evaluation.representation"),
    "codebook": MetricGroup(("codebook_use", "perplexity"), "zoo.evaluation.codebook"),
    "anomaly": MetricGroup(("auroc",), "zoo.evaluation.anomaly"),
    "threshold": MetricGroup((THRESHOLD,), "zoo.evaluation.threshold"),
    "classification": MetricGroup(("accuracy",), "zoo.evaluation.classification"),
    "likelihood": MetricGroup(("nll",), "zoo.evaluation.likelihood"),
    "codec": MetricGroup(("bits_per_dimension",), "zoo.evaluation.compression"),
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
