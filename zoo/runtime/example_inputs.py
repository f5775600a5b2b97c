"""Plausible inputs for any task, the same on every machine, for parity checks and benchmarks."""

from __future__ import annotations

from zoo.contract.specs import Spec
from zoo.media import kinds
from zoo.media.kinds.base import EXAMPLE_SEED as SEED
from zoo.media.kinds.base import Array

__all__ = ["SEED", "example"]


def example(spec: Spec, batch: int, stream: int) -> Array:
    """A batch of plausible input for a spec, (batch, *spec.shape); `stream` tells the inputs of a task apart."""
    return kinds.of(spec).example(spec, batch, stream)
