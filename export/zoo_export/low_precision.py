"""Quantisation of a task's graph: float16 throughout, or 8-bit weights and matrix products.

Inputs and outputs keep their types. It uses ONNX Runtime's own tools, which know its kernels.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor
from onnxruntime import quantization
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers import float16
from onnxscript import optimizer

from zoo.core.errors import ExportError, one_line
from zoo.sampling.generation import MOST_ROWS
from zoo_export import onnx_graph

Array = NDArray[Any]

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""Operators that compute in 8 bits."""

STORED = {"ConvTranspose": (1, 1), "Gather": (0, 0)}
"""Operators with 8-bit weights that compute in float, since ONNX Runtime has no 8-bit kernel for them: the index of the
weights among the inputs, and the axis of the per-channel scales."""

ANGLES = ("Sin", "Cos")
"""Operators whose arguments stay in float32: in float16 a position of 3,000 has no fraction."""

NETWORK = (*PRODUCTS, "ConvTranspose", "Einsum", "GRU", "LSTM", "RNN")
"""Operators that gain by float16. What follows the last of them, such as the arithmetic of a sampler, stays in float32:
it is cheap, and takes differences of numbers that are nearly equal."""


def half(graph: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Convert a task's graph to float16, except the angles of positions and what follows the last network operator.

    Raises :class:`ExportError` on failure.
    """
    with _quiet(name, "fp16"):
        graph = onnx.shape_inference.infer_shapes(_simpler(graph))  # an extractor needs the type of each value
        inputs, outputs = ([value.name for value in side] for side in (graph.graph.input, graph.graph.output))
        angles = [node.output[0] for node in graph.graph.node if node.op_type in ANGLES]
        ends = _ends_of_network(graph.graph)
        part = Extractor(graph).extract_model([*inputs, *angles], ends)
        made = ONNXModel(float16.convert_float_to_float16(part, keep_io_types=True))
        if angles:
            _join(made, Extractor(graph).extract_model(inputs, angles).graph, "angle", {"", *inputs, *angles})
        rest = [output for output in outputs if output not in ends]
        if rest:
            graph.graph.value_info.extend(value for value in graph.graph.output if value.name in ends)
            _join(
                made, Extractor(graph).extract_model([*inputs, *ends], rest).graph, "end", {"", *inputs, *ends, *rest}
            )
        for own, whole in ((made.graph().input, graph.graph.input), (made.graph().output, graph.graph.output)):
            del own[:]
            own.extend(whole)
        made.topological_sort()
        return _finished(made.model)


def _ends_of_network(graph: onnx.GraphProto) -> list[str]:
    """The values that leave a graph's network: computed before its last operator of `NETWORK`, and used after it.

    For a graph without such an operator they are its outputs.
    """
    outputs = [value.name for value in graph.output]
    before: set[str] = set()  # values from which an operator of the network follows
    nodes = []
    for node in reversed(graph.node):
        if node.op_type in NETWORK or before.intersection(node.output):
            before.update(node.input)
            nodes.append(node)
    if not nodes:
        return outputs
    made = [name for node in reversed(nodes) for name in node.output]
    after = {*outputs}
    for node in graph.node:
        if not set(made).intersection(node.output):
            after.update(node.input)
    return [name for name in made if name in after]


def _join(made: ONNXModel, part: onnx.GraphProto, prefix: str, seams: set[str]) -> None:
    """Add a part that stays in float32; its names, but those of the values at its `seams`, get a prefix."""
    for node in part.node:
        for side in (node.input, node.output):
            side[:] = [name if name in seams else f"{prefix}.{name}" for name in side]
    for initialiser in part.initializer:
        initialiser.name = f"{prefix}.{initialiser.name}"
    made.add_nodes(part.node)
    made.initializer().extend(part.initializer)


def static(graph: onnx.ModelProto, name: str, feeds: Mapping[str, Array]) -> onnx.ModelProto:
    """Quantise a task's graph to 8 bits, with the ranges of activations calibrated on `feeds`.

    Activations are uint8 (Jacob et al. 2018, https://arxiv.org/abs/1712.05877). Weights are symmetric, with one scale
    per channel and 7 bits: then 16-bit sums overflow on no processor, and all processors compute the same.
    """
    with _quiet(name, "int8"), tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(_simpler(graph), before)
        quantization.quantize_static(
            before, after, _Reader(feeds), op_types_to_quantize=[*PRODUCTS], per_channel=True, reduce_range=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"], "MatMulConstBOnly": True},
        )  # fmt: skip
        return _finished(_stored(onnx.load(after)))


def dynamic(graph: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Quantise a task's matrix products to 8 bits, with the ranges of activations computed at run time."""
    with _quiet(name, "int8"), tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        simple = _simpler(graph)
        del simple.graph.value_info[:]  # the tool transposes a Gemm's weights, but not their recorded shapes
        onnx.save(simple, before)
        quantization.quantize_dynamic(
            before, after, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return _finished(_stored(onnx.load(after)))


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Yields the feeds in batches."""

    def __init__(self, feeds: Mapping[str, Array]) -> None:
        size = len(next(iter(feeds.values())))
        self._batches = (
            {key: array[start : start + MOST_ROWS] for key, array in feeds.items()}
            for start in range(0, size, MOST_ROWS)
        )

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


@contextmanager
def _quiet(name: str, kind: str) -> Iterator[None]:
    """Silence the tools' logs and warnings, and turn their errors into :class:`ExportError`."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise ExportError(
            f"Task {name!r} cannot be converted to {kind}: {one_line(error)[:300]}. Nothing was written."
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _simpler(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, and batch norms into the convolutions before them, before quantisation."""
    made: onnx.ModelProto = optimizer.optimize(graph)
    return made


def _finished(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Clean a graph, and drop opsets that it does not use."""
    graph = onnx_graph.clean(graph)
    used = {node.domain for node in graph.graph.node} | {""}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    return graph


def _stored(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights of `STORED` operators as int8 times a scale; a runtime dequantises them once, on loading."""
    weights = {initialiser.name: initialiser for initialiser in graph.graph.initializer}
    users: dict[str, list[tuple[str, int]]] = {}
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            users.setdefault(name, []).append((node.op_type, place))
    nodes = []
    for name, initialiser in weights.items():
        kinds = {STORED.get(kind, (-1, 0))[1] for kind, place in users[name] if STORED.get(kind, (-1, 0))[0] == place}
        if len(kinds) != 1 or initialiser.data_type != TensorProto.FLOAT or _small(initialiser):
            continue
        (axis,) = kinds
        value = numpy_helper.to_array(initialiser)
        others = tuple(place for place in range(value.ndim) if place != axis)
        scale = np.maximum(np.abs(value).max(others, keepdims=True), np.finfo(np.float32).tiny) / np.float32(127)
        graph.graph.initializer.remove(initialiser)
        graph.graph.initializer.append(numpy_helper.from_array(np.rint(value / scale).astype(np.int8), f"{name}.int8"))
        graph.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    own = [*graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *own])
    return graph


def _small(initialiser: onnx.TensorProto) -> bool:
    return bool(np.prod(initialiser.dims) * 4 <= onnx_graph.INSIDE)
