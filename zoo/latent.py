"""Verbs that follow from tasks: interpolation, latent traversal and in-painting, for models that have what it takes.

Each takes `run`, which runs a task on named batches of any size, and the release that says which tasks there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo import generation, noise
from zoo.convert import from_batch, to_batch
from zoo.errors import SettingError
from zoo.plan import Plan
from zoo.release import Release
from zoo.specs import Audio, Chain, Image, LogMel, Noise, OneShot, SampleSpec, Spec, Text, Vector
from zoo.tokens import FREE, Run

Array = NDArray[Any]
Method = Literal["auto", "linear", "spherical"]

VERBS = ("interpolate", "traverse", "inpaint")
"""The names of all of them."""

LARGEST = 1e30  # of a number in a code, well within float32


@dataclass(frozen=True)
class Space:
    """Where codes lie: in the input `name`, of the form `spec`, of the task that decodes them."""

    task: str
    name: str
    spec: Vector | Noise


def coded(release: Release) -> Space | None:
    """The space of encode's first output, where decode takes that and nothing else; None where they are not so."""
    encode, decode = release.tasks.get("encode"), release.tasks.get("decode")
    if encode is None or decode is None or len(encode.inputs) > 1 or len(decode.inputs) > 1:
        return None
    code, made = next(iter(encode.outputs.values())), next(iter(decode.outputs.values()))
    ((name, spec),) = decode.inputs.items()
    if not isinstance(spec, (Vector, Noise)) or (code.shape, code.dtype) != (spec.shape, spec.dtype):
        return None
    return Space("decode", name, spec) if spec.dtype == "float32" and isinstance(made, SampleSpec) else None


def drawn(release: Release) -> Space | None:
    """The space of the noise that one call makes a sample of; None for a model that generates in another way."""
    if not isinstance(release.generation, OneShot):
        return None
    inputs = release.tasks[release.generation.task].inputs
    ((name, spec),) = inputs.items() if len(inputs) == 1 else ((None, None),)
    return Space(release.generation.task, name, spec) if name and isinstance(spec, Noise) else None


def verbs(release: Release) -> dict[str, str]:
    """What a model can do beside its tasks, each with what it takes and gives, in words."""
    found = {}
    space = coded(release)
    of = "noise" if space is None else space.name
    item = "sample index" if space is None else next(iter(release.tasks["encode"].inputs))
    space = space or drawn(release)
    if space is not None:
        way = "spherical" if _is_normal(space.spec) else "linear"
        found["interpolate"] = f"{item}, {item} → steps from the {of} of one to that of the other ({way})"
        most = math.prod(space.spec.shape) - 1
        found["traverse"] = f"{item}, or a seed → one number of its {of} changed step by step (dimension 0 to {most})"
    if _sampled(release) is not None:
        found["inpaint"] = "sample, mask → what the mask covers, picked token by token (seed, label)"
    elif _repeated(release) is not None:
        found["inpaint"] = "sample, mask → what the mask covers, filled in"
    return found


def interpolate(run: Run, release: Release, a: Any, b: Any, *, steps: int, method: Method, seed: int) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.interpolate`."""
    _check_count("steps", steps, 2)
    if method not in ("auto", "linear", "spherical"):
        raise SettingError(f"method = {method!r} is not one of auto, linear, spherical.")
    (space, left), (other, right) = (_codes(run, release, "interpolate", value, seed) for value in (a, b))
    if space != other:
        raise SettingError(f"{release.name} has other codes for inputs than for samples: give two of one kind.")
    if len(left) != len(right):
        raise SettingError(f"a has {len(left)} inputs and b has {len(right)}; give as many of each.")
    spherical = _is_normal(space.spec) if method == "auto" else method == "spherical"
    share = np.linspace(0, 1, steps)[:, None]  # (steps, 1)
    codes = (_spherical if spherical else _linear)(left[:, None], right[:, None], share)  # (n, steps, size)
    return _decoded(run, release, space, codes)


def traverse(
    run: Run, release: Release, x: Any, *, dimension: int, low: float, high: float, steps: int, seed: int
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.traverse`."""
    _check_count("steps", steps, 2)
    for name, value in (("low", low), ("high", high)):
        if not (isinstance(value, (int, float, np.number)) and -LARGEST <= value <= LARGEST):
            raise SettingError(f"{name} = {value!r} is not a number from {-LARGEST:g} to {LARGEST:g}.")
    space, codes = _codes(run, release, "traverse", 0 if x is None else x, seed)
    if not _is_integer(dimension) or not 0 <= dimension < codes.shape[1]:
        raise SettingError(f"dimension = {dimension!r} is not an integer from 0 to {codes.shape[1] - 1}.")
    codes = np.repeat(codes[:, None], steps, axis=1)  # (n, steps, size)
    codes[:, :, dimension] = np.linspace(low, high, steps)
    return _decoded(run, release, space, codes)


def inpaint(
    run: Run,
    release: Release,
    x: Any,
    mask: Any,
    *,
    steps: int,
    seed: int,
    label: int | None,
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.inpaint`."""
    _check_count("steps", steps, 1)
    plan = _sampled(release)
    way = _repeated(release) if plan is None else ("encode",)
    if label is not None and (plan is None or not plan.labels() or not _is_integer(label)):
        raise SettingError(f"label = {label!r} is for models that pick pixels of one class, an integer. Leave it out.")
    if way is None:
        instead = " A text is completed by generate(prompt=…)." if isinstance(release.sample.x, Text) else ""
        raise SettingError(f"{release.name} cannot inpaint: no task of it reconstructs pictures or sounds.{instead}")
    ((name, spec),) = release.tasks[way[0]].inputs.items()
    given = to_batch(x, spec, name)
    missing = _mask(mask, spec)
    if len(missing) not in (1, len(given)):
        raise SettingError(f"There are {len(missing)} masks for {len(given)} inputs: give one, or one for each.")
    missing = np.broadcast_to(missing, given.shape)
    if plan is not None:
        return from_batch(_picked(run, plan, given, missing, seed, label), spec)
    axes = tuple(range(2 if isinstance(spec, Image) else 1, given.ndim))  # a picture's channels have means of their own
    if missing.all(axes).any():
        raise SettingError("The mask covers all of a sample, so there is nothing to go by. Leave a part uncovered.")
    filled = np.where(missing, given.mean(axes, keepdims=True, where=~missing), given)
    for _ in range(steps):
        made = filled.astype(np.float32)
        for task in way:
            made = next(iter(run(task, {next(iter(release.tasks[task].inputs)): made}).values()))
        filled = np.where(missing, made, given)
    return from_batch(filled, spec)


