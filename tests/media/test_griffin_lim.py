"""From spectrograms back to audio: on tones, on real speech, and against the definition."""

from __future__ import annotations

import os

import numpy as np
import pytest

from zoo.contract.specs import LogMel
from zoo.data import load
from zoo.media import mel as audio
from zoo.media.griffin_lim import griffin_lim, power

SPEC = audio.form(8000, 0.512, 64)
assert isinstance(SPEC, LogMel)

DATA = pytest.mark.skipif(not os.environ.get("ZOO_DATA_DIR"), reason="ZOO_DATA_DIR is not set: there is no real data")


def error(wanted: np.ndarray, sounds: np.ndarray, spec: LogMel) -> np.ndarray:
    """The mean difference in dB between spectrograms and those of the audio clips made of them: (n,)."""
    return np.asarray(np.abs(audio.log_mel(sounds, spec) - wanted).mean((1, 2)) * -audio.FLOOR)


@pytest.mark.parametrize("frequency", [200, 440, 1000, 3000])
def test_a_tone_keeps_its_pitch_and_its_loudness(frequency: int) -> None:
    time = np.arange(SPEC.samples) / SPEC.rate
    tone = 0.5 * np.sin(2 * np.pi * frequency * time)
    (made,) = griffin_lim(audio.log_mel(tone[None], SPEC), SPEC)
    assert made.shape == (SPEC.samples,)
    assert made.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made)), 2**16))
    assert abs(spectrum.argmax() * SPEC.rate / 2**16 - frequency) < 4  # a bin of the spectra is 31 Hz wide
    assert made.std() == pytest.approx(tone.std(), rel=0.02)


def test_silence_is_silence() -> None:
    assert not griffin_lim(np.zeros((1, *SPEC.shape), np.float32), SPEC).any()


def test_alone_or_in_a_batch_and_again() -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (3, SPEC.samples))
    mels = audio.log_mel(noise, SPEC)
    together = griffin_lim(mels, SPEC)
    for mel, sound in zip(mels, together, strict=True):
        assert (griffin_lim(mel[None], SPEC)[0] == sound).all()
    assert np.abs(together).max() <= 1


def test_the_power_of_bands_is_kept_and_none_is_negative() -> None:
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, SPEC.samples)
    (mel,) = audio.log_mel(noise[None], SPEC)
    found = power(mel, SPEC)
    assert found.shape == (SPEC.shape[1], SPEC.window // 2 + 1)
    assert found.min() >= 0
    bands = found @ audio.filters(SPEC.rate, SPEC.bands, SPEC.window).T
    decibel = 10 * np.log10(np.maximum(bands, 1e-8))
    assert np.abs((decibel + 80) / 80 - mel.T).mean() * 80 < 0.1


@pytest.mark.parametrize(("samples", "window", "hop"), [(1003, 64, 16), (1000, 64, 32), (1000, 50, 16), (70, 64, 16)])
def test_lengths_and_hops_that_do_not_fit(samples: int, window: int, hop: int) -> None:
    """A hop need not divide a window, nor a window or a hop an audio clip."""
    spec = LogMel(1000, samples, 8, window, hop)
    tone = 0.5 * np.sin(0.5 * np.arange(samples))
    mels = audio.log_mel(tone[None], spec)
    sounds = griffin_lim(mels, spec)
    assert sounds.shape == (1, samples)
    assert error(mels, sounds, spec)[0] < 5


@DATA
def test_real_speech_is_kept() -> None:
    """On twenty spoken digits. Random phases are 3.4 dB off, and a pseudo-inverse of the bands alone is worse too."""
    spec = audio.form(8000, 0.768, 64)
    assert isinstance(spec, LogMel)
    speech = load("fsdd", "test", seconds=0.768).read(np.arange(0, 300, 15))
    mels = audio.log_mel(speech, spec)
    sounds = griffin_lim(mels, spec)
    assert error(mels, sounds, spec).mean() < 0.4
    convergence = []
    for mel, sound in zip(mels, sounds, strict=True):
        wanted = np.sqrt(power(mel, spec))
        reached = np.abs(audio.spectra(sound.astype(np.float64), spec))
        convergence.append(np.linalg.norm(reached - wanted) / np.linalg.norm(wanted))
    assert np.mean(convergence) < 0.09
