"""Export of a task to an ONNX graph whose weights are in the release's safetensors file."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import torch
from numpy.typing import NDArray
from onnxscript import opset18
from torch import nn

from zoo.contract.specs import Spec
from zoo.core.errors import ExportError, one_line
from zoo.modules import tracing
from zoo.plugin import Task
from zoo.release import WEIGHTS
from zoo.release.graph_check import offsets
from zoo_export import standard
from zoo_export.translations import built_once

OPSET = 18  # widely supported
IR_VERSION = 10
RANDOM = (
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
)  # fmt: skip
INSIDE = 1024  # bytes: the largest tensor inside a graph file
RESERVED = "zoo."  # prefix, in the weights file, of constants that are not weights of the module


def trace(module: nn.Module, task: Task, name: str) -> onnx.ModelProto:
    """Trace a task to a graph with a dynamic batch size and embedded weights; raise :class:`ExportError` on failure."""
    examples = tuple(torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in task.inputs.values())
    batch = torch.export.Dim("batch")
    with tracing.quiet(name, module), built_once():
        program = torch.onnx.export(
            tracing.Call(module, task, name).eval(),
            examples,
            dynamo=True,
            optimize=False,
            external_data=False,
            opset_version=OPSET,
            input_names=list(task.inputs),
            output_names=list(task.outputs),
            dynamic_shapes=(tuple({0: batch} for _ in examples),),
            custom_translation_table={
                torch.ops.aten.log_sigmoid.default: _log_sigmoid,
                torch.ops.aten.logsumexp.default: _log_sum_exp,
            },
            verbose=False,
        )
    assert program is not None
    _check_random(name, program.model_proto)
    graph = standard.fold(program.model_proto)
    for node in graph.graph.node:
        node.name = f"{_layer_of(node) or name}/{node.op_type}"
    graph = clean(graph)
    for node in graph.graph.node:
        if node.domain not in ("", "ai.onnx"):
            operation = f"{node.domain}::{node.op_type}"
            raise ExportError(f"Task {name!r} uses the operation {operation}, which is not ONNX's own.")
    _check_form(name, "input", graph.graph.input, task.inputs, graph)
    _check_form(name, "output", graph.graph.output, task.outputs, graph)
    return graph


def _log_sigmoid(x: Any) -> Any:
    """−log(1 + exp(−x)). The exporter's own translation is the logarithm of a sigmoid, which is −∞ below −18."""
    return opset18.Neg(opset18.Softplus(opset18.Neg(x)))


def _log_sum_exp(x: Any, dim: Sequence[int], keepdim: bool = False) -> Any:
    """log Σ exp(x) over axes. ONNX Runtime's symbolic shape inference does not support the exporter's translation."""
    axes: Any = opset18.Constant(value_ints=[*dim])
    if len(dim) != 1:
        return opset18.ReduceLogSumExp(x, axes, keepdims=int(keepdim))
    one: Any = opset18.Constant(value_ints=[1])
    largest, _ = opset18.TopK(x, one, axis=dim[0])
    constants: list[Any] = [opset18.Constant(value_float=value) for value in (float("inf"), 0.0)]
    infinity, zero = (opset18.CastLike(constant, x) for constant in constants)
    shift = opset18.Where(opset18.Equal(opset18.Abs(largest), infinity), zero, largest)  # ∞ − ∞ is NaN
    total = opset18.ReduceSum(opset18.Exp(opset18.Sub(x, shift)), axes, keepdims=1)
    found = opset18.Add(opset18.Log(total), shift)
    return found if keepdim else opset18.Squeeze(found, axes)


def _check_random(name: str, graph: onnx.ModelProto) -> None:
    """Raise :class:`ExportError` for a layer that draws random numbers, which differ between runtimes."""
    for node in (*graph.graph.node, *(node for function in graph.functions for node in function.node)):
        if node.op_type in RANDOM and (node.op_type != "Dropout" or len(node.input) > 2):
            layer = _layer_of(node)
            raise tracing.drawn(name, node.op_type, repr(layer) if layer else "")


def _layer_of(node: onnx.NodeProto) -> str:
    """The layer from which the exporter made a node, such as ``encoder.0``; "" for the task's own operations."""
    scopes = {part.key.rpartition(".")[2]: part.value for part in node.metadata_props}.get("name_scopes", "[]")
    layers = [path for path in ast.literal_eval(scopes) if path.startswith("module.")]
    return layers[-1].removeprefix("module.") if layers else ""


