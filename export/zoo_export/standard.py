"""The forms that every tool for ONNX takes: a constant is an initialiser, and every node has a name of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, numpy_helper


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside a node, such as the body of a Loop."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def constants_as_initialisers(graph: GraphProto) -> None:
    """Make each Constant node an initialiser of its graph, and equal ones the same.

    ONNX Runtime's symbolic shape inference fails on a Constant with numbers as attributes (`value_ints`, …), and
    onnxslim reads its floats as float64.
    """
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    rest = []
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        tensor = _constant(node)
        if tensor is None:
            rest.append(node)
            continue
        content, name = tensor.SerializeToString(), node.output[0]
        if content in first and name not in outputs:
            same[name] = first[content]
            continue
        first.setdefault(content, name)
        tensor.name = name
        graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(rest)
    rename_inputs(graph, same)
    for node in graph.node:
        for body in bodies(node):
            constants_as_initialisers(body)


def rename_inputs(graph: GraphProto, names: dict[str, str]) -> None:
    """Give what nodes read, also those in bodies, other names."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in bodies(node):
            rename_inputs(body, names)


def _constant(node: NodeProto) -> TensorProto | None:
    """The tensor of a Constant node, without a name; None for any other node, and for a sparse tensor."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    (attribute,) = node.attribute
    if attribute.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(attribute.t)
        tensor.name = tensor.doc_string = ""
        return tensor
    types = {"float": np.float32, "int": np.int64, "string": np.object_}
    kind = attribute.name.removeprefix("value_").removesuffix("s")
    if kind not in types:
        return None
    return numpy_helper.from_array(np.array(onnx.helper.get_attribute_value(attribute), types[kind]))


def name_nodes(graph: GraphProto, taken: set[str] | None = None) -> None:
    """Give each node, also those in bodies, a name that no other has: its own, or that of its operation, numbered."""
    taken = set() if taken is None else taken
    for node in graph.node:
        node.name = free(node.name or node.op_type, taken)
        for body in bodies(node):
            name_nodes(body, taken)


def free(name: str, taken: set[str]) -> str:
    """The name, numbered where it is taken, which it is from now on."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    taken.add(found)
    return found
