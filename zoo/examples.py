"""Plausible input for any task, the same on every machine: what the proof and the benchmark feed to a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import noise
from zoo.specs import Audio, Image, Label, LogMel, Noise, Spec, Text

Array = NDArray[Any]

SEED = 0


def example(spec: Spec, batch: int, stream: int) -> Array:
    """A batch of plausible input for a spec, the same on every machine."""
    indices = np.arange(batch)
    if isinstance(spec, (Label, Text)) or spec.dtype == "int64":
        classes = spec.classes if isinstance(spec, (Label, Text)) else 8
        uniform = noise.draw("uniform", spec.shape, SEED, indices, stream)
        return (uniform * classes).astype(np.int64)
    if isinstance(spec, Image):
        levels: Array = np.rint(noise.draw("uniform", spec.shape, SEED, indices, stream) * np.float32(255))
        return levels / np.float32(255)
    if isinstance(spec, LogMel):
        return noise.draw("uniform", spec.shape, SEED, indices, stream)
    if isinstance(spec, Audio):  # noise at a third of full scale
        return (noise.draw("normal", spec.shape, SEED, indices, stream) / np.float32(3)).clip(-1, 1)
    return noise.draw(spec.distribution if isinstance(spec, Noise) else "normal", spec.shape, SEED, indices, stream)
