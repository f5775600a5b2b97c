"""Samples of any kind for people: as one image, and as the files of their kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, Image, LogMel, SampleSpec
from zoo.media import kinds
from zoo.media.grid import Pixels


def to_display(x: NDArray[Any]) -> NDArray[Any]:
    """Images or audio clips of a data set as people hold them, and as models take them.

    uint8 (n, c, h, w) is given as (n, h, w), or (n, h, w, 3) in colour; waveforms in int16 as float32 in [-1, 1];
    spectrograms as they are, in float32.
    """
    kind = Image.kind if x.ndim == 4 else Audio.kind if x.dtype == np.int16 else LogMel.kind
    return kinds.SAMPLES[kind].from_data(x)


def frames(samples: Any, spec: SampleSpec) -> Pixels:
    """Each sample but of text as an image: uint8 (n, h, w) or (n, h, w, 3).

    `samples` are as :meth:`zoo.runtime.LoadedModel.generate` gives them.
    """
    return kinds.of_sample(spec).frames(samples, spec)


def image(samples: Any, spec: SampleSpec, columns: int | None = None, gap: int = 1) -> Pixels:
    """All samples as one image, not enlarged: a grid, or a page of text."""
    return kinds.of_sample(spec).image(samples, spec, columns, gap)


def waveforms(samples: Any, spec: Audio | LogMel) -> NDArray[np.float32]:
    """Samples as waveforms, float32 (n, samples) in [-1, 1]: spectrograms by :mod:`zoo.media.griffin_lim`."""
    kind = kinds.of_sample(spec)
    assert isinstance(kind, kinds.ClipKind)
    return kind.waveforms(samples, spec)


def contents(samples: Any, spec: SampleSpec) -> dict[str, bytes]:
    """The content of the files that show samples, by ending: .png, for audio clips .wav too, for text .txt alone."""
    return kinds.of_sample(spec).files(samples, spec)
