"""From the symbols of samples to a stream, and back, by the codec of a release."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.codec import stream
from zoo.codec.rans import Exhausted
from zoo.codec.tables import Tables, problem
from zoo.contract.codec import Codec
from zoo.core import memory
from zoo.core.errors import DataError, ReleaseError, SettingError, unreadable
from zoo.core.files import expand
from zoo.release import Release

Array = NDArray[Any]
Progress = Callable[[int, int], None]
"""Is called with the number of samples that are done, and of all samples."""

IN_MEMORY = "0" * 64
"""The SHA-256 in streams of a model that has no manifest: a module in memory."""


@dataclass(frozen=True)
class Coding:
    """The codec of a release with its tables."""

    release: Release
    codec: Codec
    tables: Tables

    @classmethod
    def of(cls, release: Release, tensor: Callable[[str], Array]) -> Coding:
        """The coding of a release; `tensor` reads a tensor of its weights by name.

        Raises :class:`SettingError` where it has no codec, and :class:`ReleaseError` for tables that are not usable.
        """
        codec = release.codec
        if codec is None:
            raise SettingError(
                f"{release.name} has no codec, so it does not compress. It has: {', '.join(release.tasks)}."
            )
        if wrong := codec.problem(release.tasks, release.sample):  # a manifest is checked; a module in memory is not
            raise ReleaseError(f"{release.name}: {wrong}.")
        symbols, frequencies = codec.symbols(release.tasks), tensor(codec.tables)
        if wrong := problem(frequencies, codec, symbols):
            raise ReleaseError(
                f"{release.name}: the tables {codec.tables!r} of its codec {wrong}. Get the release again."
            )
        return cls(release, codec, Tables(frequencies, codec, symbols))

    @property
    def _sha256(self) -> str:
        return str(self.release.manifest.get("sha256", IN_MEMORY))

    def check(self, count: int) -> None:
        """Raise :class:`SettingError` for more samples than a stream holds."""
        most = stream.MOST // math.prod(self.tables.symbols.shape)
        if count > most:
            raise SettingError(
                f"A stream of {self.release.name} holds at most {most:,} samples, and these are {count:,}."
            )

    def compress(self, parts: Iterable[Array], count: int, progress: Progress | None) -> bytes:
        """The stream of the symbols of `count` samples, int64 (count, *shape), given in parts."""
        found: list[Array] = []
        done, symbols = 0, self.tables.symbols
        for part in parts:
            if not (part.min() >= 0 and part.max() < symbols.classes):
                raise ReleaseError(
                    f"{self.release.name}: {self.codec.encode} gives symbols from {part.min()} to {part.max()}, and "
                    f"must give 0 to {symbols.classes - 1}. It cannot compress this sample."
                )
            found.append(part)
            done += len(part)
            if progress is not None:
                progress(done, count)
        payload = self.tables.encode(np.concatenate(found))
        return stream.pack(self._sha256, symbols.shape, count, payload)

    def symbols(self, data: bytes | str | Path, progress: Progress | None) -> Array:
        """The symbols in a stream, or in the file of that name: int64 (n, *shape)."""
        content, where = _content(data)
        shape = self.tables.symbols.shape
        count, payload = stream.unpack(content, self._sha256, self.release.name, shape, where)
        memory.check(16 * count * math.prod(shape), f"The symbols of {count:,} samples", "Compress fewer at once.")
        try:
            return self.tables.decode(payload, count, progress)
        except Exhausted:
            raise DataError(f"{where} is damaged: it does not end with its last symbol. Get it again.") from None


def _content(data: bytes | str | Path) -> tuple[bytes, str]:
    """The bytes of a stream, and what an error calls it."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), "The stream"
    if not isinstance(data, (str, Path)):
        raise SettingError(f"A stream is bytes or the name of a file, and this is {type(data).__name__}.")
    path, where = expand(data), repr(str(data))
    if not path.is_file():
        raise DataError(f"{where} is no file. Check the path.")
    try:
        memory.check(path.stat().st_size, f"The bytes of {where}", "Compress fewer samples at once.")
        return path.read_bytes(), where
    except OSError as error:
        raise unreadable(path, error) from error
