"""Verbs that follow from tasks: interpolation and latent traversal, for models whose codes can be decoded.

Each takes `run`, which runs a task on named batches of any size, and the release that says which tasks there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Label, Noise, OneShot, SampleSpec, Vector
from zoo.core import memory, philox
from zoo.core.arguments import check_count, is_integer, is_number
from zoo.core.errors import SettingError
from zoo.media.convert import from_batch, to_batch
from zoo.release import Release
from zoo.sampling import inpainting
from zoo.sampling.autoregressive import Run
from zoo.sampling.generation import labelled, labels_in

Array = NDArray[Any]
Codes = Mapping[str, NDArray[np.float64]]
"""By input of the task that decodes them, each (n, numbers)."""
Method = Literal["auto", "linear", "spherical"]

VERBS = ("interpolate", "traverse", "inpaint")
"""The names of all verbs."""

LARGEST = 1e30  # of a number in a code, well within float32


@dataclass(frozen=True)
class Space:
    """Where codes lie: the inputs of `task` that are numbers, one after the other; its labels are given."""

    task: str
    parts: Mapping[str, Vector | Noise]
    labels: Mapping[str, Label]

    @property
    def size(self) -> int:
        """How many numbers a code has."""
        return sum(math.prod(spec.shape) for spec in self.parts.values())


def decodes(release: Release, task: str) -> Space | None:
    """The space that a task decodes to samples from; None where it takes anything but float32 numbers and labels."""
    form = release.tasks.get(task)
    if form is None or not isinstance(next(iter(form.outputs.values())), SampleSpec):
        return None
    parts = {name: spec for name, spec in form.inputs.items() if isinstance(spec, (Vector, Noise))}
    labels = labels_in(form)
    fits = parts and len(parts) + len(labels) == len(form.inputs)
    return Space(task, parts, labels) if fits and all(spec.dtype == "float32" for spec in parts.values()) else None


def coded(release: Release) -> Space | None:
    """The space of encode's first output, where decode takes that and the labels of encode; else None."""
    encode, space = release.tasks.get("encode"), decodes(release, "decode")
    if encode is None or space is None or len(space.parts) > 1:
        return None
    _, *others = encode.inputs.items()
    return space if dict(others) == space.labels and _is_of(next(iter(encode.outputs.values())), space) else None


def drawn(release: Release) -> Space | None:
    """The space in which one call makes samples of noise, or finds their codes; None where samples are made otherwise.

    That call may give the code beside the sample: a prior that was fitted to codes is drawn from, and decoded.
    """
    if not isinstance(release.generation, OneShot):
        return None
    space = decodes(release, "decode")
    _, *beside = release.tasks[release.generation.task].outputs.values()
    labels = labels_in(release.tasks[release.generation.task])
    if space is not None and len(space.parts) == 1 and beside and _is_of(beside[0], space):
        return space if space.labels.items() <= labels.items() else None
    space = decodes(release, release.generation.task)
    return space if space is not None and all(isinstance(spec, Noise) for spec in space.parts.values()) else None


def _is_of(code: Any, space: Space) -> bool:
    (spec,) = space.parts.values()
    return (code.shape, code.dtype) == (spec.shape, spec.dtype)


def verbs(release: Release) -> dict[str, str]:
    """What a model can do beside its tasks, each with what it takes and gives, in words."""
    found = {}
    known, made = coded(release), drawn(release)
    space = known or made
    if space is not None:
        names = [] if known is None else [next(iter(release.tasks["encode"].inputs))]
        item = " or ".join([*names, *(["sample index"] if made is not None else [])])
        of = " and ".join(space.parts)
        way = "spherical" if any(_is_normal(spec) for spec in space.parts.values()) else "linear"
        label = "; label" if space.labels else ""
        found["interpolate"] = f"{item}, {item} → steps from the {of} of one to that of the other ({way}{label})"
        last = space.size - 1
        found["traverse"] = f"{item} → one number of its {of} changed (dimension 0 to {last}{label})"
    return found | inpainting.verbs(release)


