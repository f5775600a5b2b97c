"""One table of the kinds of values: what is read, converted, described, shown and written, a file for each.

base      what every kind does: arrays of numbers; and what kinds of samples do beside
image     images
video     videos
text      text
audio     waveforms, log-mel spectrograms
array     arrays of numbers that are data
numbers   classes, noise, scores
"""

from __future__ import annotations

from typing import Any

from zoo.contract.specs import (
    Array,
    Audio,
    Image,
    Label,
    LogMel,
    Noise,
    Number,
    SampleSpec,
    Score,
    Spec,
    Text,
    Vector,
    Video,
)
from zoo.media.kinds.array import ArrayKind
from zoo.media.kinds.audio import AudioKind, ClipKind, LogMelKind
from zoo.media.kinds.base import Fit, Kind, Layout, Reading, SampleKind, as_json
from zoo.media.kinds.image import ImageKind
from zoo.media.kinds.numbers import LabelKind, NoiseKind, NumberKind, ScoreKind, names_of, numbered
from zoo.media.kinds.text import TextKind, ids_to_text, known_characters, text_to_ids
from zoo.media.kinds.video import VideoKind

__all__ = [
    "NUMBERS", "SAMPLES", "ClipKind", "Fit", "Kind", "Layout", "Reading", "SampleKind", "as_json", "ids_to_text",
    "known_characters", "names_of", "numbered", "of", "of_sample", "text_to_ids",
]  # fmt: skip

SAMPLES: dict[str, SampleKind[Any]] = {
    Image.kind: ImageKind(),
    Video.kind: VideoKind(),
    Text.kind: TextKind(),
    Audio.kind: AudioKind(),
    LogMel.kind: LogMelKind(),
    Array.kind: ArrayKind(),
}
"""By the kind of a spec: values that a data set can hold."""

NUMBERS: Kind[Any] = Kind()

_OTHERS: dict[str, Kind[Any]] = {
    Vector.kind: NUMBERS,
    Label.kind: LabelKind(),
    Noise.kind: NoiseKind(),
    Number.kind: NumberKind(),
    Score.kind: ScoreKind(),
}


def of_sample(spec: SampleSpec) -> SampleKind[Any]:
    """What is done with samples of a form."""
    return SAMPLES[spec.kind]


def of(spec: Spec | None) -> Kind[Any]:
    """What is done with values of a form; those without one are numbers."""
    return NUMBERS if spec is None else SAMPLES.get(spec.kind) or _OTHERS[spec.kind]
