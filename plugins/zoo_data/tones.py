"""tones: short audio clips made by a formula. Enough to try a model of audio clips, not to evaluate it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import zoo
from zoo.core import philox
from zoo.data import clips
from zoo.data.data_split import fingerprint
from zoo.media import mel
from zoo.media.wav import to_int16

RATE = 8000
SECONDS = 1.0
TRAIN, TEST = 240, 60
GLIDES = (0.0, 1.0, -1.0)
"""The number of octaves by which a tone rises, for each class."""


def form(options: zoo.AudioOptions) -> zoo.Sample:
    """The form of the clips and their labels."""
    return zoo.Sample(mel.form(RATE, options.seconds, options.bands), {"label": zoo.Label(len(GLIDES))})


def load(split: str, folder: Path, options: zoo.AudioOptions) -> zoo.Loaded:
    """Make tones of 150 to 600 Hz with three harmonics, 0.3 to 1 s long, at 0.1 to 1 of full amplitude, from a seed."""
    indices = np.arange(TRAIN) if split == "train" else np.arange(TRAIN, TRAIN + TEST)
    labels = indices % len(GLIDES)
    pitch, length, loudness, phase = philox.draw("uniform", (4,), 0, indices).astype(np.float64).T[:, :, None]
    time = np.arange(round(RATE * SECONDS)) / RATE
    part = time / (0.3 + 0.7 * length)  # the fraction of the tone that has passed, (n, samples)
    octaves = 2 * pitch + np.array(GLIDES)[labels][:, None] * part
    angle = 2 * np.pi * (np.cumsum(150 * 2**octaves, 1) / RATE + phase)
    harmonics = sum(np.sin(times * angle) / times for times in (1, 2, 3)) / 2
    envelope = np.sin(np.pi * part.clip(0, 1))
    waveforms = to_int16(10 ** (loudness - 1) * envelope * harmonics)
    spec = mel.form(RATE, options.seconds, options.bands)
    cut = clips.in_memory(waveforms, len(waveforms), spec)
    labels = labels.astype(np.int64)
    return zoo.Loaded(fields={"x": clips.of_waveforms(cut, spec), "label": labels}, sha256=fingerprint(cut, labels))


tones = zoo.DataSet(
    card=zoo.DataCard(
        title="Tones that a formula makes, 8 kHz, to try a model of audio",
        source="Tones of three kinds, made by zoo itself (zoo_data/tones.py)",
        licence="MIT",
        citation="none is needed",
        split="the first 240 to train on, the next 60 to test",
    ),
    options=zoo.AudioOptions,
    sample=form,
    load=load,
    classes=("steady", "rising", "falling"),
    train=TRAIN,
    test=TEST,
)
