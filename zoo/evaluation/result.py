"""The result of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.contract.metric import Measurement


@dataclass(frozen=True)
class Evaluation:
    """The result of :func:`evaluate`."""

    name: str
    """``model.recipe``."""
    measurements: Sequence[Measurement]
    left_out: Mapping[str, str]
    """The reason why a group of metrics was not computed, by its name."""
    kept: Path | None
    """The ``evaluation.json`` with the measurements, for a run folder evaluated on its own data."""
    kept_older: tuple[str, ...] = ()
    """The metrics whose older measurement in that file was kept, since it is on more samples."""