def _check_form(name: str, side: str, values: Any, specs: Mapping[str, Spec], graph: onnx.ModelProto) -> None:
    """Raise :class:`ExportError` unless inputs or outputs are as declared, with one symbolic batch size."""
    if [value.name for value in values] != list(specs):
        raise ExportError(
            f"Task {name!r} declares the {side}s {list(specs)}; its graph has {[v.name for v in values]}."
        )
    batch = graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value, spec in zip(values, specs.values(), strict=True):
        tensor = value.type.tensor_type
        shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if not batch or shape != [batch, *spec.shape] or dtype != spec.dtype:
            declared = [batch or "batch", *spec.shape]
            if shape[1:] == [*spec.shape] and dtype == spec.dtype:
                raise ExportError(f"Task {name!r} does not export to ONNX: {tracing.FIXED}.")
            raise ExportError(
                f"Task {name!r}: {side} {value.name!r} is {dtype} {shape}; it is declared as {spec.dtype} {declared}."
            )


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove traces of the exporting machine (paths, stack traces, stale shapes) from a graph, and pin its versions.

    Constants and node names are brought into the form that every tool accepts: see :mod:`zoo_export.standard`.
    """
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "zoo", "", ""
    del model.metadata_props[:]
    standard.constants_as_initialisers(model.graph)
    standard.resize_to_sizes(model)
    standard.whole_shapes(model.graph)
    standard.name_nodes(model.graph)
    del model.graph.value_info[:]
    model.graph.name, model.graph.doc_string = "task", ""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def take_out(model: onnx.ModelProto, names: Mapping[str, str], constants: dict[str, NDArray[Any]]) -> list[str]:
    """Turn a graph's weights and large constants into external data; return their names in the weights file.

    `names` maps each name in the state dict to the name under which its tensor is stored (tied weights share one).
    Any other constant over ``INSIDE`` bytes, such as a mask, is added to `constants`. The references have no offsets
    until :func:`point` is called.
    """
    used = []
    for initialiser in model.graph.initializer:
        if initialiser.data_location == onnx.TensorProto.EXTERNAL:
            continue
        key = initialiser.name.removeprefix("module.")
        if key in names and key != initialiser.name:  # only the module's tensors have this prefix
            stored = names[key]
        else:
            value = onnx.numpy_helper.to_array(initialiser)
            if value.nbytes <= INSIDE:
                continue
            known = key if key.startswith(RESERVED) else ""
            stored = known or next((name for name, other in constants.items() if _identical(other, value)), "")
            stored = stored or f"{RESERVED}constant.{len(constants)}"
            constants[stored] = value
        _rename(model, initialiser.name, key)
        initialiser.ClearField("raw_data")
        for field in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            initialiser.ClearField(field)
        initialiser.data_location = onnx.TensorProto.EXTERNAL
        initialiser.external_data.add(key="location", value=stored)
        used.append(stored)
    return used


def _identical(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right)


def _rename(graph: onnx.ModelProto, old: str, new: str) -> None:
    """Rename an initialiser to its name in the state dict, unless another tensor of the graph has that name."""
    taken = {value.name for value in (*graph.graph.input, *graph.graph.output, *graph.graph.initializer)}
    taken.update(name for node in graph.graph.node for name in node.output)
    if new in taken:
        return
    for initialiser in graph.graph.initializer:
        if initialiser.name == old:
            initialiser.name = new
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def point(model: onnx.ModelProto, weights: Path) -> None:
    """Set the offset and length, in the weights file, of every reference of :func:`take_out`."""
    where = offsets(weights)
    for initialiser in model.graph.initializer:
        if initialiser.data_location == onnx.TensorProto.EXTERNAL:
            offset, length = where[initialiser.external_data[0].value]
            del initialiser.external_data[:]
            for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
                initialiser.external_data.add(key=key, value=str(value))


def write(path: Path, graph: onnx.ModelProto) -> None:
    """Write a graph next to its weights file, and run ONNX's full check on it."""
    path.write_bytes(graph.SerializeToString())
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ExportError(f"{path.name} is not valid ONNX: {one_line(error)[:300]}") from error
