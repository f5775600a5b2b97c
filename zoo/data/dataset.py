"""A split of a data set: in memory, or a stream that reads images on demand if they do not fit in memory."""

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
    """The options of loaders. Each loader uses those that apply to its data."""

    data_dir: Path
    """The folder of named data sets."""
    length: int = 128
    """Characters in a window of text."""
    seconds: float = 1.0
    """Length of one clip: longer ones are cut, shorter ones padded with silence at the end."""
    bands: int = 0
    """Mel bands of one clip; 0 keeps the waveform."""
    images: ImageOptions = AS_THEY_ARE
    """The size of images, and the background of transparent ones."""
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """One split of a data set. The arrays are contiguous and writable, so other libraries can use them directly."""

    name: str
    """``"mnist"``; for the user's own data, without parent folders: ``"folder:pics"``, ``"text:notes.txt"``."""
    split: Split
    sample: Sample
    """The form of one sample, and the number of classes (0 without labels)."""
    x: NDArray[Any] | Stream = field(repr=False)
    """Images: uint8 (n, c, h, w), or a :class:`~zoo.data.stream.Stream` that reads them. Text: the characters of the
    split in order, uint8 or uint16 (n,). Audio clips: int16 (n, samples), or float32 (n, bands, frames). Videos: uint8
    (n, frames, c, h, w). Arrays: float32 (n, *shape)."""
    labels: NDArray[np.int64] | None = field(repr=False)
    """int64 (n,), or None."""
    source: str
    """One line: the origin of the data, and the citation."""
    licence: str
    """The licence of the data; ``"unknown"`` for the user's own."""
    sha256: str
    """The hash of the content. Text: the whole file. IDX: both files of the split, unpacked, before resizing. Audio:
    the waveforms and labels. A stream: its form, and each file's path, size, class. Others: :func:`fingerprint`."""
    classes: tuple[str, ...] = field(default=(), repr=False)
    """The names of the classes, in the order of the labels; () without labels."""
    note: str = field(default="", repr=False)
    """One line of warnings for the user, such as files that were left out."""

    def __len__(self) -> int:
        """Return the number of images, audio clips, or windows of ``sample.x.length`` characters.

        Window i of a text starts at ``i * (length - 1)`` and shares one character with the next window. So a model that
        predicts window[1:] from window[:-1] predicts every character but the first exactly once. An incomplete window
        at the end is dropped.
        """
        if isinstance(self.sample.x, Text):
            return (len(self.x) - 1) // (self.sample.x.length - 1)
        return len(self.x)

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return a copy of `x` at `indices`, int64 (b,), in memory, whether `x` is an array or a stream."""
        x = self.x
        return x.read(indices) if isinstance(x, Stream) else x[indices]

    def take(self, positions: NDArray[np.int64]) -> DataSet:
        """Return a data set of only the samples at `positions`, int64 (m,), in that order. Not for text."""
        x = self.x
        labels = None if self.labels is None else self.labels[positions]
        chosen = x.take(positions) if isinstance(x, Stream) else x[positions]
        return dataclasses.replace(self, x=chosen, labels=labels)

    @property
    def array(self) -> NDArray[Any]:
        """All of `x` in memory; a stream is read completely."""
        import numpy as np

        return self.x.read(np.arange(len(self))) if isinstance(self.x, Stream) else self.x


def fingerprint(x: NDArray[Any], labels: NDArray[np.int64] | None) -> str:
    """Return the SHA-256 of the types, shapes and bytes of arrays."""
    import numpy as np

    digest = hashlib.sha256()
    for array in (x,) if labels is None else (x, labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def resized(data: DataSet, options: ImageOptions) -> DataSet:
    """Resize the images of a data set in memory; `sha256` stays that of the original data."""
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
