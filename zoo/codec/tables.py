"""The tables of a codec: integer frequencies, checked, and chosen by the symbols that are already coded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.codec import rans
from zoo.contract.codec import TOTAL, Codec
from zoo.contract.specs import Label

Array = NDArray[Any]

BLOCK = 2**18
"""Symbols that are looked up at once."""


def problem(frequencies: Array, codec: Codec, symbols: Label) -> str:
    """Return why `frequencies` are no tables of this codec, as the end of a sentence; ``""`` if they are."""
    shape, wanted = frequencies.shape, codec.shape(symbols)
    if frequencies.dtype not in (np.int32, np.int64):
        return f"are {frequencies.dtype}, and must be int32 or int64"
    fits = len(shape) <= len(wanted) and all(
        size in (1, whole) for size, whole in zip(reversed(shape), reversed(wanted), strict=False)
    )
    if not fits or shape[-1:] != wanted[-1:]:
        each = "one axis of K for each offset of the context, the grid of symbols, and K symbols"
        return f"have the shape {shape}, which does not broadcast against {wanted}: {each}"
    for value in (int(frequencies.min()), int(frequencies.max())):
        if not 1 <= value <= TOTAL:
            return f"have the frequency {value}, and each must be from 1 to {TOTAL}"
    sums = frequencies.reshape(-1, symbols.classes).sum(1, dtype=np.int64)
    if (wrong := np.flatnonzero(sums != TOTAL)).size:
        where = [int(at) for at in np.unravel_index(wrong[0], shape[:-1])] if len(shape) > 1 else []
        return f"have the sum {sums[wrong[0]]} in row {where}, and each row must sum to {TOTAL}"
    return ""


class Tables:
    """The tables of a codec, and how the symbols of a sample are coded by them."""

    def __init__(self, frequencies: Array, codec: Codec, symbols: Label) -> None:
        self.symbols = symbols
        wanted, count = codec.shape(symbols), math.prod(symbols.shape)
        shape = (*[1] * (len(wanted) - frequencies.ndim), *frequencies.shape)
        edges = np.zeros((math.prod(shape[:-1]), symbols.classes + 1), np.uint32)
        np.cumsum(frequencies.reshape(-1, symbols.classes), axis=1, dtype=np.uint32, out=edges[:, 1:])
        self._edges = edges
        strides = [0 if size == 1 else math.prod(shape[axis + 1 : -1]) for axis, size in enumerate(shape[:-1])]
        used, places = len(codec.context), np.indices(symbols.shape).reshape(len(symbols.shape), count)
        self._strides = strides[:used]
        self._base = np.zeros(count, np.int64)
        for stride, place in zip(strides[used:], places, strict=True):
            self._base += stride * place
        self._neighbours = [neighbours(symbols.shape, offset) for offset in codec.context]

    def encode(self, symbols: Array) -> bytes:
        """The payload of symbols, int64 (n, *shape) in [0, K)."""
        flat = symbols.reshape(len(symbols), -1)
        encoder, block = rans.Encoder(), max(1, BLOCK // flat.shape[1])
        for end in range(len(flat), 0, -block):
            part = flat[max(end - block, 0) : end]
            rows = np.broadcast_to(self._base, part.shape).copy()
            for stride, places in zip(self._strides, self._neighbours, strict=True):
                rows += stride * _at(part, places)
            starts = self._edges[rows, part]
            sizes = self._edges[rows, part + 1] - starts
            encoder.write(starts.ravel().tolist(), sizes.ravel().tolist())
        return encoder.payload()

    def decode(self, payload: bytes, count: int, progress: Callable[[int, int], None] | None = None) -> Array:
        """The symbols of `count` samples, int64 (count, *shape). Raises :class:`zoo.codec.rans.Exhausted`.

        Memory grows with what is read, whatever `count` is. `progress` is called with the samples that are done, and
        with `count`.
        """
        decoder, width = rans.Decoder(payload), self.symbols.classes + 1
        edges: Any = memoryview(self._edges.reshape(-1).data)  # its items are int, and it is not copied
        base: list[int] = (self._base * width).tolist()
        steps = [stride * width for stride in self._strides]
        earlier = list(zip(*(places.tolist() for places in self._neighbours), strict=True)) or [()] * len(base)
        samples = []
        for index in range(count):
            seen = [0] * (len(base) + 1)  # the last one is what is outside the grid
            for place, low in enumerate(base):
                for step, other in zip(steps, earlier[place], strict=True):
                    low += step * seen[other]
                seen[place] = decoder.read(edges, low, low + width - 1)
            samples.append(np.array(seen[:-1], np.int32))
            if progress is not None:
                progress(index + 1, count)
        decoder.end()
        return np.stack(samples).astype(np.int64).reshape(count, *self.symbols.shape)


def neighbours(shape: tuple[int, ...], offset: tuple[int, ...]) -> NDArray[np.int64]:
    """For each place of a grid in row-major order, the place at an offset from it; the size of the grid if outside."""
    count = math.prod(shape)
    inside, other = np.ones(count, bool), np.zeros(count, np.int64)
    for size, step, place in zip(shape, offset, np.indices(shape).reshape(len(shape), count), strict=True):
        moved = place + max(min(step, size), -size)  # a larger step leads outside too
        inside &= (moved >= 0) & (moved < size)
        other = other * size + moved
    return np.where(inside, other, count)


def context_rows(symbols: Array, context: Sequence[tuple[int, ...]]) -> list[Array]:
    """The symbols at each offset from every symbol, 0 outside the grid: arrays of the shape of `symbols`, (n, …)."""
    flat = symbols.reshape(len(symbols), -1)
    return [_at(flat, neighbours(symbols.shape[1:], offset)).reshape(symbols.shape) for offset in context]


def _at(flat: Array, places: NDArray[np.int64]) -> Array:
    """Symbols, (n, size), at places of the grid; 0 at the place `size`."""
    return np.concatenate([flat, np.zeros_like(flat[:, :1])], axis=1)[:, places]
