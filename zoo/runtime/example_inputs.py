"""Plausible inputs for any task, the same on every machine, for parity checks and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan, Role
from zoo.contract.specs import Spec
from zoo.media import kinds
from zoo.media.kinds.base import EXAMPLE_SEED as SEED
from zoo.media.kinds.base import Array
from zoo.sampling.generation import asked_of

__all__ = ["SEED", "example", "example_asked", "examples"]


def example(spec: Spec, batch: int, stream: int) -> Array:
    """A batch of plausible input for a spec, (batch, *spec.shape); `stream` tells the inputs of a task apart."""
    return kinds.of(spec).example(spec, batch, stream)


def examples(
    inputs: Mapping[str, Spec], batch: int, schedule: Sequence[float] = (), first: int = 0
) -> dict[str, Array]:
    """A batch for each input of a task, drawn from streams `first` …; ``time`` and ``until`` follow the schedule."""
    found = {name: example(spec, batch, stream) for stream, (name, spec) in enumerate(inputs.items(), first)}
    if schedule:
        points, steps = np.array(schedule, np.float32), len(schedule) - 1
        start = np.arange(batch) * steps // batch
        ends = {"time": start, "until": np.minimum(start + max(1, steps // batch), steps)}
        found |= {name: points[places] for name, places in ends.items() if name in inputs}
    return found


def example_asked(plan: Plan, indices: NDArray[np.int64], numbers: bool = True) -> dict[str, Array]:
    """A batch for each input that users may set of a generation: plausible ones, and the labels by default.

    With `numbers`, those are of their whole range after the first item; else they are the defaults.
    """
    roles: tuple[Role, ...] = ("given", "number") if numbers else ("given",)
    given = {name: example(spec, len(indices), place) for place, (name, spec) in enumerate(plan.inputs(*roles).items())}
    return asked_of(plan, indices, **given)
