"""The proof: every task gives the same in torch and in ONNX Runtime, or there is no release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import generation
from zoo.convert import from_batch
from zoo.errors import ParityError
from zoo.examples import example
from zoo.release import Release
from zoo.runtime import Backend
from zoo.specs import Audio, Autoregressive, Image, Label, LogMel, OneShot, Spec, Text

Array = NDArray[Any]

BATCHES = (1, 3, 64)
ATOL, RTOL = 1e-5, 1e-4
STEPS = 8
"""Teacher-forced steps of an autoregressive task."""

SEED = 0


def prove(release: Release, torch: Backend, onnx: Backend) -> dict[str, Any]:
    """Run every task on both backends at batches 1, 3 and 64, and the generation; return the worst differences.

    Raises :class:`ParityError` for the first output that is further off than atol 1e-5 + rtol 1e-4, any picture by
    more than one level, or any pick of a token whose margin exceeds 1e-4.
    """
    found: dict[str, Any] = {"atol": ATOL, "rtol": RTOL, "batches": list(BATCHES), "tasks": {}}
    value = release.generation
    for name, task in release.tasks.items():
        forced = isinstance(value, Autoregressive) and value.task == name
        found["tasks"][name] = {
            str(batch): (_forced if forced else _once)(name, task.inputs, task.outputs, batch, torch, onnx)
            for batch in BATCHES
        }
    if value is not None:
        found["generate"] = _generation(release, torch, onnx)
    return found


def _once(
    name: str, inputs: Mapping[str, Spec], outputs: Mapping[str, Spec], batch: int, torch: Backend, onnx: Backend
) -> float:
    feeds = {key: example(spec, batch, stream) for stream, (key, spec) in enumerate(inputs.items())}
    left, right = torch.run(name, feeds), onnx.run(name, feeds)
    worst = _compare(f"task {name!r} at batch {batch}", outputs, batch, left, right)
    if batch > 1:  # an item must not depend on those beside it
        alone = onnx.run(name, {key: feed[-1:] for key, feed in feeds.items()})
        last = {key: value[-1:] for key, value in right.items()}
        _compare(f"task {name!r}, an item alone and in a batch of {batch},", outputs, 1, alone, last)
    return worst


def _forced(
    name: str, inputs: Mapping[str, Spec], outputs: Mapping[str, Spec], batch: int, torch: Backend, onnx: Backend
) -> float:
    """Both backends, and the last item alone, are fed the same tokens, and each its own states."""
    backends, sizes = (torch, onnx, onnx), (batch, batch, 1)
    states = [generation.states(inputs, size) for size in sizes]
    worst = 0.0
    for position in range(STEPS):
        token = example(inputs["token"], batch, position)
        left, right, alone = (
            backend.run(name, {"token": token[-size:], **state})
            for backend, size, state in zip(backends, sizes, states, strict=True)
        )
        where = f"task {name!r} at batch {batch}, step {position}"
        worst = max(worst, _compare(where, outputs, batch, left, right))
        last = {key: value[-1:] for key, value in right.items()}
        _compare(f"{where}, an item alone and in its batch", outputs, 1, alone, last)
        _compare_picks(where, left["logits"], right["logits"], np.arange(batch), position)
        outs = (left, right, alone)
        states = [{key: out[f"next_{key}"] for key in state} for out, state in zip(outs, states, strict=True)]
    return worst


def _compare(
    where: str, outputs: Mapping[str, Spec], batch: int, torch: Mapping[str, Array], onnx: Mapping[str, Array]
) -> float:
    """The largest difference; each output must also be what the task declares: its shape, dtype and range."""
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
        if isinstance(spec, Image):
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
            f"and must lie in 0 to {spec.classes - 1}. Nothing was released."
        )
    if isinstance(spec, (Image, Audio, LogMel)):
        least = -1 if isinstance(spec, Audio) else 0
        if not (array.min() >= least - ATOL and array.max() <= 1 + ATOL):
            what = {"image": "a picture", "audio": "a sound", "log-mel": "a spectrogram"}[spec.kind]
            raise ParityError(
                f"Parity failed in {where}: {what} has values from {array.min():.3g} to {array.max():.3g}, "
                f"and must lie in [{least}, 1]. Nothing was released."
            )


def _compare_levels(where: str, left: Array, right: Array) -> int:
    worst = int(np.abs(left.astype(int) - right).max())
    if worst > 1:
        raise ParityError(f"Parity failed in {where}: pixels differ by {worst} levels. Nothing was released.")
    return worst


def _compare_picks(where: str, left: Array, right: Array, indices: NDArray[np.int64], position: int) -> None:
    """The picks, at temperature 1, must agree wherever the best two tokens are more than ``MARGIN`` apart."""
    ours, theirs = (generation.scores(logits, SEED, indices, position, 1.0) for logits in (left, right))
    behind = ours.max(-1) - np.take_along_axis(ours, theirs.argmax(-1)[:, None], -1)[:, 0]
    if (behind > generation.MARGIN).any():
        raise ParityError(
            f"Parity failed in {where}: torch and ONNX Runtime pick different tokens. Nothing was released."
        )


def _generation(release: Release, torch: Backend, onnx: Backend) -> dict[str, Any]:
    """Generate the same samples on both backends and compare."""
    value = release.generation
    assert value is not None
    task = release.tasks[value.task]
    if isinstance(value, OneShot):
        left, right = (
            generation.generate(backend.run, value, task.inputs, task.outputs, release.sample, n=16, seed=SEED)
            for backend in (torch, onnx)
        )
        if isinstance(next(iter(task.outputs.values())), Image):
            return {"samples": 16, "levels": _compare_levels("generation", left, right)}
        if isinstance(release.sample.x, Text) and left != right:
            raise ParityError("Parity failed in generation: the texts differ. Nothing was released.")
        if isinstance(release.sample.x, (Audio, LogMel)) and not np.allclose(right, left, RTOL, ATOL):
            raise ParityError("Parity failed in generation: the sounds differ. Nothing was released.")
        return {"samples": 16}
    indices, total = np.arange(3), 2 * STEPS
    none = np.zeros(0, np.int64)
    tokens = generation.autoregress(onnx.run, value, task.inputs, indices, SEED, none, total, 1.0)
    states = generation.states(task.inputs, len(indices))
    token = np.zeros(len(indices), np.int64)
    other = {key: array.copy() for key, array in states.items()}
    for position in range(total):  # torch follows ONNX Runtime's tokens, and must pick the same ones
        left = torch.run(value.task, {"token": token, **states})
        right = onnx.run(value.task, {"token": token, **other})
        _compare_picks(f"generation, token {position}", left["logits"], right["logits"], indices, position)
        states = {key: left[f"next_{key}"] for key in states}
        other = {key: right[f"next_{key}"] for key in other}
        token = tokens[:, position]
    return {"samples": len(indices), "tokens": total}
