"""Audio files to int16 mono: WAV by :mod:`zoo.media.wav`, other formats by soundfile, resampled by soxr.

soundfile and soxr are in the extra ``audio``. Without them WAV files at the right rate are read all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.core.errors import DataError, one_line, unreadable
from zoo.media import wav

OTHERS = (".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
"""Extensions of the files that soundfile reads. All others are read as WAV."""

ENDINGS = (".wav", *OTHERS)
"""Extensions of the files of a folder that are read as audio."""

EXTRA = "Run: pip install 'genzoo[audio]'"


def read(path: Path, name: str) -> tuple[int, NDArray[np.int16]]:
    """The sampling rate in Hz and the waveform, int16 (samples,), channels averaged.

    `name` is what a :class:`DataError` calls the file: one that is damaged, empty, or of a format that needs soundfile
    where that is not installed.
    """
    if path.suffix.lower() not in OTHERS:
        return wav.read(path, name)
    with _opened(path, name) as file:
        if file.frames * file.channels > wav.LARGEST:
            raise DataError(f"{name!r} is too long: {file.frames:,} samples. Cut it into shorter files.")
        try:
            frames: NDArray[np.float64] = file.read(dtype="float64", always_2d=True)
        except Exception as error:
            raise DataError(f"{name!r} is damaged ({one_line(error)[:100]}). Replace it or remove it.") from error
        rate = int(file.samplerate)
    if not len(frames):
        raise DataError(f"{name!r} is empty. Replace it or remove it.")
    return rate, wav.to_int16(frames.mean(1))


def rate_of(path: Path) -> int:
    """The sampling rate of a file in Hz; only its header is read."""
    if path.suffix.lower() not in OTHERS:
        return wav.rate_of(path)
    with _opened(path, str(path)) as file:
        return int(file.samplerate)


def resampled(waveform: NDArray[np.int16], rate: int, wanted: int, name: str) -> NDArray[np.int16]:
    """A waveform (samples,) at `rate` Hz as one at `wanted` Hz; :class:`DataError` without soxr."""
    if rate == wanted:
        return waveform
    try:
        import soxr
    except ImportError as error:
        raise DataError(
            f"{name} has {rate} Hz, and {wanted} Hz is wanted; soxr, which resamples, is not installed. {EXTRA}"
        ) from error
    made: NDArray[np.int16] = soxr.resample(waveform, rate, wanted, quality="HQ")
    return made


def _opened(path: Path, name: str) -> Any:
    """The file as a soundfile.SoundFile, a context manager."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: libsndfile is not there
        raise DataError(
            f"{name!r} is {path.suffix} audio, and soundfile, which reads it, is not installed. {EXTRA}"
        ) from error
    if not path.exists():
        raise DataError(f"{name} does not exist. Check the path.")
    try:
        return soundfile.SoundFile(path)
    except (PermissionError, IsADirectoryError) as error:
        raise unreadable(name, error) from error
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(
            f"{name!r} is damaged or no audio file that can be read ({one_line(error)[:100]}). Save it as 16-bit WAV."
        ) from error
