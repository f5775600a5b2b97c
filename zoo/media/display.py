"""Samples of any kind for people: as one image, and as the files of their kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, LogMel, SampleSpec, Text
from zoo.media import grid, wav
from zoo.media.grid import Pixels


def shown(x: NDArray[Any]) -> NDArray[Any]:
    """Images or audio clips of a data set as people hold them, and as models take them.

    uint8 (n, c, h, w) is given as (n, h, w), or (n, h, w, 3) in colour; waveforms in int16 as float32 in [-1, 1];
    spectrograms as they are, in float32.
    """
    if x.ndim == 4:
        return x[:, 0] if x.shape[1] == 1 else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x.astype(np.float32) / np.float32(32768 if x.dtype == np.int16 else 1)


def frames(samples: Any, spec: SampleSpec) -> Pixels:
    """Each sample but of text as an image: uint8 (n, h, w) or (n, h, w, 3).

    A spectrogram has the low bands at the bottom; value v is grey level round(255 v), halves to even. `samples` are as
    :meth:`zoo.runtime.LoadedModel.generate` gives them.
    """
    if isinstance(spec, LogMel):
        levels: Pixels = np.rint(np.clip(samples, 0, 1)[:, ::-1] * 255.0).astype(np.uint8)
        return levels
    if isinstance(spec, Audio):
        return grid.of_waveforms(np.asarray(samples))
    return np.asarray(samples, np.uint8)


def image(samples: Any, spec: SampleSpec, columns: int | None = None, gap: int = 1) -> Pixels:
    """All samples as one image, not enlarged: a grid, or a page of text."""
    if isinstance(spec, Text):
        return grid.of_texts(samples)
    return grid.grid(frames(samples, spec), columns, gap)


def sounds(samples: Any, spec: Audio | LogMel) -> NDArray[np.float32]:
    """Samples as waveforms, float32 (n, samples) in [-1, 1]: spectrograms by :mod:`zoo.media.griffin_lim`."""
    if isinstance(spec, Audio):
        return np.asarray(samples)
    from zoo.media.griffin_lim import griffin_lim

    return griffin_lim(samples, spec)


def contents(samples: Any, spec: SampleSpec) -> dict[str, bytes]:
    """The content of the files that show samples, by ending: .png, for audio clips .wav too, for text .txt alone."""
    if isinstance(spec, Text):
        return {".txt": (samples[0] + "\n").encode()}
    made = {".png": grid.png(grid.enlarge(image(samples, spec)))}
    if isinstance(spec, (Audio, LogMel)):
        made[".wav"] = wav.write(sounds(samples, spec).reshape(-1), spec.rate)
    return made
