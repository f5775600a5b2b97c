"""tones: short audio clips made by a formula. Enough to try a model of audio clips, not to evaluate it."""

from __future__ import annotations

import numpy as np

from zoo.contract.specs import Label, Sample
from zoo.core import philox
from zoo.data.audio_folder import in_memory, of_waveforms
from zoo.data.dataset import DataSet, Options, Split, fingerprint
from zoo.data.named import NamedSet
from zoo.media import mel
from zoo.media.wav import to_int16

RATE = 8000
SECONDS = 1.0
TRAIN, TEST = 240, 60
GLIDES = (0.0, 1.0, -1.0)
"""The number of octaves by which a tone rises, for each class."""


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Make tones of 150 to 600 Hz with three harmonics, 0.3 to 1 s long, at 0.1 to 1 of full amplitude, from a seed."""
    indices = np.arange(TRAIN) if split == "train" else np.arange(TRAIN, TRAIN + TEST)
    labels = indices % len(known.classes)
    pitch, length, loudness, phase = philox.draw("uniform", (4,), 0, indices).astype(np.float64).T[:, :, None]
    time = np.arange(round(RATE * SECONDS)) / RATE
    part = time / (0.3 + 0.7 * length)  # the fraction of the tone that has passed, (n, samples)
    octaves = 2 * pitch + np.array(GLIDES)[labels][:, None] * part
    angle = 2 * np.pi * (np.cumsum(150 * 2**octaves, 1) / RATE + phase)
    harmonics = sum(np.sin(times * angle) / times for times in (1, 2, 3)) / 2
    envelope = np.sin(np.pi * part.clip(0, 1))
    waveforms = to_int16(10 ** (loudness - 1) * envelope * harmonics)
    spec = mel.form(RATE, options.seconds, options.bands)
    clips = in_memory(waveforms, len(waveforms), spec)
    labels = labels.astype(np.int64)
    x = of_waveforms(clips, spec)
    return known.data_set(
        split, Sample(spec, {"label": Label(len(known.classes))}), x, labels, fingerprint(clips, labels)
    )
