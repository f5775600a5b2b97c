"""The metrics that a plugin declares: of each test sample, or of a set of generated samples. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.contract import names
from zoo.contract.metric import Measurement
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric(Checked):
    """A metric: the mean over test samples of ``fn(module, batch, recipe)``, which returns one value a sample, (b,).

    zoo seeds torch before each batch, so `fn` may draw noise and still return the same values every time.
    """

    name: str
    """It is none of zoo's own metrics (:data:`zoo.contract.names.METRICS`)."""
    fn: Callable[[Any, Any, Any], Tensor]
    unit: str
    protocol: str
    """How the metric is measured, in a few words: "dynamically binarised, one sample of z an image"."""
    better: Literal["lower", "higher"] = "lower"
    limit: int | None = None
    """For a slow metric: it is computed on the first `limit` test samples, unless ``--limit`` says otherwise, and only
    by ``zoo evaluate``, unless it is the model's first metric."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name(self)
        if self.limit is not None and self.limit < 1:
            raise PluginError(f"Metric: limit = {self.limit} of {self.name!r} must be at least 1, or None.")


@dataclass(frozen=True)
class SetMetric(Checked):
    """A metric of a set of generated samples: ``fn(generated, test)``, one finite number. It needs neither torch nor
    the module.

    `generated` is what ``model.generate`` gives: uint8 (n, h, w) or (n, h, w, 3), float32 arrays, or a list of n str.
    `test` has the fields of n test samples by name, in the same form: ``test["x"]``, and ``test["label"]`` int64 (n,)
    where the data has labels. A model that generates from a field, such as a label, gets that of test sample i for
    sample i. `fn` must give the same number for the same samples, and must not change them. It is tried on five samples
    before the first step, and must be finite there too.
    """

    name: str
    """As in :class:`Metric`."""
    fn: Callable[[Any, Mapping[str, Any]], float]
    unit: str
    protocol: str
    """How the metric is measured, in a few words: "fraction that the grammar accepts"."""
    better: Literal["lower", "higher"] = "lower"
    samples: int = 1000
    """The number n of generated samples, unless ``--samples`` says otherwise; at most as many as test samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name(self)
        if self.samples < 1:
            raise PluginError(f"SetMetric: samples = {self.samples} of {self.name!r} must be at least 1.")


OwnMetric = Metric | SetMetric


def at_checkpoints(metrics: Sequence[OwnMetric]) -> list[OwnMetric]:
    """The metrics that are computed at each checkpoint: the first, which chooses the best one, and the quick ones."""
    return [
        metric for place, metric in enumerate(metrics)
        if place == 0 or (isinstance(metric, Metric) and metric.limit is None)
    ]  # fmt: skip


def how_many(metric: OwnMetric, available: int) -> int:
    """The number of samples behind a metric, of the available test samples."""
    most = metric.samples if isinstance(metric, SetMetric) else metric.limit
    return available if most is None else min(most, available)


def in_order(measurements: Iterable[Measurement], own: Sequence[str]) -> list[Measurement]:
    """Measurements in the order in which people read them: a model's `own` metrics as its plugin declares them, then
    zoo's, in the order of :data:`zoo.contract.names.METRICS`; metrics that are neither are last."""
    order = {name: place for place, name in enumerate((*own, *names.ZOO_METRICS))}
    return sorted(measurements, key=lambda measurement: order.get(measurement.name, len(order)))


def _check_name(metric: OwnMetric) -> None:
    said = f"{type(metric).__name__}: the name {metric.name!r}"
    if not names.RECIPE.fullmatch(metric.name):
        raise PluginError(f"{said} is not allowed. It may have letters, digits, '.', '-' and '_'.")
    if metric.name.lower() in names.ZOO_METRICS:
        raise PluginError(
            f"{said} is that of one of zoo's own metrics, which every model can have. "
            f"Choose another, such as 'own_{metric.name}'."
        )
