"""Audio: waveforms, and log-mel spectrograms of them; audio files as people hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, LogMel
from zoo.core.files import expand
from zoo.media import audio_file, grid, mel, wav
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Reading, SampleKind

A = TypeVar("A", bound=Audio | LogMel)


class ClipKind(SampleKind[A]):
    """What waveforms and spectrograms have in common: clips that are read from audio files."""

    medium, unit, tag = "audio", "audio clips", "audio"

    def read(self, files: Sequence[str | Path], spec: A, name: str, reading: Reading) -> Array:
        """Audio files, resampled to the rate of the spec, cut or padded to its length."""
        clips = np.empty((len(files), spec.samples), np.int16)
        for row, item in zip(clips, files, strict=True):
            rate, waveform = audio_file.read(expand(item), str(item))
            row[:] = mel.fit(audio_file.resampled(waveform, rate, spec.rate, str(item)), spec.samples)
        return self.from_clips(clips, spec)

    def from_clips(self, clips: NDArray[np.int16], spec: A) -> Array:
        """The batch that a graph takes, of waveforms int16 (n, samples)."""
        raise NotImplementedError

    def waveforms(self, samples: Any, spec: A) -> NDArray[np.float32]:
        """Samples as waveforms, float32 (n, samples) in [-1, 1]."""
        raise NotImplementedError

    def takes(self, spec: A) -> str:
        return f"{self.gives(spec)}; the names of audio files: resampled to {spec.rate} Hz, cut or padded"

    def write(self, value: Any, spec: A | None, ending: str, columns: int | None = None) -> list[bytes]:
        """Of .wav files one for each clip."""
        if ending == ".wav":
            assert spec is not None
            return [wav.write(clip, spec.rate) for clip in self.waveforms(value, spec)]
        return super().write(value, spec, ending, columns)

    def beside(self, samples: Any, spec: A) -> dict[str, bytes]:
        """A .wav file of all clips, one after the other."""
        return {".wav": wav.write(self.waveforms(samples, spec).reshape(-1), spec.rate)}


class AudioKind(ClipKind[Audio]):
    """float32 (n, samples) in [-1, 1]."""

    noun = "an audio clip"
    endings = (".wav", ".png", ".npy")
    compared = (4, 2)
    default_count = 1

    def bounds(self, spec: Audio) -> tuple[float, float]:
        return -1.0, 1.0

    def from_clips(self, clips: NDArray[np.int16], spec: Audio) -> Array:
        return clips.astype(np.float32) / 32768

    def gives(self, spec: Audio) -> str:
        return f"audio clips, {super().gives(spec)} in [-1, 1] at {spec.rate} Hz"

    def describe(self, spec: Audio) -> str:
        return f"audio of {spec.samples / spec.rate:.4g} s at {spec.rate} Hz"

    def example(self, spec: Audio, batch: int, stream: int) -> Array:
        """Noise at a third of full scale."""
        return (self._draw("normal", spec, batch, stream) / np.float32(3)).clip(-1, 1)

    def from_data(self, x: Array) -> Array:
        """int16 as float32 in [-1, 1]."""
        return x.astype(np.float32) / np.float32(32768)

    def frames(self, samples: Any, spec: Audio) -> Pixels:
        """The envelope of each clip."""
        return grid.of_waveforms(np.asarray(samples))

    def waveforms(self, samples: Any, spec: Audio) -> NDArray[np.float32]:
        return np.asarray(samples)


class LogMelKind(ClipKind[LogMel]):
    """float32 (n, bands, frames) in [0, 1]."""

    noun = "a spectrogram"
    endings = (".png", ".wav", ".npy")

    def from_clips(self, clips: NDArray[np.int16], spec: LogMel) -> Array:
        return mel.log_mel(clips, spec)

    def gives(self, spec: LogMel) -> str:
        return f"log-mel spectrograms, {super().gives(spec)} in [0, 1]"

    def describe(self, spec: LogMel) -> str:
        return f"log-mel spectrogram {'×'.join(map(str, spec.shape))}"

    def example(self, spec: LogMel, batch: int, stream: int) -> Array:
        return self._draw("uniform", spec, batch, stream)

    def frames(self, samples: Any, spec: LogMel) -> Pixels:
        """The low bands at the bottom; value v is grey level round(255 v), halves to even."""
        levels: Pixels = np.rint(np.clip(samples, 0, 1)[:, ::-1] * 255.0).astype(np.uint8)
        return levels

    def waveforms(self, samples: Any, spec: LogMel) -> NDArray[np.float32]:
        """By :mod:`zoo.media.griffin_lim`."""
        from zoo.media.griffin_lim import griffin_lim

        return griffin_lim(samples, spec)
