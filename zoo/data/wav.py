"""WAV files, by Python's own reader: PCM of 8, 16, 24 or 32 bits, any number of channels, to and from int16."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.store import unreadable
from zoo.errors import DataError, one_line

LARGEST = 2**28
"""Samples of all channels that are read of one file, at most."""


def read(file: Path | bytes, name: str) -> tuple[int, NDArray[np.int16]]:
    """The sampling rate in Hz and the waveform, int16 (samples,): channels averaged, other widths scaled to 16 bits.

    `name` is what a :class:`DataError` calls the file: one that is damaged, empty or not PCM.
    """
    with _opened(file, name) as opened:
        rate, channels, width = opened.getframerate(), opened.getnchannels(), opened.getsampwidth()
        declared = opened.getnframes()
        if declared * channels > LARGEST:
            raise DataError(f"{name!r} is too long: {declared:,} samples. Cut it into shorter files.")
        content = opened.readframes(declared)
    if not declared or len(content) < declared * channels * width:
        held = len(content) // (channels * width)
        raise DataError(f"{name!r} is empty or cut short: {held:,} of {declared:,} samples. Replace it or remove it.")
    return rate, _mono(_to_int16(content, width).reshape(declared, channels))


def rate_of(path: Path) -> int:
    """The sampling rate of a file in Hz; only its header is read."""
    with _opened(path, str(path)) as opened:
        return opened.getframerate()


@contextmanager
def _opened(file: Path | bytes, name: str) -> Iterator[wave.Wave_read]:
    """A WAV file whose header says what can be read; whatever goes wrong becomes a :class:`DataError` that names it."""
    try:
        with wave.open(io.BytesIO(file) if isinstance(file, bytes) else str(file), "rb") as opened:
            if opened.getsampwidth() not in (1, 2, 3, 4) or opened.getframerate() < 1:
                raise wave.Error(f"{8 * opened.getsampwidth()} bits a sample at {opened.getframerate()} Hz")
            yield opened
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist. Check the path.") from error
    except (PermissionError, IsADirectoryError) as error:
        raise unreadable(name, error) from error
    except Exception as error:  # wave.Error, EOFError and what damaged headers lead to
        raise DataError(
            f"{name!r} is damaged or no WAV file of PCM samples ({one_line(error)[:100]}). Save it as 16-bit PCM."
        ) from error


def write(waveform: NDArray[np.floating] | NDArray[np.int16], rate: int) -> bytes:
    """A waveform, int16 or floats in [-1, 1] (samples,), as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(to_int16(waveform).astype("<i2").tobytes())
    return buffer.getvalue()


def to_int16(waveform: NDArray[np.floating] | NDArray[np.int16]) -> NDArray[np.int16]:
    """Floats in [-1, 1], of any shape, as round(32768 x), halves to even, within int16; int16 as it is."""
    if waveform.dtype == np.int16:
        return np.asarray(waveform, np.int16)
    return np.rint(waveform.astype(np.float64) * 32768).clip(-32768, 32767).astype(np.int16)


def _to_int16(content: bytes, width: int) -> NDArray[np.int16]:
    """Samples of `width` bytes, little-endian, as int16; what is finer is cut off."""
    octets = np.frombuffer(content, np.uint8).reshape(-1, width)
    if width == 1:  # unsigned, 128 is silence
        loud: NDArray[np.int16] = (octets[:, 0].astype(np.int16) - 128) << 8
        return loud
    high: NDArray[np.int16] = np.ascontiguousarray(octets[:, -2:]).view("<i2")[:, 0]
    return high


def _mono(frames: NDArray[np.int16]) -> NDArray[np.int16]:
    """(samples, channels) to (samples,): the mean, rounded."""
    if frames.shape[1] == 1:
        return frames[:, 0].copy()
    mean: NDArray[np.float64] = frames.mean(1, dtype=np.float64)
    return np.rint(mean).astype(np.int16)
