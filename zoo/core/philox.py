"""Seeded noise as a pure function of (seed, sample index, stream, step): part of the release format.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
https://doi.org/10.1145/2063384.2063405). Its key is the 64-bit seed, low word first; its counter is
(sample index, stream, step, block). Block b gives the four 32-bit words of the elements 4b … 4b + 3.
So sample i of a seed does not depend on the batch or on the runtime.

    uniform in [0, 1)   (word >> 8) · 2⁻²⁴, exact in float32
    normal              TABLE[word >> 16], TABLE[k] = Φ⁻¹((k + ½) / 65536) as float32: |value| ≤ 4.33
    Gumbel              −ln(−ln(((word >> 8) + ½) · 2⁻²⁴)), computed in float64, as float32
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.core.arguments import is_integer
from zoo.core.errors import SettingError

Distribution = Literal["normal", "uniform", "gumbel"]

MULTIPLY = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)  # Salmon et al. 2011, the constants of Philox4x32
WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
ROUNDS = 10
STEPS = np.arange(ROUNDS, dtype=np.uint64)[:, None, None] * WEYL
"""The increments of the two key words in each round: (10, 2, 1)."""


def philox(seed: int, counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Apply Philox4x32-10 to m counters of four words, uint32 (4, m), and return uint32 (m, 4)."""
    even, odd = counters[::2], counters[1::2]
    # Two buffers, because this round still reads the low halves of the previous round's products. With few counters the
    # overhead of numpy calls dominates, so views are made once and results are written into existing arrays.
    products = np.empty((2, *even.shape), np.uint64)
    halves = products.view(np.uint32)[:, ::-1]  # low and high half of each product, of words 0 and 2
    turns = tuple(zip(products, halves[..., 1::2], halves[..., ::2], strict=True))
    mixed = np.empty(even.shape, np.uint32)
    for number, key in enumerate(_keys(seed)):
        product, high, low = turns[number % 2]
        np.multiply(even, MULTIPLY, out=product)
        even = np.bitwise_xor(high, odd, out=mixed)
        even ^= key
        odd = low
    found = np.empty((even.shape[1], 2, 2), np.uint32)
    found[:, :, 0], found[:, :, 1] = even.T, odd.T
    return found.reshape(-1, 4)


@lru_cache(maxsize=64)
def _keys(seed: int) -> tuple[NDArray[np.uint32], ...]:
    """Return the two key words of each round, uint32 (2, 1) each."""
    return tuple((np.array([[seed & 0xFFFFFFFF], [seed >> 32]], np.uint64) + STEPS).astype(np.uint32))


def words(
    seed: int, indices: NDArray[np.int64], stream: int, step: int, counts: Sequence[int]
) -> list[NDArray[np.uint32]]:
    """Return random 32-bit words for n sample indices: for each k, uint32 (n, counts[k]) from the stream + k."""
    streams, blocks, places = _layout(stream, tuple(counts))
    counters = np.empty((4, len(indices), len(streams)), np.uint32)
    counters[0], counters[1], counters[2], counters[3] = indices[:, None], streams, step, blocks
    found = philox(seed, counters.reshape(4, -1)).reshape(len(indices), -1)
    return [found[:, place] for place in places]


@lru_cache(maxsize=16)
def _layout(stream: int, counts: tuple[int, ...]) -> tuple[NDArray[np.uint32], NDArray[np.uint32], tuple[slice, ...]]:
    """Return the stream and the block of each counter of a sample, and the slice of words of each stream."""
    blocks = [np.arange(-(-count // 4), dtype=np.uint32) for count in counts]
    streams = [np.full(len(own), stream + k, np.uint32) for k, own in enumerate(blocks)]
    starts = [0, *itertools.accumulate(4 * len(own) for own in blocks)]
    places = tuple(slice(start, start + count) for start, count in zip(starts, counts, strict=False))
    return np.concatenate(streams), np.concatenate(blocks), places


def draw(
    distribution: Distribution,
    shape: tuple[int, ...],
    seed: int,
    indices: NDArray[np.int64],
    stream: int = 0,
    step: int = 0,
) -> NDArray[np.float32]:
    """Return noise for the samples `indices` of a seed: float32 (n, *shape)."""
    return draws([(distribution, shape)], seed, indices, stream, step)[0]


def draws(
    kinds: Sequence[tuple[Distribution, tuple[int, ...]]],
    seed: int,
    indices: NDArray[np.int64],
    stream: int = 0,
    step: int = 0,
) -> list[NDArray[np.float32]]:
    """Return several noise arrays, the k-th from `stream` + k: float32 (n, *shape) for each distribution and shape."""
    random = words(seed, indices, stream, step, [math.prod(shape) for _, shape in kinds])
    return [
        _of_words(distribution, found).reshape(len(indices), *shape)
        for (distribution, shape), found in zip(kinds, random, strict=True)
    ]


def _of_words(distribution: Distribution, random: NDArray[np.uint32]) -> NDArray[np.float32]:
    noise: NDArray[np.float32]
    if distribution == "normal":
        noise = normal_table().take(random >> np.uint32(16))
    elif distribution == "uniform":
        noise = (random >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    else:
        middle = ((random >> np.uint32(8)).astype(np.float64) + 0.5) * 2.0**-24
        noise = (-np.log(-np.log(middle))).astype(np.float32)
    return noise


@cache
def normal_table() -> NDArray[np.float32]:
    """Return the inverse normal CDF at the midpoints of 65,536 equal intervals of [0, 1]: float32 (65536,)."""
    inverse = NormalDist().inv_cdf
    half = np.array([inverse((k + 0.5) / 65536) for k in range(32768)], np.float32)
    return np.concatenate([half, -half[::-1]])


def checked(seed: int, first: int, n: int) -> tuple[int, int, int]:
    """Return the arguments as Python integers. Raises :class:`SettingError` unless the seed fits in 64 bits and the
    sample indices in 32 bits."""
    for name, value in (("seed", seed), ("first", first), ("n", n)):
        if not is_integer(value):
            raise SettingError(f"{name} = {value!r} is not an integer.")
    seed, first, n = int(seed), int(first), int(n)
    if not 0 <= seed < 2**64:
        raise SettingError(f"seed = {seed} is out of range: it must be from 0 to 2**64 - 1.")
    if n < 1 or first < 0 or first + n > 2**32:
        raise SettingError(
            f"n = {n} samples from index {first} is out of range: n must be at least 1, indices below 2**32."
        )
    return seed, first, n
