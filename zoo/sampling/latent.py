"""Interpolation and latent traversal, for models whose latents can be decoded.

Each function takes `run`, which runs a task on named batches of any size, and the release, which declares the tasks. A
verb is a method that follows from the tasks: interpolate, traverse or inpaint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import OneShot
from zoo.contract.specs import Label, Noise, SampleSpec, Vector
from zoo.core import memory, philox
from zoo.core.arguments import check_count, is_integer, is_number
from zoo.core.errors import SettingError
from zoo.media.convert import from_batch, to_batch
from zoo.release import Release
from zoo.sampling import inpainting
from zoo.sampling.generation import labelled, labels_in
from zoo.sampling.loop import Run

Array = NDArray[Any]
Latents = Mapping[str, NDArray[np.float64]]
"""Latents by input of the task that decodes them, each (n, dimensions)."""
Method = Literal["auto", "linear", "spherical"]

VERBS = ("interpolate", "traverse", "inpaint")
"""The names of all verbs."""

LARGEST = 1e30  # bound of a latent's values, well within float32


@dataclass(frozen=True)
class Space:
    """The latent space of the decoder `task`: its float inputs, concatenated; its labels are separate inputs."""

    task: str
    inputs: Mapping[str, Vector | Noise]
    labels: Mapping[str, Label]

    @property
    def size(self) -> int:
        """The number of dimensions of a latent."""
        return sum(math.prod(spec.shape) for spec in self.inputs.values())


def decodes(release: Release, task: str) -> Space | None:
    """The space that a task decodes to samples; None if it has inputs other than float32 vectors and labels."""
    form = release.tasks.get(task)
    if form is None or not isinstance(next(iter(form.outputs.values())), SampleSpec):
        return None
    inputs = {name: spec for name, spec in form.inputs.items() if isinstance(spec, (Vector, Noise))}
    labels = labels_in(form)
    fits = inputs and len(inputs) + len(labels) == len(form.inputs)
    return Space(task, inputs, labels) if fits and all(spec.dtype == "float32" for spec in inputs.values()) else None


def coded(release: Release) -> Space | None:
    """The space of encode's first output, if decode takes it and the labels of encode; else None."""
    encode, space = release.tasks.get("encode"), decodes(release, "decode")
    if encode is None or space is None or len(space.inputs) > 1:
        return None
    _, *others = encode.inputs.items()
    return space if dict(others) == space.labels and _is_of(next(iter(encode.outputs.values())), space) else None


def drawn(release: Release) -> Space | None:
    """The latent space of one-shot generation; None if the model has none.

    The latent is the generation's noise; or its second output, if it samples from a fitted prior and decodes.
    """
    if not isinstance(release.generation, OneShot) or release.plan is None or release.plan.inputs("given", "number"):
        return None
    space = decodes(release, "decode")
    _, *beside = release.tasks[release.generation.task].outputs.values()
    labels = labels_in(release.tasks[release.generation.task])
    if space is not None and len(space.inputs) == 1 and beside and _is_of(beside[0], space):
        return space if space.labels.items() <= labels.items() else None
    space = decodes(release, release.generation.task)
    return space if space is not None and all(isinstance(spec, Noise) for spec in space.inputs.values()) else None


def _is_of(latent: Any, space: Space) -> bool:
    (spec,) = space.inputs.values()
    return (latent.shape, latent.dtype) == (spec.shape, spec.dtype)


def verbs(release: Release) -> dict[str, str]:
    """The verbs of a model, each with a description of its inputs and outputs."""
    descriptions = {}
    known, made = coded(release), drawn(release)
    space = known or made
    if space is not None:
        names = [] if known is None else [next(iter(release.tasks["encode"].inputs))]
        item = " or ".join([*names, *(["sample index"] if made is not None else [])])
        of = " and ".join(space.inputs)
        way = "spherical" if any(_is_normal(spec) for spec in space.inputs.values()) else "linear"
        label = "; label" if space.labels else ""
        descriptions["interpolate"] = f"{item}, {item} → steps from the {of} of one to that of the other ({way}{label})"
        last = space.size - 1
        descriptions["traverse"] = f"{item} → one dimension of its {of} varied (dimension 0 to {last}{label})"
    return descriptions | inpainting.verbs(release)


