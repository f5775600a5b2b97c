"""Compares the released samples of a model with those it generates again, by the tolerances of each format."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import release as releases
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import LONGEST, LogMel, Text, Video
from zoo.core.errors import DataError, ReleaseError
from zoo.media import display, kinds, mel, table, wav
from zoo.media.convert import from_batch
from zoo.media.kinds import text_to_ids
from zoo.release import given
from zoo.runtime import LoadedModel, samples_of
from zoo.sampling import autoregressive, generation

HEARD = 1.0
"""The mean difference in dB allowed between the spectrograms of two clips made from the same spectrogram: the many
iterations of Griffin-Lim amplify rounding. The clips of two different samples differ by more than twice as much."""

LEVELS = 5
"""The difference in levels of 32,768 allowed for a sample of a clip: the tolerance of parity, and rounding."""

NUMBERS = 2e-4
"""The difference allowed for a number x of an array, relative to 1 + |x|: the tolerance of parity on either side."""

CELL = 64
"""The bytes of a cell of a table of samples, at most, on average."""


def check(model: LoadedModel) -> str:
    """Generate the release's samples again and compare them with its file of samples, by the format's rules.

    Returns a description of the result. Raises :class:`ReleaseError` if they differ, or a file is damaged.
    """
    release = model.release
    made = release.manifest["samples"]
    name, seed = made["file"], made["seed"]
    if isinstance(release.sample.x, Text):
        try:
            text = release.path(name).read_text("utf-8")[:-1]
        except ValueError as error:
            raise ReleaseError(f"{release.folder / name} is not text in UTF-8. Get the release again.") from error
        if not len(text) <= LONGEST:
            raise ReleaseError(f"{release.folder / name} has {len(text)} characters; at most {LONGEST} are usable.")
        same = _picked(model, text, seed)
    elif name.endswith(".wav"):
        same = _heard(model, release.path(name), made)
    elif name.endswith(".csv"):
        same = _counted(model, release.path(name), made)
    else:
        same = _imaged(model, release.path(name), made)
        if same and "audio" in made:
            name = made["audio"]
            same = _clips_alike(model, release.path(name), made)
    picks = release.plan is not None and release.plan.tokens is not None
    if not same and releases.QUANTIZED in release.manifest and picks:
        return f"seed {seed} gives another sample than {name}: low precision rounds differently on other processors"
    if not same:
        raise ReleaseError(
            f"{release.folder}: the samples of seed {seed} are not those in {name}. Get the release again."
        )
    also = f" and, within tolerance, those in {made['audio']}" if "audio" in made else ""
    return f"seed {seed} gives the samples in {made['file']}{also}"


def _imaged(model: LoadedModel, path: Path, made: Mapping[str, int]) -> bool:
    """Whether the image, or each frame of it, shows the samples of the seed, within one level."""
    from PIL import Image

    x = model.release.sample.x
    kind, moments = kinds.of_sample(x), x.frames if isinstance(x, Video) else 1
    height, width = kind.cell(x)
    rows, gap, scale = -(-made["n"] // made["columns"]), made["gap"], made["scale"]
    size = made["columns"] * (width + gap) + gap, rows * (height + gap) + gap
    frames: list[NDArray[Any]] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked first
            with Image.open(path, formats=["PNG"]) as opened:
                if opened.size != (size[0] * scale, size[1] * scale) or getattr(opened, "n_frames", 1) != moments:
                    return False
                for moment in range(moments):
                    opened.seek(moment)
                    frames.append(np.asarray(opened)[::scale, ::scale])
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ReleaseError(f"{path} is not an image, or damaged. Get the release again.") from error
    samples = samples_of(model, made["n"], made["seed"])
    again = np.stack(kind.images(samples, x, made["columns"], made["gap"]))  # (moments, height, width, …)
    if any(frame.shape != again.shape[1:] for frame in frames):
        return False
    released = np.stack(frames)
    if _near(model, np.abs(released.astype(int) - again), 1):
        return True
    shown = [
        released[:, top : top + height, left : left + width]
        for top in range(gap, rows * (height + gap), height + gap)
        for left in range(gap, made["columns"] * (width + gap), width + gap)
    ]

    def alike(sample: Any, index: int) -> bool:
        seen = np.stack(kind.moments(sample[None], x), 1)[0]
        return _near(model, np.abs(seen.astype(int) - shown[index]), 1)

    return _picked_otherwise(model, made["seed"], samples, alike)


def _counted(model: LoadedModel, path: Path, made: Mapping[str, int]) -> bool:
    """Whether the file holds the arrays of the seed, one a row, within ``NUMBERS``."""
    size = math.prod(model.release.sample.x.shape)
    if path.stat().st_size > CELL * (made["n"] + 1) * size:  # before it is read
        return False
    try:
        released = table.read(path).numbers()
    except DataError as error:
        raise ReleaseError(f"{path} is not a table, or damaged. Get the release again.") from error
    if released.shape != (made["n"], size):
        return False
    samples = samples_of(model, made["n"], made["seed"])

    def alike(sample: Any, index: Any = ...) -> bool:
        gaps = np.abs(sample.reshape(released[index].shape) - released[index]) / (1 + np.abs(released[index]))
        return _near(model, gaps, NUMBERS)

    return alike(samples) or _picked_otherwise(model, made["seed"], samples, alike)


def _picked_otherwise(model: LoadedModel, seed: int, samples: Any, alike: Callable[[Any, int], bool]) -> bool:
    """Whether each sample of a chain is as released, or that of other tokens, which rounding may have picked instead.

    ``alike(sample, index)`` says whether a sample is the released one of an index.
    """
    plan = model.release.plan
    if plan is None or plan.tokens is None or not plan.last or releases.QUANTIZED in model.release.manifest:
        return False
    return all(
        alike(sample, index) or _otherwise(model, plan, seed, index, alike) for index, sample in enumerate(samples)
    )


def _otherwise(model: LoadedModel, plan: Plan, seed: int, index: int, alike: Callable[[Any, int], bool]) -> bool:
    """Whether other tokens than those picked, which rounding may pick, give the released sample."""
    assert plan.tokens is not None
    indices, grid = np.array([index]), plan.tokens.shape
    asked = generation.asked_of(plan, indices, **given.read(model.release, indices))
    for tokens in autoregressive.alternatives(model.backend.run, plan, indices, seed, asked, math.prod(grid)):
        inputs = {**asked, plan.made: tokens.reshape(1, *grid)}
        made = from_batch(generation.once(model.backend.run, plan, indices, seed, inputs), plan.gives)
        if alike(made[0], index):
            return True
    return False


def _heard(model: LoadedModel, path: Path, made: Mapping[str, int]) -> bool:
    """Whether the file holds the audio clips of the seed, concatenated, within ``LEVELS``."""
    _, released = wav.read(path, str(path))
    again = wav.to_int16(samples_of(model, made["n"], made["seed"]).reshape(-1))
    return released.shape == again.shape and _near(model, np.abs(released.astype(int) - again), LEVELS)


def _clips_alike(model: LoadedModel, path: Path, made: Mapping[str, int]) -> bool:
    """Whether the file's concatenated audio clips are close to those made from the seed's spectrograms."""
    spec = model.release.sample.x
    assert isinstance(spec, LogMel)
    rate, kept = wav.read(path, str(path))
    again = display.waveforms(samples_of(model, made["n"], made["seed"]), spec)
    if rate != spec.rate or kept.shape != (again.size,):
        return False
    levels = mel.log_mel(kept.reshape(again.shape), spec) - mel.log_mel(again, spec)
    return bool(np.abs(levels).mean((1, 2)).max() * -mel.FLOOR <= HEARD)


def _near(model: LoadedModel, gaps: NDArray[Any], most: float) -> bool:
    """Whether no gap exceeds `most`; for a quantised release, whose rounding differs more, the mean gap counts."""
    quantised = releases.QUANTIZED in model.release.manifest
    return bool((gaps.mean() if quantised else gaps.max()) <= most)


def _picked(model: LoadedModel, text: str, seed: int) -> bool:
    """Whether the model samples each character of the text given those before it, up to rounding."""
    plan, sample = model.release.plan, model.release.sample.x
    assert plan is not None
    assert isinstance(sample, Text)
    if plan.tokens is None:
        return bool(samples_of(model, 1, seed)[0] == text)
    index, tokens = np.zeros(1, np.int64), text_to_ids(text, sample)[None]
    free = np.full_like(tokens, autoregressive.UNSET)
    asked = generation.asked_of(plan, index, **given.read(model.release, index))
    return autoregressive.is_valid_continuation(
        model.backend.run, plan, index, seed, asked, tokens, free, autoregressive.ALL
    )
