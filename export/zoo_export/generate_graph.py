"""The generation as one ONNX graph, from seed, first index and count (or labels) to samples, in parity with the host.

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

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Autoregressive, Chain, Iterative, Label, Noise, OneShot, Spec
from zoo.core import philox
from zoo.runtime.derived import SAMPLES, TOKENS
from zoo.sampling.autoregressive import GREEDY_BELOW
from zoo.sampling.ddim import table
from zoo_export.nodes import Nodes
from zoo_export.seeded import TABLE, Seeded

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT
OPTIONS = {"length": INT64, "temperature": FLOAT, "top_k": INT64, "top_p": FLOAT, "steps": INT64, "eta": FLOAT}
"""The types of the scalar inputs that a graph may take besides seed, first and count."""

ALPHAS = "zoo.alphas"
"""The name of the table of ᾱ_t."""

LAST = "zoo.last."
"""The prefix of names in the last task's graph, if another task's graph comes before it."""


def of(plan: Plan, graphs: Mapping[str, onnx.ModelProto]) -> onnx.ModelProto:
    """Build the generation's graph from the graphs of the plan's tasks, which still contain their weights."""
    whole = onnx.ModelProto()
    whole.CopyFrom(graphs[plan.uses[0]])
    own = [*whole.graph.node]
    del whole.graph.node[:]
    nodes, labels = Nodes(), plan.labels()
    count = nodes.Squeeze(nodes.batch(next(iter(labels))), [0]) if labels else "count"
    seeded = Seeded.of(nodes, "seed", "first", count)
    outputs = BODIES[plan.value.kind](plan, seeded, whole, own, graphs)
    if any(TABLE in node.input for node in nodes.nodes) or isinstance(plan.value, Iterative):
        nodes.initialisers.append(onnx.numpy_helper.from_array(philox.normal_table(), TABLE))
    whole.graph.node.extend(nodes.nodes)
    whole.graph.initializer.extend(nodes.initialisers)
    del whole.graph.input[:]
    whole.graph.input.extend(_inputs(plan))
    del whole.graph.output[:]
    whole.graph.output.extend(outputs)
    return whole


Outputs = list[onnx.ValueInfoProto]
Own = Sequence[onnx.NodeProto]
"""The nodes of the first task."""


def _one_shot(
    plan: Plan, seeded: Seeded, whole: onnx.ModelProto, own: Own, graphs: Mapping[str, onnx.ModelProto]
) -> Outputs:
    """The nodes `own` of the only task, with seeded noise as inputs."""
    _last(plan, seeded, whole, own)
    return [_value(SAMPLES, _type(plan.gives), ["batch", *plan.gives.shape])]


def _iterative(
    plan: Plan, seeded: Seeded, whole: onnx.ModelProto, own: Own, graphs: Mapping[str, onnx.ModelProto]
) -> Outputs:
    _steps(plan, seeded, own)
    return [_value(SAMPLES, _type(plan.gives), ["batch", *plan.gives.shape])]


def _text(
    plan: Plan, seeded: Seeded, whole: onnx.ModelProto, own: Own, graphs: Mapping[str, onnx.ModelProto]
) -> Outputs:
    seeded.nodes.Identity(_tokens(plan, seeded, own), into=SAMPLES)
    return [_value(SAMPLES, INT64, ["batch", "total"])]


def _chain(
    plan: Plan, seeded: Seeded, whole: onnx.ModelProto, own: Own, graphs: Mapping[str, onnx.ModelProto]
) -> Outputs:
    """The Loop that samples tokens, followed by the nodes of the last task."""
    assert plan.tokens is not None
    nodes, shape = seeded.nodes, plan.tokens.shape
    nodes.Reshape(_tokens(plan, seeded, own), [-1, *shape], into=TOKENS)
    last = onnx.compose.add_prefix(graphs[plan.value.task], LAST, rename_functions=False)
    _merge(whole, last)
    nodes.Identity(TOKENS, into=LAST + plan.grid)
    _last(plan, seeded, whole, [*last.graph.node], LAST)
    samples = _value(SAMPLES, _type(plan.gives), ["batch", *plan.gives.shape])
    return [samples, _value(TOKENS, INT64, ["batch", *shape])]


def _inputs(plan: Plan) -> list[onnx.ValueInfoProto]:
    """The graph's inputs: those of :func:`zoo.runtime.derived.feeds`."""
    inputs = [_value("seed", INT64, []), _value("first", INT64, [])]
    inputs += [_value(name, INT64, ["batch"]) for name in plan.labels()] or [_value("count", INT64, [])]
    inputs += [_value(name, kind, []) for name, kind in OPTIONS.items() if name in plan.options]
    return [*inputs, *([_value("prompt", INT64, ["given"])] if "prompt" in plan.options else [])]


def _merge(whole: onnx.ModelProto, other: onnx.ModelProto) -> None:
    """Copy the weights and operator sets that the nodes of another graph need."""
    whole.graph.initializer.extend(other.graph.initializer)
    domains = {opset.domain for opset in whole.opset_import}
    whole.opset_import.extend(opset for opset in other.opset_import if opset.domain not in domains)


