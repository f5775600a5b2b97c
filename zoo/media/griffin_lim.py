"""From log-mel spectrograms back to audio: the inverse of :func:`zoo.media.mel.log_mel`. Needs numpy alone.

Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform",
https://doi.org/10.1109/TASSP.1984.1164317, in the faster form of Perraudin, Balazs & Søndergaard 2013,
https://doi.org/10.1109/WASPAA.2013.6701851.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import LogMel
from zoo.core import philox
from zoo.media.mel import FLOOR, filters, hann, spectra

ROUNDS = 60
"""Rounds of estimating the phases. More change little: half of the error that is left after 15 goes by 60."""

SPREADING = 30
"""Rounds of spreading the power of mel bands over frequencies."""

MOMENTUM = 0.99
"""α of the fast algorithm; the authors' choice. 0 is Griffin & Lim's own."""

_TINY = 1e-30


def griffin_lim(mels: NDArray[np.float32], spec: LogMel) -> NDArray[np.float32]:
    """Audio clips, float32 (n, samples) in [-1, 1], whose spectrograms come near `mels`, (n, bands, frames) in [0, 1].

    The phases are lost in a spectrogram, so a clip is found that is like the one it was made of to the ear, and not
    sample by sample. Each is the same alone or in a batch and every time on one machine; a spectrogram that differs
    only by rounding may give another one of the audio clips that it could have been made of.
    """
    made = np.empty((len(mels), spec.samples), np.float32)
    for row, mel in zip(made, mels, strict=True):
        row[:] = _phased(np.sqrt(power(mel, spec)), spec).clip(-1, 1)
    return made


def power(mel: NDArray[np.float32], spec: LogMel) -> NDArray[np.float64]:
    """|X|² ≥ 0 of each frame, (frames, window // 2 + 1), for one spectrogram (bands, frames).

    M |X|² comes near the power of the bands, in the sense of the Kullback-Leibler divergence: Richardson 1972,
    https://doi.org/10.1364/JOSA.62.000055, the multiplicative update of Lee & Seung 2001 for a known M. It starts from
    each band's power spread over its triangle, and keeps smooth what the bands leave open.
    """
    bank = filters(spec.rate, spec.bands, spec.window)  # M, (bands, bins)
    decibel = mel.T.astype(np.float64) * -FLOOR + FLOOR
    wanted = np.where(mel.T > 0, 10 ** (decibel / 10), 0.0)  # (frames, bands); 0 stands for anything as faint
    found = wanted @ (bank / bank.sum(1, keepdims=True))
    for _ in range(SPREADING):
        found *= (wanted / (found @ bank.T + _TINY)) @ bank / (bank.sum(0) + _TINY)
    return np.asarray(found)


def _phased(magnitudes: NDArray[np.float64], spec: LogMel) -> NDArray[np.float64]:
    """A waveform (samples,) with about those magnitudes, (frames, window // 2 + 1).

    By turns: the magnitudes with the phases of what was reached, and what a waveform can have (Perraudin et al.,
    algorithm 2). The first phases are drawn from the zoo's own generator with seed 0.
    """
    turns = philox.draw("uniform", magnitudes.shape, 0, np.zeros(1, np.int64))[0]
    wave = _waveform(magnitudes * np.exp(2j * np.pi * turns), spec)
    before = np.zeros_like(magnitudes, np.complex128)
    for _ in range(ROUNDS):
        reached = spectra(wave, spec)
        ahead = reached + MOMENTUM * (reached - before)
        before = reached
        wave = _waveform(magnitudes * ahead / np.maximum(np.abs(ahead), _TINY), spec)
    return wave


def _waveform(wanted: NDArray[np.complex128], spec: LogMel) -> NDArray[np.float64]:
    """The waveform (samples,) whose spectra are nearest to those wanted, by least squares (Griffin & Lim, eq. 6)."""
    window = hann(spec.window)
    pieces = np.fft.irfft(wanted * (window.sum() / 2), spec.window) * window
    weights = _added(np.broadcast_to(window**2, pieces.shape), spec)
    enough = np.maximum(weights, 1e-3 * weights.max())  # at the edge of a window there may be next to none
    return np.asarray(_added(pieces, spec) / enough)


def _added(frames: NDArray[np.float64], spec: LogMel) -> NDArray[np.float64]:
    """Frames, (frames, window), laid `hop` apart and added; without the zeros before the clip: (samples,)."""
    count, window = frames.shape
    parts = -(-window // spec.hop)
    frames = np.pad(frames, ((0, 0), (0, parts * spec.hop - window)))
    rows = np.zeros((count + parts, spec.hop))
    for part in range(parts):
        rows[part : part + count] += frames[:, part * spec.hop : (part + 1) * spec.hop]
    before = (spec.window - spec.hop) // 2
    flat = rows.reshape(-1)[before : before + spec.samples]
    return np.pad(flat, (0, spec.samples - len(flat)))
