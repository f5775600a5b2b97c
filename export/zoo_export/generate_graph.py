"""The generation as one ONNX graph, from a seed and what is asked to samples, in parity with the host.

The graph contains the tasks' graphs unchanged, the seeded noise and, for autoregressive and iterative models, an ONNX
Loop whose body is the task. The weights stay outside the body: this is a tenth slower, but browsers find external data
only there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from zoo.contract.generation import DDIM, Autoregressive, Iterative
from zoo.contract.generation_plan import Plan, sample_output
from zoo.contract.specs import Label, Noise, Spec
from zoo.core import philox
from zoo.core.errors import ExportError
from zoo.runtime.derived import SAMPLES, TOKENS
from zoo.sampling.autoregressive import GREEDY_BELOW
from zoo_export.nodes import Nodes, Value
from zoo_export.seeded import TABLE, Seeded

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT
SCALARS = {"length": INT64, "temperature": FLOAT, "top_k": INT64, "top_p": FLOAT, "steps": INT64}
"""The types of the scalar inputs that a graph may take besides seed, first and count."""

SCHEDULE = "zoo.schedule"
"""The name of the table of the schedule's points."""

LAST = "zoo.last."
"""The prefix of names in the last task's graph, if another task's graph comes before it."""


def of(plan: Plan, graphs: Mapping[str, onnx.ModelProto]) -> onnx.ModelProto:
    """Build the generation's graph from the graphs of the plan's tasks, which still contain their weights."""
    whole = onnx.ModelProto()
    whole.CopyFrom(graphs[plan.uses[0]])
    own = [*whole.graph.node]
    del whole.graph.node[:]
    nodes, asked = Nodes(), plan.asked()
    count = nodes.Squeeze(nodes.batch(next(iter(asked))), [0]) if asked else "count"
    seeded = Seeded.of(nodes, "seed", "first", count)
    if isinstance(plan.loop, DDIM):
        raise ExportError("A release of format 1 or 2 has its sampler in no graph. Export it again from its plugin.")
    made = LOOPS[plan.loop.kind](plan, seeded, own) if plan.loop is not None else ""
    form, shape = plan.gives, list[str | int](["batch", *plan.gives.shape])
    outputs = []
    if made and plan.last:
        last = onnx.compose.add_prefix(graphs[plan.last], LAST, rename_functions=False)
        _merge(whole, last)
        own = [*last.graph.node]
        if plan.tokens is not None:
            made = nodes.Reshape(made, [-1, *plan.tokens.shape], into=TOKENS)
            outputs.append(_value(TOKENS, INT64, ["batch", *plan.tokens.shape]))
        nodes.Identity(made, into=LAST + plan.made)
    if plan.last:
        _last(plan, seeded, own, LAST if made else "")
    else:
        nodes.Identity(made, into=SAMPLES)
        if plan.tokens is not None:
            form, shape = plan.sample.x, ["batch", "total"]
    if any(
        isinstance(spec, Noise) and spec.distribution == "normal" for spec in plan.inputs("noise", "state").values()
    ):
        nodes.initialisers.append(onnx.numpy_helper.from_array(philox.normal_table(), TABLE))
    whole.graph.node.extend(nodes.nodes)
    whole.graph.initializer.extend(nodes.initialisers)
    del whole.graph.input[:]
    whole.graph.input.extend(_inputs(plan))
    del whole.graph.output[:]
    whole.graph.output.extend([_value(SAMPLES, _type(form), shape), *outputs])
    return whole


Own = Sequence[onnx.NodeProto]
"""The nodes of a task."""


def _inputs(plan: Plan) -> list[onnx.ValueInfoProto]:
    """The graph's inputs: those of :func:`zoo.runtime.derived.feeds`."""
    inputs = [_value("seed", INT64, []), _value("first", INT64, [])]
    inputs += [_value(name, _type(spec), ["batch", *spec.shape]) for name, spec in plan.asked().items()] or [
        _value("count", INT64, [])
    ]
    inputs += [_value(name, kind, []) for name, kind in SCALARS.items() if name in plan.of_loop]
    return [*inputs, *([_value("prompt", INT64, ["given"])] if "prompt" in plan.of_loop else [])]


