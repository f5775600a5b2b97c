"""The seeded noise of a release as ONNX nodes, bit-identical to that of zoo/core/philox.py in numpy.

ONNX Runtime multiplies and divides int64 but not uint64. So 32-bit words are stored in int64, and a product of two
words is computed in two halves that fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from zoo.core import philox
from zoo_export.nodes import Nodes, Value

TABLE = "zoo.normal"
"""The name, in the weights file, of the inverse normal's table."""

MASK = 0xFFFFFFFF
DOUBLE = onnx.TensorProto.DOUBLE
FLOAT = onnx.TensorProto.FLOAT


@dataclass(frozen=True)
class Seeded:
    """A seed and sample indices as tensors of a graph, by name."""

    nodes: Nodes
    keys: str
    """int64 (10, 2, 1, 1): the key words of each round."""
    index: str
    """int64 (n, 1)."""

    @classmethod
    def of(cls, nodes: Nodes, seed: str, first: str, count: str) -> Seeded:
        """Build from int64 scalars; a seed of 2⁶³ or more is the negative number with the same bits."""
        n = nodes.within("seed")
        low = n.BitwiseAnd(seed, MASK)
        high = n.BitwiseAnd(n.Div(n.Sub(seed, low), 2**32), MASK)
        words = n.Reshape(n.Concat(*(n.Reshape(word, [1]) for word in (low, high)), axis=0), [1, 2, 1, 1])
        keys = n.BitwiseAnd(n.Add(words, philox.STEPS[..., None].astype(np.int64)), MASK)
        index = n.Add(n.Range(0, count, 1), first)
        return cls(nodes, keys, n.Reshape(index, [-1, 1]))

    def draw(
        self, distribution: Literal["normal", "uniform", "gumbel"], shape: tuple[int, ...], stream: int, step: Value = 0
    ) -> str:
        """Noise as of :func:`zoo.core.philox.draw`, float32 (n, *shape); `step` is a scalar."""
        n, count = self.nodes.within(f"noise.{stream}"), math.prod(shape)
        words = n.Slice(self._words(n, stream, step, -(-count // 4)), [0], [count], [1])
        if distribution == "normal":
            drawn = n.Gather(TABLE, n.Div(words, 2**16))
        elif distribution == "uniform":
            drawn = n.Mul(n.Cast(n.Div(words, 2**8), to=FLOAT), 2.0**-24)
        else:
            middle = n.Add(n.Cast(n.Div(words, 2**8), to=DOUBLE), np.float64(0.5))
            drawn = n.Cast(n.Neg(n.Log(n.Neg(n.Log(n.Mul(middle, np.float64(2.0**-24)))))), to=FLOAT)
        return str(n.Reshape(drawn, [-1, *shape]))

    def _words(self, n: Nodes, stream: int, step: Value, blocks: int) -> str:
        """Philox4x32-10 (Salmon et al. 2011): int64 (n, 4 · blocks), each below 2³²."""
        size = n.Concat(n.batch(self.index), [blocks], axis=0)
        index, steps = (n.Unsqueeze(n.Expand(part, size), [0]) for part in (self.index, step))
        ends = np.stack(np.broadcast_arrays(np.int64(stream), np.arange(blocks))).reshape(2, 1, blocks)
        multiplied, added = n.Concat(index, steps, axis=0), n.Expand(ends, n.Concat([2], size, axis=0))
        factors = philox.MULTIPLY.astype(np.int64).reshape(2, 1, 1)
        for number in range(philox.ROUNDS):  # (c0, c2) and (c1, c3), each (2, n, blocks)
            upper, lower = n.Mul(multiplied, factors >> 16), n.Mul(multiplied, factors & 0xFFFF)
            high = n.Div(n.Add(upper, n.Div(lower, 2**16)), 2**16)
            low = n.BitwiseAnd(n.Add(n.Mul(n.BitwiseAnd(upper, 0xFFFF), 2**16), lower), MASK)
            key = n.Gather(self.keys, number)
            multiplied = n.BitwiseXor(n.BitwiseXor(n.Gather(high, [1, 0]), added), key)
            added = n.Gather(low, [1, 0])
        words = n.Concat(n.Unsqueeze(multiplied, [1]), n.Unsqueeze(added, [1]), axis=1)  # (2, 2, n, blocks)
        return str(n.Reshape(n.Transpose(words, perm=[2, 3, 0, 1]), [0, 4 * blocks]))
