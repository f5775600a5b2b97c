"""Inpainting: masked values are sampled token by token, or filled in by iterated reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Image, Spec, Text, Vector, Video
from zoo.core import philox
from zoo.core.arguments import check_count
from zoo.core.errors import SettingError
from zoo.media import kinds
from zoo.media.convert import from_batch, to_batch
from zoo.release import Release
from zoo.sampling import generation
from zoo.sampling.autoregressive import UNSET
from zoo.sampling.generation import Request, labelled, labels_in
from zoo.sampling.loop import Run

Array = NDArray[Any]


def inpaint(
    run: Run,
    release: Release,
    x: Any,
    mask: Any,
    *,
    steps: int,
    seed: int,
    label: Any,
) -> Any:
    """See :meth:`zoo.runtime.LoadedModel.inpaint`."""
    check_count("steps", steps, 1)
    philox.checked(seed, 0, 1)
    plan = _sampled(release)
    way = _repeated(release) if plan is None else ("encode",)
    if way is None:
        instead = " A text is completed by generate(prompt=…)." if isinstance(release.sample.x, Text) else ""
        raise SettingError(f"{release.name} cannot inpaint: none of its tasks reconstructs a sample.{instead}")
    (name, spec), *_ = release.tasks[way[0]].inputs.items()
    given = to_batch(x, spec, name, release.background)
    count = len(given)
    labels = labelled(
        labels_in(release.tasks[way[0]]) if plan is None else plan.labels(),
        count,
        label,
        np.arange(count) if plan else None,
    )
    missing = mask_of(mask, spec)
    if len(missing) not in (1, len(given)):
        raise SettingError(f"There are {len(missing)} masks for {len(given)} inputs: give one, or one for each.")
    missing = np.broadcast_to(missing, given.shape)
    if plan is not None:
        return from_batch(_picked(run, plan, given, missing, seed, labels), spec)
    channels = given.ndim - 3 if kinds.of(spec).pixels else 0  # one mean per channel of images and videos
    axes = tuple(axis for axis in range(1, given.ndim) if axis != channels)
    if missing.all(axes).any():
        raise SettingError("The mask covers all of a sample, so no known value is left. Leave a part uncovered.")
    filled = np.where(missing, given.mean(axes, keepdims=True, where=~missing), given)
    for _ in range(steps):
        made = filled.astype(np.float32)
        for task in way:
            feeds = {next(iter(release.tasks[task].inputs)): made, **labels}
            made = next(iter(run(task, feeds).values()))
        filled = np.where(missing, made, given)
    return from_batch(filled, spec)


def verbs(release: Release) -> dict[str, str]:
    """A description of how a model inpaints; {} if it cannot."""
    if _sampled(release) is not None:
        return {"inpaint": "sample, mask → what the mask covers, sampled token by token (seed, label)"}
    way = _repeated(release)
    if way is None:
        return {}
    label = " (label)" if labels_in(release.tasks[way[0]]) else ""
    return {"inpaint": f"sample, mask → what the mask covers, filled in{label}"}


def _repeated(release: Release) -> tuple[str, ...] | None:
    """The tasks that together reconstruct a sample but of text, given labels if any; None if there are none."""
    for way in (("reconstruct",), ("encode", "decode")):
        if any(task not in release.tasks for task in way):
            continue
        (_, spec), *others = release.tasks[way[0]].inputs.items()
        made: Mapping[str, Spec] = {"": spec}
        for task in way:
            (_, taken), *beside = release.tasks[task].inputs.items()
            if beside != others or not _same(taken, next(iter(made.values()))):
                break
            made = release.tasks[task].outputs
        else:
            fits = dict(others) == labels_in(release.tasks[way[0]]) and next(iter(made.values())) == spec
            if fits and spec.kind in kinds.SAMPLES and not isinstance(spec, Text):
                return way
    return None


def _same(taken: Spec, made: Spec) -> bool:
    """Whether an output fits an input: the same shape and dtype, whether declared as a vector or as noise."""
    return (taken.shape, taken.dtype) == (made.shape, made.dtype)


def _sampled(release: Release) -> Plan | None:
    """The plan of a model whose tokens are pixels: encode maps each pixel to a token, and generation samples these.

    None for other models, such as those whose grid is coarser than the image.
    """
    plan, encode, x = release.plan, release.tasks.get("encode"), release.sample.x
    if plan is None or plan.tokens is None or not plan.last or not isinstance(x, Image) or encode is None:
        return None
    if plan.inputs("given"):
        return None
    grid = plan.tasks[plan.last].inputs[plan.made]
    fits = [*encode.inputs.values()] == [x] and next(iter(encode.outputs.values())) == grid and plan.gives == x
    return plan if fits and grid.shape == (x.height, x.width) else None


def _picked(run: Run, plan: Plan, given: Array, missing: Array, seed: int, labels: Mapping[str, Array]) -> Array:
    """Images (n, c, h, w) with the missing pixels sampled in order, given the known ones."""
    seed, _, _ = philox.checked(seed, 0, len(given))
    ((name, _),), (grid,) = plan.tasks["encode"].inputs.items(), [*plan.tasks["encode"].outputs][:1]
    known = np.where(missing[:, 0], UNSET, run("encode", {name: given})[grid])
    made = np.empty_like(given)
    size = generation.rows(*(plan.tasks[task] for task in plan.uses))
    for start in range(0, len(given), size):
        part = slice(start, start + size)
        indices, classes = np.arange(len(given))[part], {key: value[part] for key, value in labels.items()}
        asked = generation.asked_of(plan, indices, **classes)
        made[part] = generation.sample(run, plan, indices, seed, asked, Request(tokens=known[part]))
    return np.where(missing, made, given)


def mask_of(mask: Any, spec: Spec) -> NDArray[np.bool_]:
    """Convert a mask to a boolean batch that broadcasts with a batch of the spec: True where values are missing."""
    if isinstance(spec, (Image, Video)):
        covered = to_batch(mask, replace(spec, channels=1), "mask", "black")  # (n, …, 1, h, w)
    else:
        covered = to_batch(mask, Vector(spec.shape), "mask")
    if covered.any() and covered.max() < 0.5:  # such as a uint8 mask of 0 and 1
        raise SettingError("The mask has no white, only dark values. Use 255 where it covers, or booleans.")
    return covered >= 0.5