def _merge(whole: onnx.ModelProto, other: onnx.ModelProto) -> None:
    """Copy the weights and operator sets that the nodes of another graph need."""
    whole.graph.initializer.extend(other.graph.initializer)
    domains = {opset.domain for opset in whole.opset_import}
    whole.opset_import.extend(opset for opset in other.opset_import if opset.domain not in domains)


def _last(plan: Plan, seeded: Seeded, own: Own, prefix: str) -> None:
    """Add the seeded noise of the last task, and its nodes, whose names start with `prefix`."""
    nodes, task = seeded.nodes, plan.tasks[plan.last]
    drawn = plan.inputs("noise", task=plan.last)
    _draw(plan, seeded, plan.last, drawn, prefix)
    if prefix:
        for name in plan.asked(plan.last):
            nodes.Identity(name, into=prefix + name)
    nodes.nodes.extend(own)
    nodes.Identity(prefix + next(iter(task.outputs)), into=SAMPLES)


def _draw(plan: Plan, seeded: Seeded, task: str, drawn: Mapping[str, Spec], prefix: str = "", step: Value = 0) -> None:
    """Add the seeded noise of a step for inputs of a task, under their names."""
    streams = plan.streams(task)
    for name, spec in drawn.items():
        assert isinstance(spec, Noise)
        seeded.nodes.Identity(seeded.draw(spec.distribution, spec.shape, streams[name], step), into=prefix + name)


def _starts(plan: Plan, seeded: Seeded) -> list[str]:
    """The states of the loop's task at its start: noise if declared so, else zeros."""
    assert plan.loop is not None
    nodes, streams, batch = seeded.nodes, plan.streams(plan.loop.task), seeded.nodes.batch(seeded.index)
    start = []
    for name, spec in plan.states().items():
        if isinstance(spec, Noise):
            start.append(seeded.draw(spec.distribution, spec.shape, streams[name]))
        else:
            zero = np.zeros((), spec.dtype)
            start.append(nodes.Expand(zero, nodes.Concat(batch, np.array(spec.shape, np.int64), axis=0)))
    return start


def _tokens(plan: Plan, seeded: Seeded, own: Own) -> str:
    """Add a Loop whose body runs the token's task and samples a token; return the name of the tokens, (n, total)."""
    assert plan.tokens is not None
    nodes, task, states = seeded.nodes, plan.tasks[plan.tokens.task], plan.states()
    token = task.inputs["token"]
    assert isinstance(token, Label)
    start = [nodes.Expand(0, nodes.batch(seeded.index)), *_starts(plan, seeded)]
    _draw(plan, seeded, plan.tokens.task, plan.inputs("noise", task=plan.tokens.task))
    kept = nodes.Max("temperature", float(GREEDY_BELOW))
    many = nodes.Where(nodes.Equal("top_k", 0), token.classes, nodes.Min("top_k", token.classes))

    inner = Nodes("zoo.body.")
    inner.Identity("zoo.going", into="zoo.still")
    picked = _pick(inner, Seeded(inner, seeded.keys, seeded.index), token.classes, kept, many)
    total = nodes.name(math.prod(plan.tokens.shape))
    if "prompt" in plan.of_loop:
        given = nodes.Shape("prompt")
        total = nodes.Squeeze(nodes.Add(given, "length"), [0])
        prompt = nodes.Concat("prompt", [0], axis=0)  # never empty
        place = inner.Squeeze(inner.Min("zoo.position", given), [0])
        picked = inner.Where(inner.Less("zoo.position", given), inner.Gather(prompt, place), picked)
    inner.Identity(picked, into="zoo.token")
    inner.Identity("zoo.token", into="zoo.picked")
    carried = {"token": token, **states}
    body = helper.make_graph(
        [*own, *inner.nodes],
        "body",
        [
            _value("zoo.position", INT64, []),
            _value("zoo.going", TensorProto.BOOL, []),
            *(_value(name, _type(spec), ["batch", *spec.shape]) for name, spec in carried.items()),
        ],
        [
            _value("zoo.still", TensorProto.BOOL, []),
            _value("zoo.token", INT64, ["batch"]),
            *(_value(f"next_{name}", _type(spec), ["batch", *spec.shape]) for name, spec in states.items()),
            _value("zoo.picked", INT64, ["batch"]),
        ],
        inner.initialisers,
    )
    outputs = nodes.Loop(total, np.array(True), *start, outputs=2 + len(states), body=body)
    return str(nodes.Transpose(outputs[-1], perm=[1, 0]))


