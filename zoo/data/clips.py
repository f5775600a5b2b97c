"""Audio clips in memory: waveforms of one length, or spectrograms of these."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, LogMel
from zoo.media import mel


def in_memory(clips: Iterable[NDArray[np.int16]], count: int, spec: Audio | LogMel) -> NDArray[np.int16]:
    """Cut or pad audio clips of any length, and return int16 (n, samples)."""
    waveforms = np.empty((count, spec.samples), np.int16)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:] = mel.fit(clip, spec.samples)
    return waveforms


def of_waveforms(waveforms: NDArray[np.int16], spec: Audio | LogMel) -> NDArray[np.int16] | NDArray[np.float32]:
    """Convert waveforms to the arrays of a data set: int16 (n, samples), or float32 (n, bands, frames)."""
    return mel.log_mel(waveforms, spec) if isinstance(spec, LogMel) else waveforms