def interpolate(
    run: Run, release: Release, a: Any, b: Any, *, steps: int, method: Method, seed: int, label: Any
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.interpolate`."""
    check_count("steps", steps, 2)
    philox.checked(seed, 0, 1)
    if method not in ("auto", "linear", "spherical"):
        raise SettingError(f"method = {method!r} is not one of auto, linear, spherical.")
    (space, left, first), (other, right, last) = (
        _codes(run, release, "interpolate", value, seed, label) for value in (a, b)
    )
    if space != other:
        raise SettingError(f"{release.name} has other codes for inputs than for samples: give two of one kind.")
    counts = [len(next(iter(codes.values()))) for codes in (left, right)]
    if counts[0] != counts[1]:
        raise SettingError(f"a has {counts[0]} inputs and b has {counts[1]}; give as many of each.")
    _check_memory(release, space, counts[0], steps)
    share = np.linspace(0, 1, steps)[:, None]  # (steps, 1)
    codes = {}
    for name, spec in space.parts.items():
        way = _spherical if method == "spherical" or (method == "auto" and _is_normal(spec)) else _linear
        codes[name] = way(left[name][:, None], right[name][:, None], share)  # (n, steps, numbers)
    labels = {name: np.where(share[:, 0] < 0.5, first[name][:, None], last[name][:, None]) for name in space.labels}
    return _decoded(run, release, space, codes, labels)


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
    space, found, labels = _codes(run, release, "traverse", 0 if x is None else x, seed, label)
    _check_memory(release, space, len(next(iter(found.values()))), steps)
    if not is_integer(dimension) or not 0 <= dimension < space.size:
        raise SettingError(f"dimension = {dimension!r} is not an integer from 0 to {space.size - 1}.")
    codes, place = {}, int(dimension)
    for name, values in found.items():
        codes[name] = np.repeat(values[:, None], steps, axis=1)  # (n, steps, numbers)
        if 0 <= place < values.shape[1]:
            least, most = (0.0, 1.0) if _is_uniform(space.parts[name]) else (-3.0, 3.0)
            ends = least if low is None else low, most if high is None else high
            codes[name][:, :, place] = np.linspace(*ends, steps)
        place -= values.shape[1]
    return _decoded(run, release, space, codes, {name: value[:, None] for name, value in labels.items()})


def _codes(
    run: Run, release: Release, verb: str, value: Any, seed: int, label: Any
) -> tuple[Space, Codes, Mapping[str, Array]]:
    """The space of inputs, or of the sample of an index of a seed, their codes in it, and their labels, each (n,)."""
    if is_integer(value):
        space = drawn(release)
        if space is None:
            raise SettingError(_cannot(release, verb, "make samples of noise alone", coded(release), "give inputs"))
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
            found = {name: feeds[name] for name in space.parts}
        else:  # the code is what that task gives beside the sample
            found = {next(iter(space.parts)): list(run(release.generation.task, feeds).values())[1]}
    else:
        space = coded(release)
        if space is None:
            indices = "give the indices of samples, such as 0 and 1"
            raise SettingError(_cannot(release, verb, "encode to what they decode", drawn(release), indices))
        encode = release.tasks["encode"]
        name, spec = next(iter(encode.inputs.items()))
        given = to_batch(value, spec, name, release.background)
        labels = labelled(labels_in(encode), len(given), label)
        found = {next(iter(space.parts)): run("encode", {name: given, **labels})[next(iter(encode.outputs))]}
    return space, {name: code.reshape(len(code), -1).astype(np.float64) for name, code in found.items()}, labels


def _check_memory(release: Release, space: Space, pairs: int, steps: int) -> None:
    """Raise :class:`SettingError` where the latents on the way and their samples take more memory than there is."""
    sizes = [math.prod(spec.shape) for spec in release.tasks[space.task].outputs.values()]
    each = 8 * 4 * space.size + 4 * 2 * sum(sizes) + 2 * sizes[0]  # a few float64 codes, float32 outputs, bytes
    memory.check(pairs * steps * each, f"steps = {steps:,}: so many samples", "Set fewer steps.")


def _cannot(release: Release, verb: str, lacks: str, other: Space | None, instead: str) -> str:
    """Why a verb cannot be had: at all, or from what it was given."""
    if other is not None:
        return f"{release.name} has no tasks that {lacks}: to {verb}, {instead}."
    return f"{release.name} cannot {verb}: it has no code that its tasks encode or generate from and decode."


def _decoded(run: Run, release: Release, space: Space, codes: Codes, labels: Mapping[str, Array]) -> Any:
    """What codes (n, steps, numbers) and labels, each of which stretches to (n, steps), decode to, row by row."""
    rows = next(iter(codes.values())).shape[:2]
    feeds: dict[str, Array] = {
        name: codes[name].reshape(-1, *spec.shape).astype(np.float32) for name, spec in space.parts.items()
    }
    feeds |= {name: np.broadcast_to(labels[name], rows).reshape(-1) for name in space.labels}
    name, spec = next(iter(release.tasks[space.task].outputs.items()))
    return from_batch(run(space.task, feeds)[name], spec)


def _linear(a: Array, b: Array, share: Array) -> Array:
    line: Array = (1 - share) * a + share * b
    return line


def _spherical(a: Array, b: Array, share: Array) -> Array:
    """sin((1 − t)θ) / sin θ · a + sin(tθ) / sin θ · b, θ the angle between them (Shoemake 1985).

    Codes of standard normal noise lie near a sphere, and this way stays near it (White 2016). Where the angle is 0 or
    π, or a code 0, no great circle is the shortest, and the way is straight.
    """
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(-1, keepdims=True) / np.where(lengths > 0, lengths, 1)
    angle = np.arccos(cosine.clip(-1, 1))
    sine = np.sin(angle)
    round_ = (sine > 1e-6) & (lengths > 0)
    sine = np.where(round_, sine, 1)
    curved: Array = np.sin((1 - share) * angle) / sine * a + np.sin(share * angle) / sine * b
    return np.where(round_, curved, _linear(a, b, share))


def _is_uniform(spec: Vector | Noise) -> bool:
    return isinstance(spec, Noise) and spec.distribution == "uniform"


def _is_normal(spec: Vector | Noise) -> bool:
    return isinstance(spec, Noise) and spec.distribution == "normal"
