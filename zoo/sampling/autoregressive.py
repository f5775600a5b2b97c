"""Token by token: what is picked, and why; the loop on any backend (:class:`zoo.contract.specs.Autoregressive`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.core import philox
from zoo.core.arguments import is_integer, is_number
from zoo.core.errors import SettingError

Array = NDArray[Any]
Run = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
"""Runs a task, by name, on named batches, and returns named batches."""

MARGIN = 1e-4
"""Where the best two scores are closer than this, rounding may choose the token."""

COLD = 1e-6
"""Temperatures below this are 0."""

WAYS = 16
"""So many ways that rounding may take are followed."""

FREE = -1
"""What stands for a token that is to be picked, among those that are given."""


@dataclass(frozen=True)
class Picking:
    """How a token is picked. Raises :class:`SettingError` for a number out of range."""

    temperature: float = 1.0
    """Logits are divided by it; below 1e-6 the likeliest token is taken."""
    top_k: int = 0
    """Only the so many likeliest tokens are picked from (Fan et al. 2018, https://arxiv.org/abs/1805.04833); 0: all."""
    top_p: float = 1.0
    """Only from the likeliest tokens that have this probability together (Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751); 1: all."""

    def __post_init__(self) -> None:
        if not (is_number(self.temperature) and 0 <= self.temperature < float("inf")):
            raise SettingError(
                f"temperature = {self.temperature} is out of range: it must be a finite number of at least 0."
            )
        if not is_integer(self.top_k) or not 0 <= self.top_k < 2**31:
            raise SettingError(f"top_k = {self.top_k} is out of range: it must be an integer of at least 0 (0: all).")
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise SettingError(f"top_p = {self.top_p} is out of range: it must be above 0 and at most 1 (1: all).")


ALL = Picking()


def prompted(prompt: NDArray[np.int64], count: int, total: int) -> NDArray[np.int64]:
    """Tokens (count, total) of which the first are given, the same for all, and the others are to be picked."""
    given = np.full((count, total), FREE, np.int64)
    given[:, : len(prompt)] = prompt
    return given


def states(plan: Plan, count: int) -> dict[str, Array]:
    """The first states of the token's task: zeros."""
    return {name: np.zeros((count, *spec.shape), spec.dtype) for name, spec in plan.states().items()}


def autoregress(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    labels: Mapping[str, Array],
    given: NDArray[np.int64],
    picking: Picking,
) -> NDArray[np.int64]:
    """The tokens `given`, (n, total), with each that is ``FREE`` picked after those before it."""
    tokens = given.copy()
    for position, (_, outputs) in enumerate(read(run, plan, labels, _before(tokens))):
        free = given[:, position] == FREE
        if free.any():
            tokens[free, position] = pick(outputs["logits"], seed, indices, position, picking)[free]
    return tokens


def follows(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    labels: Mapping[str, Array],
    tokens: NDArray[np.int64],
    given: NDArray[np.int64],
    picking: Picking,
) -> bool:
    """Whether the tokens (n, total) are those that were given, and each ``FREE`` one is picked after those before it.

    One whose score is within ``MARGIN`` of the best is as good.
    """
    assert plan.tokens is not None
    known = (tokens >= 0) & (tokens < plan.tasks[plan.tokens.task].outputs["logits"].shape[0])
    if tokens.shape != given.shape or not (known & ((tokens == given) | (given == FREE))).all():
        return False
    for position, (_, outputs) in enumerate(read(run, plan, labels, _before(tokens))):
        found = scores(outputs["logits"], seed, indices, position, picking)
        behind = found.max(-1) - np.take_along_axis(found, tokens[:, position, None], -1)[:, 0]
        if (behind[given[:, position] == FREE] > MARGIN).any():
            return False
    return True


def ways(
    run: Run, plan: Plan, index: NDArray[np.int64], seed: int, labels: Mapping[str, Array], total: int
) -> Iterator[NDArray[np.int64]]:
    """The tokens, (1, total), that one sample may have where rounding chooses: those picked first, ``WAYS`` at most."""
    left = [np.full((1, total), FREE, np.int64)]
    for _ in range(WAYS):
        if not left:
            return
        given = left.pop(0)
        tokens = given.copy()
        for position, (_, outputs) in enumerate(read(run, plan, labels, _before(tokens))):
            if given[0, position] != FREE:
                continue
            found = scores(outputs["logits"], seed, index, position, ALL)[0]
            tokens[0, position] = found.argmax()
            for other in np.flatnonzero(found >= found.max() - MARGIN):
                if other != tokens[0, position]:
                    left.append(np.where(np.arange(total) < position, tokens, FREE))
                    left[-1][0, position] = other
        yield tokens


def read(
    run: Run, plan: Plan, labels: Mapping[str, Array], tokens: Iterable[NDArray[np.int64]]
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    """What the token's task is given, and what it gives, at each of the tokens, (n,), one after the other."""
    assert plan.tokens is not None
    task = plan.tokens.task
    own = {name: labels[name] for name in plan.labels(task)}
    state: dict[str, Array] = {}
    for token in tokens:
        state = state or states(plan, len(token))
        given = {"token": np.ascontiguousarray(token), **state, **own}
        outputs = run(task, given)
        yield given, outputs
        state = {name: outputs[f"next_{name}"] for name in state}


def _before(tokens: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """What is fed where each of the tokens (n, total) is picked: token 0, and then the one before, once it is there."""
    yield np.zeros(len(tokens), np.int64)
    yield from tokens.T[:-1]


def pick(logits: Array, seed: int, indices: NDArray[np.int64], position: int, picking: Picking) -> NDArray[np.int64]:
    """The next token of each sample: argmax(logits / temperature + Gumbel noise), at temperature 0 argmax(logits)."""
    return np.asarray(scores(logits, seed, indices, position, picking).argmax(-1), np.int64)


def scores(logits: Array, seed: int, indices: NDArray[np.int64], position: int, picking: Picking) -> Array:
    """What the pick is the argmax of: logits / temperature + Gumbel noise of stream 0, step = position.

    −∞ for a token that top-k or top-p leaves out.
    """
    if picking.temperature < COLD:
        return logits
    scaled = logits / np.float32(picking.temperature)
    gumbel = philox.draw("gumbel", logits.shape[1:], seed, indices, stream=0, step=position)
    return np.where(scaled < _least(scaled, picking), np.float32(-np.inf), scaled + gumbel)


def _least(scaled: Array, picking: Picking) -> Array:
    """What a token must have to stay: (n, 1). Equals stay together.

    That of the k-th likeliest; and of the last one for which those before it have less than top_p, in float64.
    """
    classes = scaled.shape[-1]
    if picking.top_k in (0, classes) and picking.top_p == 1:
        return np.full((len(scaled), 1), -np.inf, np.float32)
    ranked = -np.sort(-scaled)
    least = ranked[:, min(picking.top_k or classes, classes) - 1, None]
    chances = np.exp(np.where(ranked < least, -np.inf, ranked).astype(np.float64) - ranked[:, :1])
    chances /= chances.sum(-1, keepdims=True)
    inside = np.cumsum(chances, -1) - chances < picking.top_p
    lowest: Array = np.where(inside, ranked, np.inf).min(-1, keepdims=True)
    return np.asarray(np.maximum(least, lowest))
