"""Normal forms that every ONNX tool accepts: constants are initialisers, and every node has a unique name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, numpy_helper
from onnxscript import optimizer

MOST = 128
"""The maximum number of elements of a folded constant."""


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold computations of shapes and small constants, but not those of weights.

    The exporter computes the zero bias of a convolution from the shape of its weight. ONNX Runtime folds this when it
    loads a graph, but other tools do not, and then cannot infer shapes or fuse nodes. Lists of tensors become plain
    tensors, and a CastLike becomes a Cast.
    """
    made = ir.serde.deserialize_model(model)
    weights = set(made.graph.initializers)

    def small(node: ir.Node) -> bool | None:
        of_weight = any(value is not None and value.name in weights for value in node.inputs)
        return False if of_weight and node.op_type != "Shape" else None

    for _ in range(2):  # the first pass simplifies nodes, such as Split, whose shapes the second pass folds
        optimizer.fold_constants(
            made, onnx_shape_inference=True, input_size_limit=MOST, output_size_limit=MOST, should_fold=small
        )
    optimizer.remove_unused_nodes(made)
    return ir.serde.serialize_model(made)


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The subgraphs of a node, such as the body of a Loop."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def constants_as_initialisers(graph: GraphProto) -> None:
    """Turn each Constant node into an initialiser of its graph, and merge equal ones.

    ONNX Runtime's symbolic shape inference fails on a Constant with numeric attributes (`value_ints`, …), and onnxslim
    reads its floats as float64.
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
    """Rename the inputs of nodes, including those in subgraphs."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in bodies(node):
            rename_inputs(body, names)


def _constant(node: NodeProto) -> TensorProto | None:
    """The unnamed tensor of a Constant node; None for any other node, and for a sparse tensor."""
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


def resize_to_sizes(model: onnx.ModelProto) -> None:
    """Replace the constant scales of each Resize by output sizes, if these are whole numbers.

    ONNX Runtime's symbolic shape inference does not recognise a batch size times 1.0.
    """
    if not any(node.op_type == "Resize" for node in model.graph.node):
        return
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    nodes = []
    for node in model.graph.node:
        scales = constants.get(node.input[2]) if node.op_type == "Resize" and len(node.input) == 3 else None
        if scales is not None and (x := node.input[0]) in shapes:
            batch_scale, *others = numpy_helper.to_array(scales).tolist()
            sizes = np.multiply(shapes[x][1:], others)
            if batch_scale == 1 and sizes.all() and (sizes == np.rint(sizes)).all():
                batch, known, whole = (f"{node.output[0]}.{part}" for part in ("batch", "known", "sizes"))
                model.graph.initializer.append(numpy_helper.from_array(sizes.astype(np.int64), known))
                layer = node.name.rpartition("/")[0]
                nodes.append(onnx.helper.make_node("Shape", [x], [batch], f"{layer}/Shape", end=1))
                nodes.append(onnx.helper.make_node("Concat", [batch, known], [whole], f"{layer}/Concat", axis=0))
                node.input[:] = [x, "", "", whole]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model.graph)


def whole_shapes(graph: GraphProto) -> None:
    """Replace each Shape with `start` or `end` (opset 15 and later) by a full Shape and a Gather or Slice.

    ONNX Runtime's symbolic shape inference does not support these attributes before version 1.31.
    """
    nodes: list[NodeProto] = []
    for node in graph.node:
        for body in bodies(node):
            whole_shapes(body)
        limits = {attribute.name: attribute.i for attribute in node.attribute} if node.op_type == "Shape" else {}
        nodes.append(node)
        if not limits:
            continue
        del node.attribute[:]
        if "end" not in limits and not limits.get("start"):
            continue
        (part,), layer = node.output, node.name.rpartition("/")[0]
        start, end = limits.get("start", 0), limits.get("end", np.iinfo(np.int64).max)
        kind, places = ("Gather", [start]) if end == start + 1 != 0 else ("Slice", [start, end])
        names = [f"{part}.{number}" for number in range(len(places))]
        for name, place in zip(names, places, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array([place], np.int64), name))
        node.output[0] = f"{part}.whole"
        nodes.append(onnx.helper.make_node(kind, [node.output[0], *names], [part], f"{layer}/{kind}".lstrip("/")))
    del graph.node[:]
    graph.node.extend(nodes)


def drop_unused(graph: GraphProto) -> None:
    """Drop unused initialisers."""
    read = {value.name for value in graph.output} | set(_read(graph))
    used = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(used)


def _read(graph: GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from node.input
        for body in bodies(node):
            yield from _read(body)


def name_nodes(graph: GraphProto, taken: set[str] | None = None) -> None:
    """Give each node, including those in subgraphs, a unique name: its own or its operator's, numbered if needed."""
    taken = set() if taken is None else taken
    for node in graph.node:
        node.name = free(node.name or node.op_type, taken)
        for body in bodies(node):
            name_nodes(body, taken)


def free(name: str, taken: set[str]) -> str:
    """A unique name, numbered if `name` is taken; it is added to `taken`."""
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}.{number}"
    taken.add(unique)
    return unique
