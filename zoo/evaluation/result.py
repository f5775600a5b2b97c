"""What an evaluation gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.contract.metric import Figure


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found."""

    name: str
    """``model.recipe``."""
    figures: Sequence[Figure]
    left_out: Mapping[str, str]
    """Why a family of measures was not taken, by its name."""
    kept: Path | None
    """The ``measures.json`` that has the figures now, for a run folder measured on its own data."""
    firmer: tuple[str, ...] = ()
    """Those of which it has, and keeps, a figure that rests on more samples."""