def _repeated(release: Release) -> tuple[str, ...] | None:
    """The tasks that, one after the other, make pictures or sounds of pictures or sounds of the same form."""
    ways = [("reconstruct",)] if "reconstruct" in release.tasks else []
    for way in [*ways, *([("encode", "decode")] if coded(release) is not None else [])]:
        inputs, outputs = release.tasks[way[0]].inputs, release.tasks[way[-1]].outputs
        spec = next(iter(inputs.values()))
        if len(inputs) == 1 and isinstance(spec, (Image, Audio, LogMel)) and next(iter(outputs.values())) == spec:
            return way
    return None


def _sampled(release: Release) -> Plan | None:
    """How tokens are picked that are the pixels: encode gives a token a pixel, and the generation picks such tokens.

    None for other models, and so for those whose grid is coarser than the picture.
    """
    plan, encode, x = release.plan, release.tasks.get("encode"), release.sample.x
    if plan is None or not isinstance(plan.value, Chain) or not isinstance(x, Image) or encode is None:
        return None
    grid = plan.tasks[plan.value.task].inputs[plan.grid]
    fits = [*encode.inputs.values()] == [x] and next(iter(encode.outputs.values())) == grid and plan.gives == x
    return plan if fits and grid.shape == (x.height, x.width) else None


def _picked(run: Run, plan: Plan, given: Array, missing: Array, seed: int, label: int | None) -> Array:
    """Pictures (n, c, h, w) whose missing pixels are picked in order, those that are known being fed as they come."""
    noise.check_seed(seed, 0, len(given))
    labels = generation.labels_for(plan, np.arange(len(given)), label)
    ((name, _),), (grid,) = plan.tasks["encode"].inputs.items(), [*plan.tasks["encode"].outputs][:1]
    known = np.where(missing[:, 0], FREE, run("encode", {name: given})[grid])
    made = np.empty_like(given)
    size = generation.rows(*(plan.tasks[task] for task in plan.uses))
    for start in range(0, len(given), size):
        part = slice(start, start + size)
        indices, classes = np.arange(len(given))[part], {key: value[part] for key, value in labels.items()}
        _, made[part] = generation.chain(run, plan, indices, seed, classes, given=known[part])
    return np.where(missing, made, given)


def _codes(run: Run, release: Release, verb: str, value: Any, seed: int) -> tuple[Space, NDArray[np.float64]]:
    """The codes of inputs, or of the sample of an index of a seed, (n, size), and the space that they lie in."""
    if _is_integer(value):
        space = drawn(release)
        if space is None:
            raise SettingError(_cannot(release, verb, "make samples of noise alone", coded(release), "give inputs"))
        assert isinstance(space.spec, Noise)
        noise.check_seed(seed, value, 1)
        index = np.array([value], np.int64)
        codes: Array = noise.draw(space.spec.distribution, space.spec.shape, seed, index)
    else:
        space = coded(release)
        if space is None:
            raise SettingError(
                _cannot(
                    release, verb, "encode and decode", drawn(release), "give the indices of samples, such as 0 and 1"
                )
            )
        encode = release.tasks["encode"]
        ((name, spec),) = encode.inputs.items()
        codes = run("encode", {name: to_batch(value, spec, name)})[next(iter(encode.outputs))]
    return space, codes.reshape(len(codes), -1).astype(np.float64)


def _cannot(release: Release, verb: str, lacks: str, other: Space | None, instead: str) -> str:
    """Why a verb cannot be had: at all, or from what it was given."""
    if other is not None:
        return f"{release.name} does not {lacks}: to {verb}, {instead}."
    return f"{release.name} cannot {verb}: it has no code that its tasks encode or generate from and decode."


def _decoded(run: Run, release: Release, space: Space, codes: NDArray[np.float64]) -> Any:
    """What codes (n, steps, size) decode to, row by row, as people want it."""
    feeds = {space.name: codes.reshape(-1, *space.spec.shape).astype(np.float32)}
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


def _mask(mask: Any, spec: Spec) -> NDArray[np.bool_]:
    """A mask as a batch that fits a batch of the spec: True where it covers."""
    if isinstance(spec, Image):
        covered = to_batch(mask, Image(1, spec.height, spec.width), "mask")  # (n, 1, h, w)
    else:
        covered = to_batch(mask, Vector(spec.shape), "mask")
    return covered >= 0.5


def _is_normal(spec: Vector | Noise) -> bool:
    return isinstance(spec, Noise) and spec.distribution == "normal"


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_count(name: str, value: Any, least: int) -> None:
    if not _is_integer(value) or value < least:
        raise SettingError(f"{name} = {value!r} is not an integer of at least {least}.")
