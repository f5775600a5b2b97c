"""Proves a release again: its hashes, its graphs, its samples, and parity where torch is installed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from zoo import pictures, registry
from zoo import release as releases
from zoo.errors import PluginError, ReleaseError, installed
from zoo.runtime import LoadedModel, OnnxBackend
from zoo.sources import find

SAMPLES = "samples.png"
TEXTS = "samples.txt"


def verify(source: str | Path) -> dict[str, str]:
    """Check a release and return what was found, by what was checked. Raises :class:`ReleaseError` for what fails."""
    release = releases.read(find(source))
    found = {"files": f"{releases.verify(release)} files have the SHA-256 that the manifest names"}
    model = LoadedModel(release, OnnxBackend(release, "cpu"))
    found["graphs"] = _graphs(model)
    if SAMPLES in release.files and release.generation is not None:
        found["samples"] = _samples(model)
    plugin = registry.plugins().get(registry.split(release.name)[0])
    if not (installed("torch") and installed("onnx")):
        found["parity"] = "as released; torch is not installed to prove it again"
    elif not plugin:
        found["parity"] = "as released; the plugin is not installed to prove it again"
    else:
        try:
            found["parity"] = _parity(release)
        except PluginError as error:  # the release is well all the same
            found["parity"] = f"as released; not proven again: {error}"
    model.close()
    return found


def _graphs(model: LoadedModel) -> str:
    """Run every graph on zeros: outputs must have their declared shape and be finite."""
    backend = model._backend
    for name, task in model.release.tasks.items():
        for batch in (1, 3):
            feeds = {key: np.zeros((batch, *spec.shape), spec.dtype) for key, spec in task.inputs.items()}
            outputs = backend.run(name, feeds)
            for key, spec in task.outputs.items():
                if outputs[key].shape != (batch, *spec.shape) or not np.isfinite(outputs[key]).all():
                    raise ReleaseError(
                        f"{model.release.folder}: task {name!r} gives {key} of shape {outputs[key].shape}, "
                        "or values that are not finite, which is not what it declares."
                    )
    return f"{', '.join(model.tasks)} run at batches 1 and 3"


def _samples(model: LoadedModel) -> str:
    """Generate the release's samples again and compare them with its picture, or its text."""
    from PIL import Image

    release = model.release
    if release.sample.x.kind == "text":
        kept = (release.folder / TEXTS).read_text("utf-8")[:-1]
        if model.generate(1, seed=0, length=len(kept))[0] != kept:
            raise ReleaseError(f"{release.folder}: the text of seed 0 is not the one in {TEXTS}.")
        return f"seed 0 gives the text in {TEXTS}"
    again = pictures.enlarge(pictures.grid(model.generate(64, seed=0)))
    with Image.open(io.BytesIO((release.folder / SAMPLES).read_bytes())) as opened:
        kept_pixels: Any = np.asarray(opened)
    if kept_pixels.shape != again.shape or np.abs(kept_pixels.astype(int) - again).max() > 1:
        raise ReleaseError(f"{release.folder}: the samples of seed 0 are not those in {SAMPLES}.")
    return f"seed 0 gives the pictures in {SAMPLES}, within one level"


def _parity(release: releases.Release) -> str:
    from zoo.torch_backend import TorchBackend
    from zoo_export import parity

    found = parity.prove(release, TorchBackend(release, "cpu"), OnnxBackend(release, "cpu"))
    worst = max(gap for rows in found["tasks"].values() for gap in rows.values())
    return f"torch and ONNX Runtime agree on every task, largest difference {worst:.1e}"
