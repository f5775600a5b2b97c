"""Graphs that take and return images as stored in files: uint8, height × width × channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from zoo.contract.specs import Image, Spec
from zoo.core.errors import SettingError
from zoo.release import GENERATE, read
from zoo.runtime import OnnxBackend
from zoo.runtime.derived import SAMPLES, check
from zoo_export import onnx_graph, writer
from zoo_export.nodes import Nodes


def add(folder: Path) -> None:
    """Add uint8 graphs to a release that was just written, and check them against its float graphs.

    Raises :class:`SettingError` for a release without images.
    """
    release = read(folder)
    backend = OnnxBackend(release, "cpu")
    for file in (*(task.graph for task in release.tasks.values()), *filter(None, [release.generate])):
        backend.session(file)  # whatever ONNX Runtime can open, the onnx package can read
    backend.close()
    sides = {name: (task.graph, task.inputs, task.outputs) for name, task in release.tasks.items()}
    if release.generate:
        sides[GENERATE] = release.generate, {}, {SAMPLES: release.sample.x}
    added = {}
    for name, (file, inputs, outputs) in sides.items():
        graph = of(onnx.load(folder / file, load_external_data=False), inputs, outputs)
        if graph is not None:
            added[name] = f"{name}.uint8.onnx"
            onnx_graph.write(folder / added[name], graph)
    if not added:
        raise SettingError(f"{release.name} has no image inputs or outputs. Omit --uint8.")
    writer.finish(folder, {**release.manifest, "uint8": added})
    backend = OnnxBackend(read(folder), "cpu")
    check(read(folder), backend)
    backend.close()


def of(graph: onnx.ModelProto, inputs: Mapping[str, Spec], outputs: Mapping[str, Spec]) -> onnx.ModelProto | None:
    """The graph with uint8 (batch, h, w, c) in place of each image in `inputs` and `outputs`; None without images.

    Inputs: v / 255. Outputs: round(255 · clip(v, 0, 1)), halves to even.
    """
    images = {name: spec for name, spec in (inputs | outputs).items() if isinstance(spec, Image)}  # type: ignore[operator]
    if not images:
        return None
    whole = onnx.ModelProto()
    whole.CopyFrom(graph)
    before, after = Nodes("zoo.in."), Nodes("zoo.out.")
    _rename(whole.graph, {name: f"zoo.float.{name}" for name in images})
    for name in images:
        inside = f"zoo.float.{name}"
        if name in inputs:
            scaled = before.Div(before.Cast(name, to=TensorProto.FLOAT), 255.0)
            before.Transpose(scaled, perm=[0, 3, 1, 2], into=inside)
        else:
            levels = after.Round(after.Mul(after.Clip(inside, 0.0, 1.0), 255.0))
            after.Cast(after.Transpose(levels, perm=[0, 2, 3, 1]), to=TensorProto.UINT8, into=name)
    own = [*whole.graph.node]
    del whole.graph.node[:]
    whole.graph.node.extend([*before.nodes, *own, *after.nodes])
    whole.graph.initializer.extend([*before.initialisers, *after.initialisers])
    for values in (whole.graph.input, whole.graph.output):
        for value in values:
            if value.name in images:
                spec = images[value.name]
                batch = value.type.tensor_type.shape.dim[0].dim_param
                shape = [batch, spec.height, spec.width, spec.channels]
                value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, shape))
    return whole


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors wherever a node reads or writes them; the graph's inputs and outputs keep their names."""
    for node in graph.node:
        for side in (node.input, node.output):
            for place, name in enumerate(side):
                side[place] = names.get(name, name)