def _pick(nodes: Nodes, seeded: Seeded, classes: int, temperature: str, many: str) -> str:
    """The next token of each sample, int64 (n,): the same as :func:`zoo.sampling.autoregressive.sample_token`."""
    nodes = nodes.within("pick")
    scaled = nodes.Div("logits", temperature)
    ranked, _ = nodes.TopK(scaled, np.array([classes]), outputs=2)
    least = nodes.Gather(ranked, nodes.Reshape(nodes.Sub(many, 1), [1]), axis=1)  # (n, 1)
    nothing = float("-inf")
    chances = nodes.Softmax(nodes.Cast(nodes.Where(nodes.Less(ranked, least), nothing, ranked), to=TensorProto.DOUBLE))
    before = nodes.CumSum(chances, 1, exclusive=1)
    inside = nodes.Less(before, nodes.Cast("top_p", to=TensorProto.DOUBLE))
    kept = nodes.Where(inside, ranked, float("inf"))
    lowest, _ = nodes.TopK(kept, np.array([1]), largest=0, outputs=2)  # tools know its shape, and not a ReduceMin's
    out = nodes.Less(scaled, nodes.Max(least, lowest))
    scores = nodes.Add(scaled, seeded.draw("gumbel", (classes,), 0, "zoo.position"))
    cold = nodes.Less("temperature", float(GREEDY_BELOW))
    scores = nodes.Where(cold, "logits", nodes.Where(out, nothing, scores))
    return str(nodes.ArgMax(scores, axis=1, keepdims=0))


def _steps(plan: Plan, seeded: Seeded, own: Own) -> str:
    """Add a Loop whose body takes a step, as in :func:`zoo.sampling.loop.iterate`; return the name of what it makes."""
    value = plan.loop
    assert isinstance(value, Iterative)
    nodes, most, form, states = seeded.nodes, len(value.schedule) - 1, plan.tasks[value.task], plan.states()
    made = f"next_{next(iter(states))}" if plan.last else sample_output(plan)
    batch = nodes.batch(seeded.index)
    steps = nodes.Min(nodes.Max("steps", 1), most)
    nodes.initialisers.append(onnx.numpy_helper.from_array(np.array(value.schedule, np.float32), SCHEDULE))

    inner = Nodes("zoo.body.")
    inner.Identity("zoo.going", into="zoo.still")
    for name, k in (("time", "zoo.k"), ("until", inner.Add("zoo.k", 1))):
        if name in form.inputs:
            inner.Expand(inner.Gather(SCHEDULE, inner.Div(inner.Mul(k, most), steps)), batch, into=name)
    drawn = plan.inputs("noise", task=value.task)
    _draw(plan, Seeded(inner, seeded.keys, seeded.index), value.task, drawn, step="zoo.k")
    inner.nodes.extend(own)
    carried = [_value(name, _type(spec), ["batch", *spec.shape]) for name, spec in states.items()]
    after = [_value(f"next_{name}", _type(spec), ["batch", *spec.shape]) for name, spec in states.items()]
    start, place = _starts(plan, seeded), list(states).index(made[5:]) if made.startswith("next_") else len(states)
    if place == len(states):  # the sample of the last step is carried along, and no step reads it
        spec = form.outputs[made]
        zeros = nodes.Expand(np.zeros((), spec.dtype), nodes.Concat(batch, np.array(spec.shape, np.int64), axis=0))
        start.append(zeros)
        carried.append(_value("zoo.last", _type(spec), ["batch", *spec.shape]))
        after.append(_value(made, _type(spec), ["batch", *spec.shape]))
    body = helper.make_graph(
        inner.nodes,
        "body",
        [_value("zoo.k", INT64, []), _value("zoo.going", TensorProto.BOOL, []), *carried],
        [_value("zoo.still", TensorProto.BOOL, []), *after],
        inner.initialisers,
    )
    outputs = nodes.Loop(steps, np.array(True), *start, outputs=len(start), body=body)
    return str(outputs if len(start) == 1 else outputs[place])


def _type(spec: Spec) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


LOOPS: Mapping[str, Callable[[Plan, Seeded, Own], str]] = {Autoregressive.kind: _tokens, Iterative.kind: _steps}
"""The function of each kind of loop that adds its nodes, including the task's own, and names what the loop makes."""
