"""Autoregressive sampling: the sampling rule and the loop (:class:`zoo.contract.generation.Autoregressive`).

A token is the argmax of logits / temperature + Gumbel noise, which samples from the softmax (the Gumbel-max trick).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.core import philox
from zoo.core.arguments import is_integer, is_number
from zoo.core.errors import SettingError
from zoo.sampling.loop import Array, Run, begin, follow

MARGIN = 1e-4
"""If the two best perturbed logits differ by less than this, rounding may decide the token."""

GREEDY_BELOW = 1e-6
"""Temperatures below this count as 0: greedy decoding."""

WAYS = 16
"""The maximum number of continuations that :func:`alternatives` follows."""

UNSET = -1
"""Marks a token that is to be sampled, among those that are given."""


@dataclass(frozen=True)
class SamplingParams:
    """How a token is sampled. Raises :class:`SettingError` for a value out of range."""

    temperature: float = 1.0
    """Divides the logits; below 1e-6 the most likely token is taken."""
    top_k: int = 0
    """Sample from the k most likely tokens only (Fan et al. 2018, https://arxiv.org/abs/1805.04833); 0: all."""
    top_p: float = 1.0
    """Nucleus sampling: sample from the smallest set of most likely tokens with this total probability (Holtzman et al.
    2020, https://arxiv.org/abs/1904.09751); 1: all."""

    def __post_init__(self) -> None:
        if not (is_number(self.temperature) and 0 <= self.temperature < float("inf")):
            raise SettingError(
                f"temperature = {self.temperature} is out of range: it must be a finite number of at least 0."
            )
        if not is_integer(self.top_k) or not 0 <= self.top_k < 2**31:
            raise SettingError(f"top_k = {self.top_k} is out of range: it must be an integer of at least 0 (0: all).")
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise SettingError(f"top_p = {self.top_p} is out of range: it must be above 0 and at most 1 (1: all).")


ALL = SamplingParams()


def prompted(prompt: NDArray[np.int64], count: int, total: int) -> NDArray[np.int64]:
    """Tokens (count, total): the prompt, the same for all samples, followed by :data:`UNSET`."""
    given = np.full((count, total), UNSET, np.int64)
    given[:, : len(prompt)] = prompt
    return given


def autoregress(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    asked: Mapping[str, Array],
    given: NDArray[np.int64],
    sampling: SamplingParams,
) -> NDArray[np.int64]:
    """Sample each token of `given`, (n, total), that is :data:`UNSET`, given the tokens before it.

    `asked` has the inputs of :meth:`Plan.asked`.
    """
    tokens = given.copy()
    for position, (_, outputs) in enumerate(read(run, plan, begin(plan, indices, seed, asked), _before(tokens))):
        free = given[:, position] == UNSET
        if free.any():
            tokens[free, position] = sample_token(outputs["logits"], seed, indices, position, sampling)[free]
    return tokens


def is_valid_continuation(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    asked: Mapping[str, Array],
    tokens: NDArray[np.int64],
    given: NDArray[np.int64],
    sampling: SamplingParams,
) -> bool:
    """Whether `tokens`, (n, total), agree with `given`, and are what :func:`autoregress` samples where it is UNSET.

    A sampled token is accepted if its perturbed logit is within :data:`MARGIN` of the best.
    """
    assert plan.tokens is not None
    known = (tokens >= 0) & (tokens < plan.tasks[plan.tokens.task].outputs["logits"].shape[0])
    if tokens.shape != given.shape or not (known & ((tokens == given) | (given == UNSET))).all():
        return False
    for position, (_, outputs) in enumerate(read(run, plan, begin(plan, indices, seed, asked), _before(tokens))):
        logits = perturbed_logits(outputs["logits"], seed, indices, position, sampling)  # (n, classes)
        gap = logits.max(-1) - np.take_along_axis(logits, tokens[:, position, None], -1)[:, 0]  # (n,)
        if (gap[given[:, position] == UNSET] > MARGIN).any():
            return False
    return True


def alternatives(
    run: Run, plan: Plan, index: NDArray[np.int64], seed: int, asked: Mapping[str, Array], total: int
) -> Iterator[NDArray[np.int64]]:
    """The tokens, (1, total), that one sample may have if rounding decides: the most likely first, `WAYS` at most."""
    left, start = [np.full((1, total), UNSET, np.int64)], begin(plan, index, seed, asked)
    for _ in range(WAYS):
        if not left:
            return
        given = left.pop(0)
        tokens = given.copy()
        for position, (_, outputs) in enumerate(read(run, plan, start, _before(tokens))):
            if given[0, position] != UNSET:
                continue
            logits = perturbed_logits(outputs["logits"], seed, index, position, ALL)[0]  # (classes,)
            tokens[0, position] = logits.argmax()
            for other in np.flatnonzero(logits >= logits.max() - MARGIN):
                if other != tokens[0, position]:
                    left.append(np.where(np.arange(total) < position, tokens, UNSET))
                    left[-1][0, position] = other
        yield tokens


def read(
    run: Run, plan: Plan, start: Mapping[str, Array], tokens: Iterable[NDArray[np.int64]]
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    """Feed the tokens, (n,) each, to the token's task in order; yield its inputs and outputs at each position.

    `start` has its other inputs at the first token: see :func:`zoo.sampling.loop.begin`.
    """
    return follow(run, plan, start, ({"token": np.ascontiguousarray(token)} for token in tokens))


def _before(tokens: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The input of the token's task at each position of `tokens`, (n, total): 0, then the previous token.

    A generator, since the previous token is sampled just before it is read.
    """
    yield np.zeros(len(tokens), np.int64)
    yield from tokens.T[:-1]


def sample_token(
    logits: Array, seed: int, indices: NDArray[np.int64], position: int, sampling: SamplingParams
) -> NDArray[np.int64]:
    """The next token of each sample: argmax(logits / temperature + Gumbel noise), at temperature 0 argmax(logits)."""
    return np.asarray(perturbed_logits(logits, seed, indices, position, sampling).argmax(-1), np.int64)


def perturbed_logits(
    logits: Array, seed: int, indices: NDArray[np.int64], position: int, sampling: SamplingParams
) -> Array:
    """logits / temperature + Gumbel noise (stream 0, step = position), of which the sampled token is the argmax.

    −∞ for a token that top-k or top-p excludes. At temperature 0, the logits themselves.
    """
    if sampling.temperature < GREEDY_BELOW:
        return logits
    scaled = logits / np.float32(sampling.temperature)
    gumbel = philox.draw("gumbel", logits.shape[1:], seed, indices, stream=0, step=position)
    return np.where(scaled < _smallest_kept(scaled, sampling), np.float32(-np.inf), scaled + gumbel)


def _smallest_kept(scaled: Array, sampling: SamplingParams) -> Array:
    """The smallest scaled logit that top-k and top-p keep: (n, 1). Tokens with equal logits are kept together.

    It is the larger of two: that of the k-th most likely token, and that of the last token whose predecessors have a
    total probability below top_p, summed in float64.
    """
    classes = scaled.shape[-1]
    if sampling.top_k in (0, classes) and sampling.top_p == 1:
        return np.full((len(scaled), 1), -np.inf, np.float32)
    ranked = -np.sort(-scaled)  # descending
    kth = ranked[:, min(sampling.top_k or classes, classes) - 1, None]
    probabilities = np.exp(np.where(ranked < kth, -np.inf, ranked).astype(np.float64) - ranked[:, :1])
    probabilities /= probabilities.sum(-1, keepdims=True)
    nucleus = np.cumsum(probabilities, -1) - probabilities < sampling.top_p
    lowest: Array = np.where(nucleus, ranked, np.inf).min(-1, keepdims=True)
    return np.asarray(np.maximum(kth, lowest))
