"""A builder of ONNX nodes, for the computations around a task's own graph."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from zoo_export.standard import free

Value = str | int | float | NDArray[Any]
"""The name of a tensor, or a constant: int is int64, float is float32."""


class Nodes:
    """Collects nodes and small constants: ``nodes.Add(a, b)`` adds a node and returns the name of a + b.

    Every name starts with the prefix, which no name in a task's graph has. Nodes added :meth:`within` a part have its
    name as a prefix, such as ``zoo.body.pick/Softmax``.
    """

    def __init__(self, prefix: str = "zoo.") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._part = ""
        self._names: set[str] = set()

    def within(self, part: str) -> Nodes:
        """A view of the same graph that names new nodes after `part`, a part of the computation."""
        view = copy(self)  # shares the lists
        view._part = f"{part}/"
        return view

    def __getattr__(self, kind: str) -> Any:
        if not kind[:1].isupper():
            raise AttributeError(kind)

        def add(*inputs: Value, into: str = "", outputs: int = 1, **attributes: Any) -> Any:
            """Add a node and return the name of its output (`into` if given), or the names of several outputs."""
            names = [into or f"{self._prefix}{len(self.nodes)}.{number}" for number in range(outputs)]
            name = free(f"{self._prefix}{self._part}{kind}", self._names)
            self.nodes.append(onnx.helper.make_node(kind, [*map(self.name, inputs)], names, name, **attributes))
            return names[0] if outputs == 1 else names

        return add

    def batch(self, x: Value) -> str:
        """The batch size of `x`, int64 (1,)."""
        return str(self.Gather(self.Shape(x), np.array([0])))

    def name(self, value: Value) -> str:
        """The name of a tensor; equal constants are added once."""
        if isinstance(value, str):
            return value
        array = np.asarray(value, {int: np.int64, float: np.float32}.get(type(value)))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"{self._prefix}c{len(self._constants)}"
            self.initialisers.append(onnx.numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]
