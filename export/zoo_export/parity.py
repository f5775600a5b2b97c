"""The parity check: every task must agree in torch and in ONNX Runtime, or the export fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Label, Spec, Text
from zoo.core.errors import ParityError
from zoo.media import kinds
from zoo.media.convert import from_batch
from zoo.media.kinds.base import within
from zoo.release import Release, ReleasedTask
from zoo.runtime import Backend, OnnxBackend, derived
from zoo.runtime.derived import ATOL, RTOL
from zoo.runtime.example_inputs import SEED, example, example_asked, examples
from zoo.sampling import autoregressive, generation
from zoo.sampling.autoregressive import ALL
from zoo.sampling.loop import begin

Array = NDArray[Any]

BATCHES = (1, 3, 64)
STEPS = 8
"""Teacher-forced steps of an autoregressive task."""


def prove(release: Release, torch: Backend, onnx: OnnxBackend) -> dict[str, Any]:
    """Run every task on both backends at batches 1, 3 and 64, and the generation; return the worst differences.

    Raises :class:`ParityError` for the first output that differs by more than atol 1e-5 + rtol 1e-4, image that differs
    by more than one level, sampled token that differs although its margin exceeds 1e-4, or derived graph that differs.
    """
    return compare(release, torch, onnx) | {"graphs": derived.check(release, onnx)}


def compare(release: Release, torch: Backend, onnx: Backend, batches: Sequence[int] = BATCHES) -> dict[str, Any]:
    """The comparison of :func:`prove` for any two backends, without the derived graphs."""
    found: dict[str, Any] = {"atol": ATOL, "rtol": RTOL, "batches": list(batches), "tasks": {}}
    plan = release.plan
    for name, task in release.tasks.items():
        forced = plan if plan is not None and plan.tokens is not None and plan.tokens.task == name else None
        found["tasks"][name] = {
            str(batch): _forced(forced, batch, torch, onnx)
            if forced
            else _once(name, task, batch, plan.schedule(name) if plan is not None else (), torch, onnx)
            for batch in batches
        }
    if plan is not None:
        found["generate"] = _generation(release, plan, torch, onnx)
    return found


def _once(name: str, task: ReleasedTask, batch: int, schedule: Sequence[float], torch: Backend, onnx: Backend) -> float:
    feeds, outputs = examples(task.inputs, batch, schedule), task.outputs
    left, right = torch.run(name, feeds), onnx.run(name, feeds)
    worst = _compare(f"task {name!r} at batch {batch}", outputs, batch, left, right)
    if batch > 1:  # an item must not depend on the rest of its batch
        alone = onnx.run(name, {key: feed[-1:] for key, feed in feeds.items()})
        last = {key: value[-1:] for key, value in right.items()}
        _compare(f"task {name!r}, an item alone against the same in a batch of {batch}", outputs, 1, alone, last)
    return worst


def _forced(plan: Plan, batch: int, torch: Backend, onnx: Backend) -> float:
    """Teacher forcing: feed the same tokens, but each its own states, to both backends and to the last item alone."""
    assert plan.tokens is not None
    name = plan.tokens.task
    task, indices = plan.tasks[name], np.arange(batch)
    start = begin(plan, indices, SEED, example_asked(plan, indices))
    last = {key: value[-1:] for key, value in start.items()}
    fed = [example(task.inputs["token"], batch, position) for position in range(_length(plan, STEPS))]
    worst = 0.0
    reads = (
        autoregressive.read(torch.run, plan, start, fed),
        autoregressive.read(onnx.run, plan, start, fed),
        autoregressive.read(onnx.run, plan, last, [token[-1:] for token in fed]),
    )
    for position, ((_, left), (_, right), (_, alone)) in enumerate(zip(*reads, strict=True)):
        where = f"task {name!r} at batch {batch}, step {position}"
        worst = max(worst, _compare(where, task.outputs, batch, left, right))
        _compare(
            f"{where}, an item alone against the same in its batch",
            task.outputs,
            1,
            alone,
            {key: value[-1:] for key, value in right.items()},
        )
        _compare_picks(where, left["logits"], right["logits"], np.arange(batch), position)
    return worst


def _length(plan: Plan, most: int) -> int:
    """So many tokens, or as many as a sample has where that is fewer."""
    assert plan.tokens is not None
    if not plan.tokens.shape:
        return most
    return min(max(most, 2 * plan.tokens.shape[-1] + 1), math.prod(plan.tokens.shape))  # over the ends of two rows


def _compare(
    where: str, outputs: Mapping[str, Spec], batch: int, torch: Mapping[str, Array], onnx: Mapping[str, Array]
) -> float:
    """The largest difference; each output must also have the declared shape, dtype and range."""
    worst = 0.0
    for key, spec in outputs.items():
        for side, array in (("torch", torch[key]), ("ONNX Runtime", onnx[key])):
            _check_form(f"{where}: {key} in {side}", spec, batch, array)
        left, right = torch[key], onnx[key]
        gap = np.abs(left.astype(np.float64) - right)
        largest = float(gap.max(initial=0.0))
        allowed = ATOL + RTOL * np.abs(left) if spec.dtype == "float32" else 0.0
        if not (gap <= allowed).all():
            raise ParityError(
                f"Parity failed in {where}: {key} differs by up to {largest:.3g} (torch against ONNX Runtime, or alone "
                f"against in a batch), more than atol {ATOL} + rtol {RTOL}, 0 for integers. Nothing was released."
            )
        if kinds.of(spec).pixels:
            _compare_levels(f"{where}: {key}", from_batch(left, spec), from_batch(right, spec))
        worst = max(worst, largest)
    return worst


def _check_form(where: str, spec: Spec, batch: int, array: Array) -> None:
    wanted = (batch, *spec.shape)
    if array.shape != wanted or array.dtype != spec.dtype:
        raise ParityError(
            f"Parity failed in {where}: it is {array.dtype} {array.shape}, and the task declares "
            f"{spec.dtype} {wanted}. Nothing was released."
        )
    if not np.isfinite(array).all():
        raise ParityError(f"Parity failed in {where}: it is not finite. Nothing was released.")
    if isinstance(spec, (Label, Text)) and not (array.min() >= 0 and array.max() < spec.classes):
        raise ParityError(
            f"Parity failed in {where}: it has values from {array.min()} to {array.max()}, "
            f"and must be in 0 to {spec.classes - 1}. Nothing was released."
        )
    kind = kinds.SAMPLES.get(spec.kind)
    if kind is None or spec.dtype != "float32":
        return
    low, high = kind.bounds(spec)
    if not (array.min() >= low - ATOL - RTOL * abs(low) and array.max() <= high + ATOL + RTOL * abs(high)):
        raise ParityError(
            f"Parity failed in {where}: {kind.noun} has values from {array.min():.3g} to {array.max():.3g}, "
            f"and must be {within(low, high)}. Nothing was released."
        )


def _compare_levels(where: str, left: Array, right: Array) -> int:
    worst = int(np.abs(left.astype(int) - right).max())
    if worst > 1:
        raise ParityError(f"Parity failed in {where}: pixels differ by {worst} levels. Nothing was released.")
    return worst


def _compare_picks(where: str, left: Array, right: Array, indices: NDArray[np.int64], position: int) -> None:
    """Sampled tokens, at temperature 1, must agree unless the best two tokens differ by less than ``MARGIN``."""
    ours, theirs = (autoregressive.perturbed_logits(logits, SEED, indices, position, ALL) for logits in (left, right))
    gap = ours.max(-1) - np.take_along_axis(ours, theirs.argmax(-1)[:, None], -1)[:, 0]
    if (gap > autoregressive.MARGIN).any():
        raise ParityError(
            f"Parity failed in {where}: torch and ONNX Runtime sample different tokens. Nothing was released."
        )


def _generation(release: Release, plan: Plan, torch: Backend, onnx: Backend) -> dict[str, Any]:
    """Generate the same samples on both backends and compare them; autoregressive models compare tokens."""
    if plan.tokens is not None:
        return _picked(plan, torch, onnx)
    count = 16 if plan.calls == 1 else 4
    indices = np.arange(count)
    asked = example_asked(plan, indices)
    left, right = (
        from_batch(generation.sample(backend.run, plan, indices, SEED, asked, generation.Request()), plan.gives)
        for backend in (torch, onnx)
    )
    kind = kinds.of_sample(release.sample.x)
    if kind.pixels:
        return {"samples": count, "levels": _compare_levels("generation", left, right)}
    if left != right if isinstance(left, list) else not np.allclose(right, left, RTOL, ATOL):
        raise ParityError(f"Parity failed in generation: the {kind.unit} differ. Nothing was released.")
    return {"samples": count}


def _picked(plan: Plan, torch: Backend, onnx: Backend) -> dict[str, Any]:
    """Feed ONNX Runtime's tokens to torch, which must sample the same ones."""
    indices, total = np.arange(3), _length(plan, 2 * STEPS)
    asked, free = example_asked(plan, indices), np.full((3, total), autoregressive.UNSET)
    tokens = autoregressive.autoregress(onnx.run, plan, indices, SEED, asked, free, ALL)
    fed = [np.zeros(3, np.int64), *tokens.T[:-1]]
    start = begin(plan, indices, SEED, asked)
    reads = (autoregressive.read(backend.run, plan, start, fed) for backend in (torch, onnx))
    for position, ((_, left), (_, right)) in enumerate(zip(*reads, strict=True)):
        _compare_picks(f"generation, token {position}", left["logits"], right["logits"], indices, position)
    return {"samples": len(indices), "tokens": total}
