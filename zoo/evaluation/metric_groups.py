"""The families of measures that follow from a model's tasks: their names, and where each one's code is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from zoo.core.errors import NotFoundError, suggest
from zoo.release import THRESHOLD

if TYPE_CHECKING:
    from zoo.contract.metric import Figure
    from zoo.evaluation.evaluated_model import Budget, EvaluatedModel


@dataclass(frozen=True)
class Family:
    """Measures that are taken together by ``function(subject, budget)`` of a module, imported when it is called."""

    names: tuple[str, ...]
    module: str
    function: str = "figures"
    asked: bool = False
    """It takes so long that it is taken only when it is named."""

    def figures(self, subject: EvaluatedModel, budget: Budget) -> list[Figure]:
        """Take them; :class:`zoo.evaluation.evaluated_model.DoesNotApply` where there is nothing to measure."""
        function: Callable[[EvaluatedModel, Budget], list[Figure]] = getattr(import_module(self.module), self.function)
        return function(subject, budget)


FAMILIES = {
    "reconstruction": Family(("mse", "psnr", "ssim"), "zoo.evaluation.reconstruction"),
    "generation": Family(("fid", "kid", "precision", "recall"), "zoo.evaluation.generation"),
    "inception": Family(
        ("inception_fid", "inception_kid", "inception_precision", "inception_recall"),
        "zoo.evaluation.generation",
        "on_inception",
        asked=True,
    ),
    "classes": Family(("rarest_class", "commonest_class", "label_accuracy", "code_accuracy"), "zoo.evaluation.classes"),
    "representation": Family(("linear_probe", "knn", "nmi"), "zoo.evaluation.representation"),
    "codebook": Family(("codebook_use", "perplexity"), "zoo.evaluation.codebook"),
    "anomaly": Family(("auroc",), "zoo.evaluation.anomaly"),
    "threshold": Family((THRESHOLD,), "zoo.evaluation.threshold"),
    "classification": Family(("accuracy",), "zoo.evaluation.classification"),
    "likelihood": Family(("nll",), "zoo.evaluation.likelihood"),
}

OWN = "own"
"""What a model's own measures are called as a family."""


def chosen(only: Sequence[str], own: tuple[str, ...]) -> frozenset[str]:
    """The names of the measures that are taken: those that `only` names, by themselves or by their family, or most.

    `own` are the names of the model's own measures. Raises :class:`NotFoundError` for a name that is neither.
    """
    families = {OWN: own} | {name: family.names for name, family in FAMILIES.items()}
    known = list(dict.fromkeys([*families, *(name for names in families.values() for name in names)]))
    if not only:
        asked = {name for family in FAMILIES.values() if family.asked for name in family.names}
        return frozenset(known) - asked
    wanted: set[str] = set()
    for name in only:
        if name not in known:
            raise NotFoundError(f"No measure named {name!r}.{suggest(name, known)} There are: {', '.join(known)}.")
        wanted.update((name,) if name in own else families.get(name, (name,)))
    return frozenset(wanted)