def interpolate(
    run: Run, release: Release, a: Any, b: Any, *, steps: int, method: Method, seed: int, label: Any
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.interpolate`."""
    check_count("steps", steps, 2)
    philox.checked(seed, 0, 1)
    if method not in ("auto", "linear", "spherical"):
        raise SettingError(f"method = {method!r} is not one of auto, linear, spherical.")
    (space, left, first), (other, right, last) = (
        _latents(run, release, "interpolate", value, seed, label) for value in (a, b)
    )
    if space != other:
        raise SettingError(
            f"{release.name} has different latents for inputs and for samples: give two inputs or two samples."
        )
    counts = [len(next(iter(latents.values()))) for latents in (left, right)]
    if counts[0] != counts[1]:
        raise SettingError(f"a has {counts[0]} inputs and b has {counts[1]}; give the same number.")
    _check_memory(release, space, counts[0], steps)
    t = np.linspace(0, 1, steps)[:, None]  # (steps, 1)
    latents = {}
    for name, spec in space.inputs.items():
        way = _spherical if method == "spherical" or (method == "auto" and _is_normal(spec)) else _linear
        latents[name] = way(left[name][:, None], right[name][:, None], t)  # (n, steps, dimensions)
    labels = {name: np.where(t[:, 0] < 0.5, first[name][:, None], last[name][:, None]) for name in space.labels}
    return _decoded(run, release, space, latents, labels)


def traverse(
    run: Run,
    release: Release,
    x: Any,
    *,
    dimension: int,
    low: float | None,
    high: float | None,
    steps: int,
    seed: int,
    label: Any,
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.traverse`."""
    check_count("steps", steps, 2)
    philox.checked(seed, 0, 1)
    for name, value in (("low", low), ("high", high)):
        if value is not None and not (is_number(value) and -LARGEST <= value <= LARGEST):
            raise SettingError(f"{name} = {value!r} is not a number from {-LARGEST:g} to {LARGEST:g}.")
    space, found, labels = _latents(run, release, "traverse", 0 if x is None else x, seed, label)
    _check_memory(release, space, len(next(iter(found.values()))), steps)
    if not is_integer(dimension) or not 0 <= dimension < space.size:
        raise SettingError(f"dimension = {dimension!r} is out of range: an integer from 0 to {space.size - 1}.")
    latents, place = {}, int(dimension)
    for name, values in found.items():
        latents[name] = np.repeat(values[:, None], steps, axis=1)  # (n, steps, dimensions)
        if 0 <= place < values.shape[1]:
            ends = (0.0, 1.0) if _is_uniform(space.inputs[name]) else (-3.0, 3.0)
            ends = ends[0] if low is None else low, ends[1] if high is None else high
            latents[name][:, :, place] = np.linspace(*ends, steps)
        place -= values.shape[1]
    return _decoded(run, release, space, latents, {name: value[:, None] for name, value in labels.items()})


def _latents(
    run: Run, release: Release, verb: str, value: Any, seed: int, label: Any
) -> tuple[Space, Latents, Mapping[str, Array]]:
    """The latent space, the latents and the labels, (n,) each, of inputs or of the sample with an index."""
    if is_integer(value):
        space = drawn(release)
        if space is None:
            raise SettingError(_cannot(release, verb, "make samples of noise alone", coded(release), "give inputs"))
        if not 0 <= value < 2**32:
            raise SettingError(f"The sample index {value} is out of range: it must be from 0 to {2**32 - 1}.")
        seed, first, _ = philox.checked(seed, value, 1)
        index = np.array([first], np.int64)
        assert release.generation is not None
        task = release.tasks[release.generation.task]
        labels = labelled(labels_in(task), 1, label, index)
        feeds: dict[str, Array] = dict(labels)
        for stream, (name, spec) in enumerate((name, spec) for name, spec in task.inputs.items() if name not in feeds):
            assert isinstance(spec, Noise)
            feeds[name] = philox.draw(spec.distribution, spec.shape, seed, index, stream)
        if space.task == release.generation.task:
            found = {name: feeds[name] for name in space.inputs}
        else:  # the latent is the task's second output
            found = {next(iter(space.inputs)): list(run(release.generation.task, feeds).values())[1]}
    else:
        space = coded(release)
        if space is None:
            indices = "give the indices of samples, such as 0 and 1"
            raise SettingError(_cannot(release, verb, "encode to what they decode", drawn(release), indices))
        encode = release.tasks["encode"]
        name, spec = next(iter(encode.inputs.items()))
        given = to_batch(value, spec, name, release.background)
        labels = labelled(labels_in(encode), len(given), label)
        found = {next(iter(space.inputs)): run("encode", {name: given, **labels})[next(iter(encode.outputs))]}
    return space, {name: latent.reshape(len(latent), -1).astype(np.float64) for name, latent in found.items()}, labels


def _check_memory(release: Release, space: Space, pairs: int, steps: int) -> None:
    """Raise :class:`SettingError` if the latents and their samples exceed the memory."""
    sizes = [math.prod(spec.shape) for spec in release.tasks[space.task].outputs.values()]
    each = 8 * 4 * space.size + 4 * 2 * sum(sizes) + 2 * sizes[0]  # a few float64 latents, float32 outputs, bytes
    memory.check(pairs * steps * each, f"steps = {steps:,}: so many samples", "Set fewer steps.")


def _cannot(release: Release, verb: str, lacks: str, other: Space | None, instead: str) -> str:
    """The error message for a model that lacks a verb, or has it only for other arguments."""
    if other is not None:
        return f"{release.name} has no tasks that {lacks}: to {verb}, {instead}."
    if isinstance(release.generation, OneShot) and release.plan is not None:
        others = ", ".join(release.plan.inputs("given", "number"))
        if others:
            return f"{release.name} cannot {verb}: it does not generate from noise alone, but also from {others}."
    return f"{release.name} cannot {verb}: it has no latent that its tasks encode or generate from and decode."


def _decoded(run: Run, release: Release, space: Space, latents: Latents, labels: Mapping[str, Array]) -> Any:
    """Decode latents, (n, steps, dimensions), with labels that broadcast to (n, steps): (n·steps, …)."""
    rows = next(iter(latents.values())).shape[:2]
    feeds: dict[str, Array] = {
        name: latents[name].reshape(-1, *spec.shape).astype(np.float32) for name, spec in space.inputs.items()
    }
    feeds |= {name: np.broadcast_to(labels[name], rows).reshape(-1) for name in space.labels}
    name, spec = next(iter(release.tasks[space.task].outputs.items()))
    return from_batch(run(space.task, feeds)[name], spec)


def _linear(a: Array, b: Array, t: Array) -> Array:
    line: Array = (1 - t) * a + t * b
    return line


def _spherical(a: Array, b: Array, t: Array) -> Array:
    """slerp: sin((1 − t)θ) / sin θ · a + sin(tθ) / sin θ · b, with θ the angle between a and b (Shoemake 1985).

    Standard normal latents concentrate near a sphere, and so does this path (White 2016). If the angle is 0 or π, or a
    latent is 0, there is no unique great circle, and the path is a straight line.
    """
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(-1, keepdims=True) / np.where(lengths > 0, lengths, 1)
    angle = np.arccos(cosine.clip(-1, 1))
    sine = np.sin(angle)
    is_curved = (sine > 1e-6) & (lengths > 0)
    sine = np.where(is_curved, sine, 1)
    curved: Array = np.sin((1 - t) * angle) / sine * a + np.sin(t * angle) / sine * b
    return np.where(is_curved, curved, _linear(a, b, t))


def _is_uniform(spec: Vector | Noise) -> bool:
    return isinstance(spec, Noise) and spec.distribution == "uniform"


def _is_normal(spec: Vector | Noise) -> bool:
    return isinstance(spec, Noise) and spec.distribution == "normal"
