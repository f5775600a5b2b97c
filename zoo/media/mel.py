"""Audio clips as models take them: waveforms of one length, or log-mel spectrograms of these. Needs numpy alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import LARGEST, Audio, LogMel
from zoo.core.errors import SettingError

FLOOR = -80.0
"""dB that 0 stands for in a log-mel spectrogram; 1 stands for 0 dB, a full-scale sine."""

WINDOW = 0.032
"""Seconds of a window, about: the nearest power of two of samples is taken."""


def form(rate: int, seconds: float, bands: int) -> Audio | LogMel:
    """The spec of audio clips of that length. Windows are about 32 ms, a power of two of samples, and a quarter apart.

    Raises :class:`SettingError` for a length of less than a hop, or for more bands than a window has room for.
    """
    samples = round(rate * seconds)
    if not 1 <= samples <= LARGEST:
        raise SettingError(
            f"An audio clip of seconds = {seconds} has {samples:,} samples at {rate} Hz. Choose another length."
        )
    if not bands:
        return Audio(rate, samples)
    window = max(4, 2 ** round(math.log2(rate * WINDOW)))
    spec = LogMel(rate, samples, bands, window, window // 4)
    if samples < spec.hop:
        raise SettingError(
            f"An audio clip of seconds = {seconds} is shorter than one hop of {spec.hop} samples. Take more."
        )
    if bands > window or not filters(rate, bands, window).any(1).all():
        most = next(n for n in range(min(bands, window) - 1, 0, -1) if filters(rate, n, window).any(1).all())
        raise SettingError(
            f"bands = {bands} is too many for windows of {window} samples at {rate} Hz: at most {most} hold anything."
        )
    return spec


def fit(waveform: NDArray[np.int16], samples: int) -> NDArray[np.int16]:
    """A waveform, int16 (any,), cut or padded with silence at the end to int16 (samples,)."""
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))


def log_mel(waveforms: NDArray[Any], spec: LogMel) -> NDArray[np.float32]:
    """Log-mel spectrograms, float32 (n, bands, frames) in [0, 1], of waveforms (n, samples), int16 or in [-1, 1].

    X = 2 / Σw · rfft(w · x) of each frame, w a periodic Hann window, so that |X|² = 1 for a full-scale sine. Frames are
    `hop` apart, with (window − hop) / 2 zeros put before the clip and after it: samples // hop of them. Then
    (10 log₁₀ max(M |X|², 10⁻⁸) + 80) / 80, clipped to [0, 1], with M from :func:`filters`.
    """
    x = np.asarray(waveforms)
    x = x.astype(np.float64) / (32768 if x.dtype == np.int16 else 1)
    mel = filters(spec.rate, spec.bands, spec.window).T
    made = np.empty((len(x), *spec.shape), np.float32)
    for row, wave in zip(made, x, strict=True):  # one at a time: a frame is four times its samples
        power = np.abs(spectra(wave, spec)) ** 2  # (frames, window / 2 + 1)
        decibel = 10 * np.log10(np.maximum(power @ mel, 10 ** (FLOOR / 10)))  # (frames, bands)
        row[:] = ((decibel - FLOOR) / -FLOOR).clip(0, 1).T
    return made


def spectra(wave: NDArray[np.float64], spec: LogMel) -> NDArray[np.complex128]:
    """X of :func:`log_mel` for one waveform (samples,): the short-time Fourier transform, (frames, window // 2 + 1)."""
    window = hann(spec.window)
    padded = np.pad(wave, ((spec.window - spec.hop) // 2, spec.window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.window)[:: spec.hop][: spec.shape[1]]
    return np.asarray(np.fft.rfft(frames * window) * (2 / window.sum()))


def hann(window: int) -> NDArray[np.float64]:
    """The periodic Hann window, (window,)."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))


@lru_cache(maxsize=4)
def filters(rate: int, bands: int, window: int) -> NDArray[np.float64]:
    """The mel filters M, (bands, window // 2 + 1): triangles of height 1 that each reach to their neighbours' peaks.

    The peaks lie evenly between 0 Hz and half the rate on HTK's mel scale, 2595 log₁₀(1 + f / 700).
    """
    top = 2595 * math.log10(1 + rate / 2 / 700)
    points = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)  # Hz
    bins = np.arange(window // 2 + 1) * rate / window
    low, peak, high = points[:-2, None], points[1:-1, None], points[2:, None]
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)).clip(0)
    triangles.setflags(write=False)  # it is shared
    return triangles
