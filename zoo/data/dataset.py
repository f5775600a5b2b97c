"""What a data set is: one split of it, in memory or, where that is too small, read as it is needed."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.contract.specs import Image, Sample, Text
from zoo.data.stream import Stream
from zoo.media.images import AS_THEY_ARE, ImageOptions, fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.data.known_file import Progress

Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a loader needs to know beside the set and the split; each takes what concerns it."""

    data_dir: Path
    """Under which named data sets lie."""
    length: int = 128
    """Characters in a window of text."""
    seconds: float = 1.0
    """Length of one clip: longer ones are cut, shorter ones padded with silence at the end."""
    bands: int = 0
    """Mel bands of one clip; 0 keeps the waveform."""
    images: ImageOptions = AS_THEY_ARE
    """The size of images, and what is behind transparent ones."""
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """One split of a data set. The arrays are contiguous and writable, so other libraries can use them as they are."""

    name: str
    """``"mnist"``; for the user's own, without the folders above it: ``"folder:pics"``, ``"text:notes.txt"``."""
    split: Split
    sample: Sample
    """The form of one sample, and the number of classes (0 where there are no labels)."""
    x: NDArray[Any] | Stream = field(repr=False)
    """Images: uint8 (n, c, h, w), or a :class:`~zoo.data.stream.Stream` that reads them. Text: the characters of the
    split in order, uint8 or uint16 (n,). Audio clips: int16 (n, samples), or float32 (n, bands, frames)."""
    labels: NDArray[np.int64] | None = field(repr=False)
    """int64 (n,), or None."""
    source: str
    """One line: where it is from, and whom to cite."""
    licence: str
    """Of the data; ``"unknown"`` for the user's own."""
    sha256: str
    """Of the content. Text: the whole file. IDX files: the split's two, unpacked, before they are resized. Audio: the
    waveforms and labels. A stream: its form, and each file's path, size and class. Others: :func:`fingerprint`."""
    classes: tuple[str, ...] = field(default=(), repr=False)
    """The names of the classes, in the order of the labels; () where there are none."""
    note: str = field(default="", repr=False)
    """What people should know of it, in one line: files that were left out."""

    def __len__(self) -> int:
        """Images and audio clips: how many. Text: how many windows of ``sample.x.length`` characters.

        Window i starts at ``i * (length - 1)``: it shares one character with the next, so a model that predicts
        window[1:] from window[:-1] predicts each character but the first once. What is left at the end is dropped.
        """
        if isinstance(self.sample.x, Text):
            return (len(self.x) - 1) // (self.sample.x.length - 1)
        return len(self.x)

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """`x` at `indices`, int64 (b,), in memory: a copy, whether `x` is an array or a stream."""
        x = self.x
        return x.read(indices) if isinstance(x, Stream) else x[indices]

    def take(self, positions: NDArray[np.int64]) -> DataSet:
        """The samples at `positions`, int64 (m,), alone, in that order; not for text."""
        x = self.x
        labels = None if self.labels is None else self.labels[positions]
        chosen = x.take(positions) if isinstance(x, Stream) else x[positions]
        return dataclasses.replace(self, x=chosen, labels=labels)

    @property
    def array(self) -> NDArray[Any]:
        """All of `x` in memory: a stream is read whole."""
        import numpy as np

        return self.x.read(np.arange(len(self))) if isinstance(self.x, Stream) else self.x


def fingerprint(x: NDArray[Any], labels: NDArray[np.int64] | None) -> str:
    """The SHA-256 of arrays: of their types, their shapes and their bytes."""
    import numpy as np

    digest = hashlib.sha256()
    for array in (x,) if labels is None else (x, labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def resized(data: DataSet, options: ImageOptions) -> DataSet:
    """A data set of images, in memory, whose images were given a size; `sha256` stays that of the data as it was."""
    import numpy as np

    form = data.sample.x
    if not options.size or not isinstance(form, Image) or (form.height, form.width) == (options.size, options.size):
        return data
    x = np.empty((len(data), form.channels, options.size, options.size), np.uint8)
    for row, image in zip(x, data.array, strict=True):
        for plane, given in zip(row, image, strict=True):
            plane[:] = fitted(given, (options.size, options.size), options.fit, options)
    return dataclasses.replace(
        data,
        x=x,
        sample=dataclasses.replace(data.sample, x=Image(form.channels, options.size, options.size)),
        source=data.source + options.describe(transparent=False),
    )
