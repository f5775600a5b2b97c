"""Samples of any kind for people: as one image, and as the files of their kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, Image, LogMel, SampleSpec, Video
from zoo.media import kinds
from zoo.media.grid import Pixels

FULL = {np.dtype(np.uint8): 255, np.dtype(np.int16): 32768}
"""Divisor of a data set's stored values, by dtype, for the values that a graph takes."""


def to_display(x: NDArray[Any]) -> NDArray[Any]:
    """Samples of a data set, but of text, as people hold them, and as models take them. The dtype says their kind.

    uint8 (n, c, h, w) is given as (n, h, w), or (n, h, w, c) of more channels; videos in uint8 (n, frames, c, h, w) as
    (n, frames, h, w), or (n, frames, h, w, 3); waveforms in int16 as float32 in [-1, 1]; floats in float32.
    """
    if x.dtype == np.uint8:
        return kinds.SAMPLES[Video.kind if x.ndim == 5 else Image.kind].from_data(x)
    return kinds.SAMPLES[Audio.kind].from_data(x) if x.dtype == np.int16 else x.astype(np.float32)


def to_graph(x: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of a data set, but of text, as graphs take them: uint8 over 255, int16 over 32768, floats as they are."""
    made: NDArray[np.float32] = x.astype(np.float32) / np.float32(FULL.get(x.dtype, 1))
    return made


def frames(samples: Any, spec: SampleSpec) -> Pixels:
    """Each sample but of text as an image: uint8 (n, h, w) or (n, h, w, 3); of a video the first frame.

    `samples` are as :meth:`zoo.runtime.LoadedModel.generate` gives them. Raises :class:`SettingError` for arrays, which
    are shown as numbers.
    """
    return kinds.of_sample(spec).frames(samples, spec)


def image(samples: Any, spec: SampleSpec, columns: int | None = None, gap: int = 1) -> Pixels:
    """All samples as one still image, not enlarged: a grid, or a page of text. Raises as :func:`frames` does."""
    return kinds.of_sample(spec).images(samples, spec, columns, gap)[0]


def images(samples: Any, spec: SampleSpec, columns: int | None = None, gap: int = 1) -> list[Pixels]:
    """The same at each moment: for videos one image a frame. Raises as :func:`frames` does."""
    return kinds.of_sample(spec).images(samples, spec, columns, gap)


def waveforms(samples: Any, spec: Audio | LogMel) -> NDArray[np.float32]:
    """Samples as waveforms, float32 (n, samples) in [-1, 1]: spectrograms by :mod:`zoo.media.griffin_lim`."""
    kind = kinds.of_sample(spec)
    assert isinstance(kind, kinds.ClipKind)
    return kind.waveforms(samples, spec)


def contents(samples: Any, spec: SampleSpec) -> dict[str, bytes]:
    """The content of the files that show samples, by ending: .png, for audio clips .wav too; for text .txt alone, and
    for arrays .csv alone."""
    return kinds.of_sample(spec).files(samples, spec)
