"""WAV files to and from int16: PCM of 8, 16, 24 or 32 bits and floats of 32 or 64, with any number of channels.

The reader is our own: Python's refuses floats, the extensible header before 3.12, and sizes as pipes leave them.
"""

from __future__ import annotations

import io
import os
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.core.errors import DataError, one_line, unreadable

LARGEST = 2**28
"""Samples of all channels that are read of one file, at most."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""Tags of formats (Microsoft's mmreg.h)."""

STREAMED = 0x7FFFF000
"""A size of samples from which on it is a pipe's, which cannot know it, and so is 0: they reach to the file's end.

ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000, and arecord about 0x80000000; recorders that were killed leave 0.
"""


@dataclass(frozen=True, kw_only=True)
class _Wave:
    """What the header of a file says, in bytes where nothing else is said."""

    rate: int
    """Hz."""
    channels: int
    width: int
    """Of one sample of one channel."""
    floats: bool
    start: int
    """Where the samples begin."""
    size: int
    """Of all samples, as declared."""
    length: int
    """Of the file."""


def read(file: Path | bytes, name: str) -> tuple[int, NDArray[np.int16]]:
    """The sampling rate in Hz and the waveform, int16 (samples,): channels averaged, other widths scaled to 16 bits.

    A file from a pipe, whose header does not know how long it is, is read to its end. `name` is what a
    :class:`DataError` calls the file: one that is damaged, empty, cut short, or neither PCM nor floats.
    """
    with _opened(file, name) as (opened, header):
        frame = header.channels * header.width
        declared = header.size // frame
        there = min(declared, (header.length - header.start) // frame)
        if there * header.channels > LARGEST:
            raise DataError(f"{name!r} is too long: {there:,} samples. Cut it into shorter files.")
        if not declared or there < declared:
            raise DataError(
                f"{name!r} is empty or cut short: {there:,} of {declared:,} samples. Replace it or remove it."
            )
        opened.seek(header.start)
        content = opened.read(declared * frame)
    samples = _floats(content, header.width, name) if header.floats else _to_int16(content, header.width)
    return header.rate, _mono(samples.reshape(declared, header.channels))


def rate_of(path: Path) -> int:
    """The sampling rate of a file in Hz; only its header is read."""
    with _opened(path, str(path)) as (_, header):
        return header.rate


@contextmanager
def _opened(file: Path | bytes, name: str) -> Iterator[tuple[BinaryIO, _Wave]]:
    """A WAV file whose header says what can be read; whatever goes wrong becomes a :class:`DataError` that names it."""
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as opened:
            yield opened, _header(opened)
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist. Check the path.") from error
    except (PermissionError, IsADirectoryError) as error:
        raise unreadable(name, error) from error
    except Exception as error:  # _NoWave, and what damaged headers lead to
        raise DataError(
            f"{name!r} is damaged or no WAV file that can be read ({one_line(error)[:100]}). Save it as 16-bit PCM."
        ) from error


class _NoWave(ValueError):
    """What is wrong with a file."""


def _header(file: BinaryIO) -> _Wave:
    """What the header says; the size of the whole, which stands before it, is often wrong and is not looked at."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    first = file.read(12)
    if first[:4] not in (b"RIFF", b"RF64") or first[8:] != b"WAVE":
        raise _NoWave(f"it begins with {first[:4]!r}, not with RIFF")
    form: tuple[int, int, int, int] | None = None
    large = 0
    for at, kind, size in _chunks(file, 12, length):
        if kind == b"ds64":  # sizes that 32 bits cannot hold (EBU Tech 3306)
            large = int.from_bytes(file.read(16)[8:], "little")
        elif kind == b"fmt ":
            form = _form(file.read(min(size, 40)))
        elif kind == b"data":
            if form is None:
                raise _NoWave("its data comes before its form")
            if size == 0xFFFFFFFF and large:
                size = large
            elif size >= STREAMED or (size == 0 and not _is_whole(file, at, length)):
                size = length - at
            tag, channels, rate, width = form
            return _Wave(
                rate=rate, channels=channels, width=width, floats=tag == FLOAT, start=at, size=size, length=length
            )
    raise _NoWave("it has no data")


def _chunks(file: BinaryIO, at: int, length: int) -> Iterator[tuple[int, bytes, int]]:
    """Where the content of each chunk begins, its name and its size in bytes; the file is read on from there."""
    while at + 8 <= length:
        file.seek(at)
        kind, size = file.read(4), int.from_bytes(file.read(4), "little")
        yield at + 8, kind, size
        at += 8 + size + size % 2  # each begins at an even byte


def _is_whole(file: BinaryIO, at: int, length: int) -> bool:
    """Whether nothing but chunks follows from there to the end of the file."""
    end = at
    for start, kind, size in _chunks(file, at, length):
        if not kind.isascii() or not kind.strip().isalnum():
            return False
        end = start + size + size % 2
    return end in (length, length + 1)


def _form(content: bytes) -> tuple[int, int, int, int]:
    """The format's tag, the channels, the rate in Hz and the bytes of a sample."""
    if len(content) < 16:
        raise _NoWave("its form is cut short")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE and len(content) >= 26:
        tag = int.from_bytes(content[24:26], "little")  # the first two bytes of the subformat's GUID
    width = -(-bits // 8)
    if tag not in (PCM, FLOAT):
        known = {2: ", ADPCM", 6: ", A-law", 7: ", µ-law", 85: ", MP3"}.get(tag, "")
        raise _NoWave(f"unknown format: {tag}{known}")
    if not channels or rate < 1 or width not in ((4, 8) if tag == FLOAT else (1, 2, 3, 4)) or block != channels * width:
        raise _NoWave(f"{bits} bits a sample, {channels} channels in {block} bytes, at {rate} Hz")
    return tag, channels, rate, width


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


def _floats(content: bytes, width: int, name: str) -> NDArray[np.int16]:
    """Floats of 4 or 8 bytes, little-endian, in [-1, 1], as int16; what is louder is cut off there."""
    samples = np.frombuffer(content, f"<f{width}")
    if not np.isfinite(samples).all():
        raise DataError(f"{name!r} has samples that are no numbers. Replace it or remove it.")
    return to_int16(samples)


def _mono(frames: NDArray[np.int16]) -> NDArray[np.int16]:
    """(samples, channels) to (samples,): the mean, rounded."""
    if frames.shape[1] == 1:
        return frames[:, 0].copy()
    mean: NDArray[np.float64] = frames.mean(1, dtype=np.float64)
    return np.rint(mean).astype(np.int16)
