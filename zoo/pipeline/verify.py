"""Verifies a release: its hashes, its graphs, its samples, and its parity with torch if that is installed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import registry
from zoo import release as releases
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import LONGEST, LogMel, Spec, Text, Video
from zoo.core import files
from zoo.core.errors import DataError, ParityError, ReleaseError, SettingError, ZooError, installed
from zoo.hub import keys, signature_files, signing
from zoo.hub.resolve import find, on_hub, signer
from zoo.hub.source import HubSource
from zoo.media import display, kinds, mel, table, wav
from zoo.media.convert import from_batch
from zoo.media.kinds import text_to_ids
from zoo.release import given
from zoo.runtime import LoadedModel, OnnxBackend, derived, samples_of
from zoo.runtime.example_inputs import example, examples
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


class Note(str):
    """The description of something that was not checked."""


def verify(source: str | Path, key: str | Path | None = None, require_signature: bool = False) -> dict[str, str]:
    """Check a release and return a description of each check's result. Raises :class:`ReleaseError` if one fails.

    With `key`, the public key of a publisher in PEM, the signature of the release is checked too; a release without one
    is an error if `require_signature`. Without `key`, that which a registry pins for the release is taken, and then the
    signature is required; :class:`SettingError` if there is none and `require_signature`.
    """
    pinned = signer(source) if key is None else None
    public = pinned if key is None else files.expand(key)
    required = require_signature or pinned is not None
    if required and public is None:
        raise SettingError("A required signature needs the public key of whoever should have signed. Give --key PUB.")
    if public is not None:
        keys.public_key(public)  # a wrong path is an error for a release without a signature too
    release = releases.read(find(source))
    found = {"files": f"{releases.verify(release)} files have the SHA-256 of the manifest"}
    if strays := releases.strays(release):
        names = f"{', '.join(strays[:5])}{' …' if len(strays) > 5 else ''}"
        found["other files"] = Note(f"{names}: not in the manifest, and not used")
    if signature := _signature(release, on_hub(source), public, required):
        found["signature"] = signature
    backend = OnnxBackend(release, "cpu")
    model = LoadedModel(release, backend)
    found["graphs"] = _graphs(model, release, backend)
    if "samples" in release.manifest and release.generation is not None:
        found["samples"] = _samples(model)
    if release.codec is not None:
        found["codec"] = _codec(model)
    plugin = registry.plugins().get(registry.split(release.name)[0])
    if releases.QUANTIZED in release.manifest:
        made = release.manifest[releases.QUANTIZED]
        found["parity"] = f"does not apply to {made['kind']}, which differs from torch; zoo info shows its losses"
    elif not installed("torch"):
        found["parity"] = "as released; not proven again: torch is not installed"
    elif not plugin:
        found["parity"] = "as released; not proven again: the plugin is not installed"
    else:
        try:
            found["parity"] = _parity(release)
        except ParityError:
            raise
        except ZooError as error:  # the plugin cannot check parity, but the release itself is valid
            found["parity"] = f"as released; not proven again: {error}"
    model.close()
    return found


def _signature(release: releases.Release, source: HubSource | None, key: Path | bytes | None, required: bool) -> str:
    """Check the signature of a release; empty where there is neither a signature nor a key.

    That of a release on the Hub is not in its cached folder, and is downloaded if there is a key to check it with.
    """
    content, where = signing.read(release.folder), str(release.folder / releases.SIGNATURE)
    if content is None and source is not None and key is not None:
        content, where = signature_files.fetch(source), f"{releases.SIGNATURE} of {source}"
    if content is None and required:
        raise ReleaseError(f"{release.name} has no signature: {where} is missing. Ask its publisher to sign it.")
    if content is None:
        return "" if key is None else Note(f"none: {where} is missing, so the key could not be checked")
    if key is None:
        return Note(f"not checked: give the public key of the publisher (--key PUB) to check {where}")
    signed = signing.verify(release.folder, content, key, where)
    also = f"; {len(signed.others)} more are signed, are no part of the release, and were not checked"
    return (
        f"{len(signed.files)} files, the manifest among them, are signed by the key with the fingerprint "
        f"{signed.fingerprint}{also if signed.others else ''}"
    )


def _graphs(model: LoadedModel, release: releases.Release, backend: OnnxBackend) -> str:
    """Run every task on zeros, or on points of a schedule: outputs must be finite and have the declared shape.

    Derived graphs must agree with the tasks.
    """
    for name, task in model.release.tasks.items():
        for batch in (1, 3):
            feeds = {key: _zeros(spec, batch) for key, spec in task.inputs.items()}
            if schedule := release.plan.schedule(name) if release.plan is not None else ():
                feeds = examples(task.inputs, batch, schedule)
            outputs = backend.run(name, feeds)
            for key, spec in task.outputs.items():
                if outputs[key].shape != (batch, *spec.shape) or not np.isfinite(outputs[key]).all():
                    raise ReleaseError(
                        f"{model.release.folder}: task {name!r} gives {key} of shape {outputs[key].shape}, "
                        "or values that are not finite, unlike its declaration."
                    )
    others = derived.check(release, backend)
    also = f"; {', '.join(others)} agree with them" if others else ""
    return f"{', '.join(model.tasks)} run at batches 1 and 3{also}"


def _zeros(spec: Spec, batch: int) -> NDArray[Any]:
    """A batch of zeros, or of the numbers nearest to 0 that a sample may have."""
    kind = kinds.SAMPLES.get(spec.kind)
    return np.full((batch, *spec.shape), np.clip(0, *kind.bounds(spec)) if kind else 0, spec.dtype)


def _samples(model: LoadedModel) -> str:
    """Generate the release's samples again and compare them with its file of samples, by the format's rules."""
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


def _codec(model: LoadedModel) -> str:
    """Compress examples and decompress them: the result must be that of the two tasks, bit for bit."""
    codec = model.release.codec
    assert codec is not None
    samples = from_batch(example(model.release.sample.x, 3, 0), model.release.sample.x)
    expected = _first(model.run(codec.decode, _first(model.run(codec.encode, samples))))
    data = model.compress(samples)
    if not np.array_equal(model.decompress(data), expected):
        raise ReleaseError(f"{model.release.folder}: what it compresses does not come back. Get the release again.")
    return f"3 examples become {len(data):,} bytes, and come back as {codec.decode} gives them"


def _first(made: Any) -> Any:
    """The first output of a task."""
    return next(iter(made.values())) if isinstance(made, dict) else made


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


def _parity(release: releases.Release) -> str:
    from zoo.modules.torch_backend import TorchBackend
    from zoo_export import parity

    found = parity.prove(release, TorchBackend(release, "cpu"), OnnxBackend(release, "cpu"))
    worst = max(gap for rows in found["tasks"].values() for gap in rows.values())
    return f"torch and ONNX Runtime agree on every task, largest difference {worst:.1e}"
