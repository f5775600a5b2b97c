"""Each task is traced once in a process: another module of the same form gets the same graph, with its own weights.

Tracing is most of what a small release takes. What is released is still proven against torch, each time.
"""

from __future__ import annotations

import hashlib
from typing import Any

import onnx
from torch import Tensor, nn

from zoo.plugin import Task
from zoo_export import onnx_graph

trace = onnx_graph.trace


class Once:
    """What stands in for `trace`."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[Any, ...], onnx.ModelProto] = {}

    def __call__(self, module: nn.Module, task: Task, name: str) -> onnx.ModelProto:
        form = _form(module, task, name)
        if form not in self._graphs:
            self._graphs[form] = trace(module, task, name)
        graph = onnx.ModelProto()
        graph.CopyFrom(self._graphs[form])
        weights = module.state_dict()
        for initialiser in graph.graph.initializer:
            key = initialiser.name.removeprefix("module.")
            if key in weights and key != initialiser.name:
                initialiser.raw_data = weights[key].detach().contiguous().numpy().tobytes()
        return graph


def _form(module: nn.Module, task: Task, name: str) -> tuple[Any, ...]:
    """All that a graph follows from, but the weights: classes, their code, and what the parts of a module hold."""
    return (
        name,
        getattr(task.method, "__func__", task.method),
        *(tuple(specs.items()) for specs in (task.inputs, task.outputs)),
        *((path, type(part), _held(part)) for path, part in module.named_modules()),
        *((key, tuple(weight.shape), weight.dtype) for key, weight in module.state_dict().items()),
    )


def _held(part: nn.Module) -> str:
    kept = {*part._parameters, *(part._buffers.keys() - part._non_persistent_buffers_set)}
    held = {**vars(part), **part._buffers, "_parameters": 0, "_buffers": 0, "_modules": 0}
    return repr(sorted((key, _constant(value)) for key, value in held.items() if key not in kept))


def _constant(value: Any) -> str:
    return hashlib.sha256(value.numpy().tobytes()).hexdigest() if isinstance(value, Tensor) else repr(value)
