"""The loop over a task: what it starts from, how a step follows the last one, and iterative generation.

The states of the task carry over from step to step (:mod:`zoo.contract.generation`). Tokens are a loop too, whose next
input is sampled: :mod:`zoo.sampling.autoregressive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import Iterative
from zoo.contract.generation_plan import Plan, sample_output
from zoo.contract.specs import Noise
from zoo.core import philox
from zoo.core.errors import SettingError

Array = NDArray[Any]
Run = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
"""Runs a task, by name, on named batches and returns named batches."""


def begin(plan: Plan, indices: NDArray[np.int64], seed: int, asked: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs of the loop's task at its start: states, what users asked, and noise that stays the same.

    A state starts as noise if it is declared so, else as zeros. `asked` has a batch for each input of ``plan.asked()``.
    """
    assert plan.loop is not None
    task = plan.loop.task
    drawn = dict(plan.inputs("noise", task=task)) if plan.tokens else {}
    states = plan.states()
    drawn |= {name: spec for name, spec in states.items() if isinstance(spec, Noise)}
    inputs: dict[str, Array] = {
        name: np.zeros((len(indices), *spec.shape), spec.dtype) for name, spec in states.items() if name not in drawn
    }
    inputs |= noise(plan, task, indices, seed, drawn)
    return inputs | {name: asked[name] for name in plan.asked(task)}


def noise(
    plan: Plan, task: str, indices: NDArray[np.int64], seed: int, names: Iterable[str], step: int = 0
) -> dict[str, Array]:
    """The noise of a step for some inputs of a task, each of its own stream."""
    streams, form, found = plan.streams(task), plan.tasks[task], {}
    for name in names:
        spec = form.inputs[name]
        assert isinstance(spec, Noise)
        found[name] = philox.draw(spec.distribution, spec.shape, seed, indices, streams[name], step)
    return found


def follow(
    run: Run, plan: Plan, start: Mapping[str, Array], steps: Iterable[Mapping[str, Array]]
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    """Call the loop's task once for each mapping of `steps`, which holds the inputs of that step alone.

    `start` is that of :func:`begin`. Yields the inputs and the outputs of each call.
    """
    assert plan.loop is not None
    inputs, states = dict(start), list(plan.states())
    for step in steps:
        inputs |= step
        outputs = run(plan.loop.task, inputs)
        yield dict(inputs), outputs
        inputs |= {name: outputs[f"next_{name}"] for name in states}


def check_steps(steps: object, most: int) -> int:
    """Return a number of steps; raise :class:`SettingError` unless it is an integer from 1 to `most`."""
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or not 1 <= steps <= most:
        raise SettingError(f"steps = {steps!r} is out of range: it must be an integer from 1 to {most}.")
    return int(steps)


def points(value: Iterative, steps: int) -> NDArray[np.float32]:
    """The points of the schedule that `steps` steps visit: float32 (steps + 1,)."""
    schedule = np.array(value.schedule, np.float32)
    return schedule[np.arange(steps + 1) * (len(schedule) - 1) // steps]


def iterate(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    asked: Mapping[str, Array],
    steps: int | None = None,
) -> Array:
    """What an iterative loop makes: samples, or in a chain its first state; (n, …).

    Noise that is no state is drawn again in each step k, as step k of its stream. Raises :class:`SettingError` for
    `steps` out of range; None takes those of the plan.
    """
    value = plan.loop
    assert isinstance(value, Iterative)
    steps = check_steps(value.steps if steps is None else steps, len(value.schedule) - 1)
    form, visited, drawn = plan.tasks[value.task], points(value, steps), plan.inputs("noise", task=value.task)

    def inputs_of(k: int) -> dict[str, Array]:
        where = {"time": visited[k], "until": visited[k + 1]}
        here = {name: np.full(len(indices), point) for name, point in where.items() if name in form.inputs}
        return here | noise(plan, value.task, indices, seed, drawn, step=k)

    *_, (_, outputs) = follow(run, plan, begin(plan, indices, seed, asked), map(inputs_of, range(steps)))
    return outputs[f"next_{next(iter(plan.states()))}" if plan.last else sample_output(plan)]