def _last(plan: Plan, seeded: Seeded, model: onnx.ModelProto, own: Sequence[onnx.NodeProto], prefix: str = "") -> None:
    """Add the seeded noise of the last task, and its nodes, whose names start with `prefix`."""
    nodes, task = seeded.nodes, plan.tasks[plan.value.task]
    stream = 0 if plan.tokens is None else 1
    for name, spec in task.inputs.items():
        if isinstance(spec, Noise):
            nodes.Identity(seeded.draw(spec.distribution, spec.shape, stream), into=prefix + name)
            stream += 1
        elif prefix and name in plan.labels(plan.value.task):
            nodes.Identity(name, into=prefix + name)
    nodes.nodes.extend(own)
    nodes.Identity(prefix + next(iter(task.outputs)), into=SAMPLES)


def _tokens(plan: Plan, seeded: Seeded, own: Sequence[onnx.NodeProto]) -> str:
    """Add a Loop whose body runs the token's task and samples a token; return the name of the tokens, (n, total)."""
    assert plan.tokens is not None
    nodes, task, states = seeded.nodes, plan.tasks[plan.tokens.task], plan.states()
    token = task.inputs["token"]
    assert isinstance(token, Label)
    batch = nodes.batch(seeded.index)
    start = [nodes.Expand(0, batch)]
    for spec in states.values():
        zero = np.zeros((), spec.dtype)
        start.append(nodes.Expand(zero, nodes.Concat(batch, np.array(spec.shape, np.int64), axis=0)))
    kept = nodes.Max("temperature", float(GREEDY_BELOW))
    many = nodes.Where(nodes.Equal("top_k", 0), token.classes, nodes.Min("top_k", token.classes))

    inner = Nodes("zoo.body.")
    inner.Identity("zoo.going", into="zoo.still")
    picked = _pick(inner, Seeded(inner, seeded.keys, seeded.index), token.classes, kept, many)
    total = nodes.name(math.prod(plan.tokens.shape))
    if "prompt" in plan.options:
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


def _steps(plan: Plan, seeded: Seeded, own: Sequence[onnx.NodeProto]) -> None:
    """Add a Loop whose body predicts the noise and takes a DDIM step, as in :func:`zoo.sampling.ddim.iterate`."""
    value, shape = plan.value, plan.sample.x.shape
    assert isinstance(value, Iterative)
    nodes, times, one = seeded.nodes, len(value.alphas), 1.0
    batch = nodes.batch(seeded.index)
    steps = nodes.Min(nodes.Max("steps", 1), times)
    nodes.initialisers.append(onnx.numpy_helper.from_array(table(value), ALPHAS))

    inner = Nodes("zoo.body.")
    inner.Identity("zoo.going", into="zoo.still")
    time, after = (
        inner.Sub(times - 1, inner.Div(inner.Mul(k, times), steps)) for k in ("zoo.k", inner.Add("zoo.k", 1))
    )
    inner.Expand(time, batch, into="time")
    inner.nodes.extend(own)
    inner = inner.within("step")
    a_t, a_s = inner.Gather(ALPHAS, time), inner.Gather(ALPHAS, after)
    sqrt_a_t, sqrt_noise_t = inner.Sqrt(a_t), inner.Sqrt(inner.Sub(one, a_t))
    x_0 = inner.Clip(inner.Div(inner.Sub("x", inner.Mul(sqrt_noise_t, "noise")), sqrt_a_t), -one, one)  # eq. 9
    eps = inner.Div(inner.Sub("x", inner.Mul(sqrt_a_t, x_0)), sqrt_noise_t)
    noise_s = inner.Sub(one, a_s)
    ratio = inner.Sqrt(inner.Div(noise_s, inner.Sub(one, a_t)))
    sigma = inner.Mul(inner.Mul("eta", ratio), inner.Sqrt(inner.Sub(one, inner.Div(a_t, a_s))))  # eq. 16
    direction = inner.Sqrt(inner.Max(inner.Sub(noise_s, inner.Mul(sigma, sigma)), 0.0))
    mean = inner.Add(inner.Mul(inner.Sqrt(a_s), x_0), inner.Mul(direction, eps))
    z = Seeded(inner, seeded.keys, seeded.index).draw("normal", shape, 1, "zoo.k")
    inner.Add(mean, inner.Mul(sigma, z), into="zoo.moved")  # eq. 12
    x = _value("x", FLOAT, ["batch", *shape])
    body = helper.make_graph(
        inner.nodes,
        "body",
        [_value("zoo.k", INT64, []), _value("zoo.going", TensorProto.BOOL, []), x],
        [_value("zoo.still", TensorProto.BOOL, []), _value("zoo.moved", FLOAT, ["batch", *shape])],
        inner.initialisers,
    )
    made = nodes.Loop(steps, np.array(True), seeded.draw("normal", shape, 0), body=body)
    nodes.Div(nodes.Add(made, one), 2.0, into=SAMPLES)


def _type(spec: Spec) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


BODIES: Mapping[str, Callable[[Plan, Seeded, onnx.ModelProto, Own, Mapping[str, onnx.ModelProto]], Outputs]] = {
    OneShot.kind: _one_shot,
    Autoregressive.kind: _text,
    Chain.kind: _chain,
    Iterative.kind: _iterative,
}
"""The function of each kind of generation that adds its nodes, including the task's `own`, and returns its outputs."""
