"""Range asymmetric numeral systems: Duda 2013, section 3, https://arxiv.org/abs/1311.2540.

A symbol with the frequency f of 2**16, behind symbols whose frequencies sum to c, takes the state x to
⌊x / f⌋ · 2**16 + c + x mod f. The state stays in [2**32, 2**48): before a symbol its low 16 bits are moved to the
payload when it would leave the range. Everything is integers, so the payload is the same on every machine. The encoder
goes from the last symbol to the first, and the decoder from the first to the last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

PRECISION = 16
LOW = 2**32
"""The state before the first symbol that is encoded, and after the last one that is decoded."""
STATE = 6
"""Bytes of the state at the start of a payload; 16-bit words follow. All are little-endian."""
_MASK = 2**PRECISION - 1


class Exhausted(ValueError):
    """A payload is none of an encoder: it ends before its last symbol, or after it."""


class Encoder:
    """Writes symbols, the last one first."""

    def __init__(self) -> None:
        self._state = LOW
        self._words: list[int] = []

    def write(self, starts: Sequence[int], frequencies: Sequence[int]) -> None:
        """Code a run of symbols, from the last to the first, before those that are already written.

        A symbol is the start and the size of its interval in [0, 2**16).
        """
        state, words = self._state, self._words
        for start, frequency in zip(reversed(starts), reversed(frequencies), strict=True):
            if state >= frequency << 32:
                words.append(state & _MASK)
                state >>= PRECISION
            quotient, rest = divmod(state, frequency)
            state = (quotient << PRECISION) + rest + start
        self._state = state

    def payload(self) -> bytes:
        """The payload of all symbols that were written."""
        return self._state.to_bytes(STATE, "little") + np.array(self._words[::-1], "<u2").tobytes()


class Decoder:
    """Reads symbols from a payload. Raises :class:`Exhausted` for a payload that no encoder wrote."""

    def __init__(self, payload: bytes) -> None:
        if len(payload) < STATE or len(payload) % 2:
            raise Exhausted
        self._state = int.from_bytes(payload[:STATE], "little")
        if self._state < LOW:
            raise Exhausted
        self._words: list[int] = np.frombuffer(payload, "<u2", offset=STATE).tolist()
        self._at = 0

    def read(self, edges: Sequence[int], low: int, high: int) -> int:
        """The next symbol: ``edges[low:high]`` are the starts of the possible intervals; ``edges[high]`` is 2**16."""
        slot = self._state & _MASK
        place = bisect_right(edges, slot, low, high) - 1
        start = edges[place]
        state = (edges[place + 1] - start) * (self._state >> PRECISION) + slot - start
        if state < LOW:
            if self._at >= len(self._words):
                raise Exhausted
            state = state << PRECISION | self._words[self._at]
            self._at += 1
        self._state = state
        return place - low

    def end(self) -> None:
        """Raise :class:`Exhausted` unless the payload ends here."""
        if self._at != len(self._words) or self._state != LOW:
            raise Exhausted
