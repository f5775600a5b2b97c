"""A whole generation as one graph: seed, first index and count (or labels) in, samples out, as the host computes them.

The task's own graph is taken as it is; around it stand the seeded noise and, for tokens, an ONNX Loop whose body is the
task. The weights stay outside of the body: a tenth slower, but browsers find external data only there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from zoo import noise
from zoo.derived import SAMPLES
from zoo.generation import COLD
from zoo.plugin import Task
from zoo.specs import Autoregressive, Generation, Label, Noise, OneShot
from zoo_export.nodes import Nodes
from zoo_export.seeded import TABLE, Seeded

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT

Input = tuple[str, int, Sequence[str | int]]
"""Name, ONNX type and shape."""


def of(generation: Generation, task: Task, graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph that generates, from that of the generation's task, whose weights are still inside."""
    whole = onnx.ModelProto()
    whole.CopyFrom(graph)
    nodes = Nodes()
    if isinstance(generation, OneShot):
        inputs, shape, dtype = _one_shot(task, whole, nodes)
    else:
        inputs, shape, dtype = _loop(generation, task, whole, nodes)
    del whole.graph.input[:]
    whole.graph.input.extend(_value(*value) for value in inputs)
    del whole.graph.output[:]
    whole.graph.output.append(_value(SAMPLES, dtype, shape))
    return whole


def _one_shot(task: Task, model: onnx.ModelProto, nodes: Nodes) -> tuple[list[Input], Sequence[str | int], int]:
    """Put the drawing of the noise before the task."""
    labels = [name for name, spec in task.inputs.items() if isinstance(spec, Label)]
    count = nodes.Squeeze(nodes.Shape(labels[0], end=1), [0]) if labels else "count"
    seeded = Seeded.of(nodes, "seed", "first", count)
    noises = {name: spec for name, spec in task.inputs.items() if isinstance(spec, Noise)}
    for stream, (name, spec) in enumerate(noises.items()):
        nodes.Identity(seeded.draw(spec.distribution, spec.shape, stream), into=name)
    if any(spec.distribution == "normal" for spec in noises.values()):
        nodes.initialisers.append(onnx.numpy_helper.from_array(noise.normal_table(), TABLE))
    made, form = next(iter(task.outputs.items()))
    own = [*model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*nodes.nodes, *own, helper.make_node("Identity", [made], [SAMPLES])])
    model.graph.initializer.extend(nodes.initialisers)
    inputs: list[Input] = [("seed", INT64, []), ("first", INT64, [])]
    inputs += [(name, INT64, ["batch", *task.inputs[name].shape]) for name in labels]
    inputs += [] if labels else [("count", INT64, [])]
    return inputs, ["batch", *form.shape], helper.np_dtype_to_tensor_dtype(np.dtype(form.dtype))


def _loop(
    generation: Autoregressive, task: Task, model: onnx.ModelProto, nodes: Nodes
) -> tuple[list[Input], Sequence[str | int], int]:
    """Put the task into the body of a Loop, which picks a token each time."""
    token = task.inputs["token"]
    assert isinstance(token, Label)
    states = {name: spec for name, spec in task.inputs.items() if name != "token"}
    seeded = Seeded.of(nodes, "seed", "first", "count")
    given = nodes.Shape("prompt")
    total = nodes.Squeeze(nodes.Add(given, "length"), [0])
    prompt = nodes.Concat("prompt", [0], axis=0)  # never empty
    batch = nodes.Reshape("count", [1])
    start = [nodes.Expand(0, batch)]
    for spec in states.values():
        zero = np.zeros((), spec.dtype)
        size = nodes.Concat(batch, np.array(spec.shape, np.int64), axis=0)
        start.append(nodes.Expand(zero, size))
    kept = nodes.Max("temperature", float(COLD))
    many = nodes.Where(nodes.Equal("top_k", 0), token.classes, nodes.Min("top_k", token.classes))

    inner = Nodes("zoo.body.")
    inner.Identity("zoo.going", into="zoo.still")
    picked = _pick(inner, Seeded(inner, seeded.keys, seeded.index), token.classes, kept, many)
    place = inner.Squeeze(inner.Min("zoo.position", given), [0])
    fed = inner.Where(inner.Less("zoo.position", given), inner.Gather(prompt, place), picked)
    inner.Identity(fed, into="zoo.token")
    inner.Identity("zoo.token", into="zoo.picked")
    types = {name: helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)) for name, spec in task.inputs.items()}
    body = helper.make_graph(
        [*model.graph.node, *inner.nodes],
        "body",
        [
            _value("zoo.position", INT64, []),
            _value("zoo.going", TensorProto.BOOL, []),
            *(_value(name, types[name], ["batch", *task.inputs[name].shape]) for name in ("token", *states)),
        ],
        [
            _value("zoo.still", TensorProto.BOOL, []),
            _value("zoo.token", INT64, ["batch"]),
            *(_value(f"next_{name}", types[name], ["batch", *spec.shape]) for name, spec in states.items()),
            _value("zoo.picked", INT64, ["batch"]),
        ],
        inner.initialisers,
    )
    outputs = nodes.Loop(total, np.array(True), *start, outputs=2 + len(states), body=body)
    nodes.Transpose(outputs[-1], perm=[1, 0], into=SAMPLES)
    del model.graph.node[:]
    model.graph.node.extend(nodes.nodes)
    model.graph.initializer.extend(nodes.initialisers)
    scalars = {"seed": INT64, "first": INT64, "count": INT64, "length": INT64}
    scalars |= {"temperature": FLOAT, "top_k": INT64, "top_p": FLOAT}
    inputs: list[Input] = [*((name, kind, []) for name, kind in scalars.items()), ("prompt", INT64, ["given"])]
    return inputs, ["batch", "total"], INT64


def _pick(nodes: Nodes, seeded: Seeded, classes: int, temperature: str, many: str) -> str:
    """The next token of each sample, as :func:`zoo.generation.pick` has it: int64 (n,)."""
    scaled = nodes.Div("logits", temperature)
    ranked, _ = nodes.TopK(scaled, np.array([classes]), outputs=2)
    least = nodes.Gather(ranked, nodes.Reshape(nodes.Sub(many, 1), [1]), axis=1)  # (n, 1)
    nothing = float("-inf")
    chances = nodes.Softmax(nodes.Cast(nodes.Where(nodes.Less(ranked, least), nothing, ranked), to=TensorProto.DOUBLE))
    before = nodes.CumSum(chances, 1, exclusive=1)
    inside = nodes.Less(before, nodes.Cast("top_p", to=TensorProto.DOUBLE))
    lowest = nodes.ReduceMin(nodes.Where(inside, ranked, float("inf")), [1], keepdims=1)
    out = nodes.Less(scaled, nodes.Max(least, lowest))
    scores = nodes.Add(scaled, seeded.draw("gumbel", (classes,), 0, "zoo.position"))
    cold = nodes.Less("temperature", float(COLD))
    scores = nodes.Where(cold, "logits", nodes.Where(out, nothing, scores))
    return str(nodes.ArgMax(scores, axis=1, keepdims=0))


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
