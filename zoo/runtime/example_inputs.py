"""Plausible inputs for any task, the same on every machine: what proofs and benchmarks feed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, Image, Label, LogMel, Noise, Spec, Text
from zoo.core import philox

Array = NDArray[Any]

SEED = 0


def example(spec: Spec, batch: int, stream: int) -> Array:
    """A batch of plausible input for a spec, the same on every machine."""
    indices = np.arange(batch)
    if isinstance(spec, (Label, Text)) or spec.dtype == "int64":
        classes = spec.classes if isinstance(spec, (Label, Text)) else 8
        uniform = philox.draw("uniform", spec.shape, SEED, indices, stream)
        return (uniform * classes).astype(np.int64)
    if isinstance(spec, Image):
        levels: Array = np.rint(philox.draw("uniform", spec.shape, SEED, indices, stream) * np.float32(255))
        return levels / np.float32(255)
    if isinstance(spec, LogMel):
        return philox.draw("uniform", spec.shape, SEED, indices, stream)
    if isinstance(spec, Audio):  # noise at a third of full scale
        return (philox.draw("normal", spec.shape, SEED, indices, stream) / np.float32(3)).clip(-1, 1)
    return philox.draw(spec.distribution if isinstance(spec, Noise) else "normal", spec.shape, SEED, indices, stream)
