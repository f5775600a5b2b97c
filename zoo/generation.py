"""Runs a generation on any backend: draws the noise, calls the task, gives the samples of (seed, index)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import noise
from zoo.convert import from_batch, join, text_to_ids, to_batch
from zoo.errors import SettingError
from zoo.specs import Autoregressive, Generation, Label, Noise, OneShot, Sample, Spec, Text

Array = NDArray[Any]
Run = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
"""Runs a task, by name, on named batches, and returns named batches."""

MARGIN = 1e-4
"""Where the best two scores are closer than this, rounding may choose the token."""

COLD = 1e-6
"""Temperatures below this are 0."""

MOST_ROWS = 64
"""The largest batch that is run at once; a larger one gains nothing."""

MOST_ELEMENTS = 20_000_000
"""Numbers that a task's inputs and outputs may have at once, of all samples together: 80 MB of float32."""


def rows(inputs: Mapping[str, Spec], outputs: Mapping[str, Spec]) -> int:
    """How many samples a task is run on at once, so that they fit in memory. It changes no sample."""
    size = sum(math.prod(spec.shape) for spec in (*inputs.values(), *outputs.values()))
    return max(1, min(MOST_ROWS, MOST_ELEMENTS // size))


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
        if not (isinstance(self.temperature, (int, float)) and 0 <= self.temperature < float("inf")):
            raise SettingError(f"temperature = {self.temperature} is out of range: it must be at least 0.")
        if type(self.top_k) is not int or not 0 <= self.top_k < 2**31:
            raise SettingError(f"top_k = {self.top_k} is out of range: it must be an integer of at least 0 (0: all).")
        if not (isinstance(self.top_p, (int, float)) and 0 < self.top_p <= 1):
            raise SettingError(f"top_p = {self.top_p} is out of range: it must be above 0 and at most 1 (1: all).")


ALL = Picking()


def generate(
    run: Run,
    generation: Generation,
    inputs: Mapping[str, Spec],
    outputs: Mapping[str, Spec],
    sample: Sample,
    *,
    n: int,
    seed: int,
    first: int = 0,
    label: int | Sequence[int] | None = None,
    prompt: str = "",
    length: int | None = None,
    picking: Picking = ALL,
) -> Any:
    """The samples `first` … `first` + `n` − 1 of a seed, as people want them (see :func:`zoo.convert.from_batch`).

    `inputs` and `outputs` are the specs of the generation's task. Raises :class:`SettingError` for an option that
    the model cannot follow.
    """
    noise.check_seed(seed, first, n)
    indices = np.arange(first, first + n, dtype=np.int64)
    size = rows(inputs, outputs)
    labelled = any(isinstance(spec, Label) and name != "token" for name, spec in inputs.items())
    if label is not None and not labelled:
        raise SettingError(f"label = {label!r}: this model has no labels; leave the label out.")
    if isinstance(generation, OneShot):
        if prompt or length is not None or picking != ALL:
            raise SettingError(
                "Prompt, length, temperature, top_k and top_p are for autoregressive models; this one is not."
            )
        batches = (
            one_shot(
                run, generation, inputs, outputs, indices[start : start + size], seed, _part(label, start, n, size)
            )
            for start in range(0, n, size)
        )
        return join([from_batch(batch, next(iter(outputs.values()))) for batch in batches])
    assert isinstance(sample.x, Text)
    if not isinstance(prompt, str):
        raise SettingError(f"prompt = {prompt!r} is not text.")
    if length is not None and not (isinstance(length, int) and length >= 1):
        raise SettingError(f"length = {length} is out of range: it must be at least 1.")
    given = text_to_ids(prompt, sample.x)
    total = len(given) + (length if length is not None else sample.x.length)
    tokens = [
        autoregress(run, generation, inputs, indices[start : start + size], seed, given, total, picking)
        for start in range(0, n, size)
    ]
    return from_batch(np.concatenate(tokens), sample.x)


def _part(label: int | Sequence[int] | None, start: int, n: int, size: int) -> int | Sequence[int] | None:
    """The labels of one chunk."""
    if label is None or isinstance(label, (int, np.integer)):
        return label
    if isinstance(label, (str, float)) or not hasattr(label, "__len__"):
        raise SettingError(f"label = {label!r} is not an integer, nor a list of them.")
    if len(label) != n:
        raise SettingError(f"There are {len(label)} labels for {n} samples: give one, or one a sample.")
    return label[start : start + size]


def labels_for(spec: Label, indices: NDArray[np.int64], label: int | Sequence[int] | None) -> Array:
    """The label of each sample: what was asked for, or index % classes."""
    if label is None:
        return indices % spec.classes
    if isinstance(label, (int, np.integer)):
        label = [int(label)] * len(indices)
    return to_batch(np.asarray(label), spec, "label")


def one_shot(
    run: Run,
    generation: OneShot,
    inputs: Mapping[str, Spec],
    outputs: Mapping[str, Spec],
    indices: NDArray[np.int64],
    seed: int,
    label: int | Sequence[int] | None,
) -> Array:
    """The samples at `indices`, as the task gives them: the k-th noise is stream k."""
    feeds: dict[str, Array] = {}
    stream = 0
    for name, spec in inputs.items():
        if isinstance(spec, Noise):
            feeds[name] = noise.draw(spec.distribution, spec.shape, seed, indices, stream)
            stream += 1
        elif isinstance(spec, Label):
            feeds[name] = labels_for(spec, indices, label)
    return run(generation.task, feeds)[next(iter(outputs))]


def states(inputs: Mapping[str, Spec], count: int) -> dict[str, Array]:
    """The first states of an autoregressive task: zeros for every input but ``token``."""
    return {name: np.zeros((count, *spec.shape), spec.dtype) for name, spec in inputs.items() if name != "token"}


def autoregress(
    run: Run,
    generation: Autoregressive,
    inputs: Mapping[str, Spec],
    indices: NDArray[np.int64],
    seed: int,
    prompt: NDArray[np.int64],
    total: int,
    picking: Picking,
) -> NDArray[np.int64]:
    """Token by token: int64 (n, total), of which the first tokens are the prompt."""
    count = len(indices)
    tokens = np.zeros((count, total), np.int64)
    state = states(inputs, count)
    token = np.zeros(count, np.int64)  # token 0 starts every sequence
    for position in range(total):
        outputs = run(generation.task, {"token": token, **state})
        state = {name: outputs[f"next_{name}"] for name in state}
        if position < len(prompt):
            token = np.full(count, prompt[position], np.int64)
        else:
            token = pick(outputs["logits"], seed, indices, position, picking)
        tokens[:, position] = token
    return tokens


def follows(
    run: Run,
    generation: Autoregressive,
    inputs: Mapping[str, Spec],
    tokens: NDArray[np.int64],
    indices: NDArray[np.int64],
    seed: int,
    given: int,
    picking: Picking,
) -> bool:
    """Whether each of the tokens (n, total), but for the first that were given, is picked after those before it.

    One whose score is within ``MARGIN`` of the best is as good.
    """
    state = states(inputs, len(indices))
    token = np.zeros(len(indices), np.int64)
    for position, picked in enumerate(tokens.T):
        outputs = run(generation.task, {"token": token, **state})
        state = {name: outputs[f"next_{name}"] for name in state}
        found = scores(outputs["logits"], seed, indices, position, picking)
        behind = found.max(-1) - np.take_along_axis(found, picked[:, None], -1)[:, 0]
        if position >= given and (behind > MARGIN).any():
            return False
        token = picked
    return True


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
    gumbel = noise.draw("gumbel", logits.shape[1:], seed, indices, stream=0, step=position)
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
