"""A split of a data set: in memory, or with streams that read images on demand if they do not fit in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.contract.data import ImageOptions, Options, Split
from zoo.contract.specs import Array, FieldSpec, Image, Sample, SampleSpec, Text, Video
from zoo.core import memory
from zoo.core.errors import DataError
from zoo.data.stream import Stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Field = NDArray[Any] | Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSplit:
    """One split of a data set. The arrays are contiguous and writable, so other libraries can use them directly."""

    name: str
    """``"mnist"``; for the user's own data, without parent folders: ``"folder:pics"``, ``"text:notes.txt"``."""
    split: Split
    sample: Sample
    """The form of one sample."""
    fields: Mapping[str, Field] = field(repr=False)
    """The array of each field of the sample, or the :class:`~zoo.data.stream.Stream` that reads it. Images: uint8
    (n, c, h, w). One long text that is modelled: its characters in order, uint8 or uint16 (n,); other text: uint8 or
    uint16 (n, length). Audio clips: int16 (n, samples), or float32 (n, bands, frames). Videos: uint8
    (n, frames, c, h, w). Arrays: float32 (n, *shape). Labels: int64 (n, …)."""
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
    options: Options = field(default_factory=Options, repr=False)
    """The options with which it was loaded."""

    def __len__(self) -> int:
        """Return the number of images, audio clips, texts, or windows of ``sample.x.length`` characters of one text.

        Window i of a text starts at ``i * (length - 1)`` and shares one character with the next window. So a model that
        predicts window[1:] from window[:-1] predicts every character but the first exactly once. An incomplete window
        at the end is dropped.
        """
        text = self.windows
        return len(self.x) if text is None else (len(self.x) - 1) // (text.length - 1)

    @property
    def windows(self) -> Text | None:
        """The form of the windows into which one long text is cut; None for samples that are texts of their own."""
        x, form = self.x, self.sample.x
        return form if isinstance(form, Text) and not isinstance(x, Stream) and x.ndim == 1 else None

    @property
    def x(self) -> Field:
        """The field that is modelled."""
        return self.fields["x"]

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The class of each sample, int64 (n,), or None without classes."""
        label = self.fields["label"] if self.sample.classes else None
        assert not isinstance(label, Stream)
        return label

    def read(self, indices: NDArray[np.int64], name: str = "x") -> NDArray[Any]:
        """Return a copy of a field at `indices`, int64 (b,), in memory, whether it is an array or a stream."""
        held = self.fields[name]
        return held.read(indices) if isinstance(held, Stream) else held[indices]

    def take(self, positions: NDArray[np.int64]) -> DataSplit:
        """Return a split of only the samples at `positions`, int64 (m,), in that order. Not for windows of one text."""
        chosen = {
            name: held.take(positions) if isinstance(held, Stream) else held[positions]
            for name, held in self.fields.items()
        }
        return dataclasses.replace(self, fields=chosen)

    def with_columns(self, like: SampleSpec) -> DataSplit:
        """Return this split with the columns of another form of x, by name; of a form without names, this split.

        Raises :class:`DataError` for a column that is missing.
        """
        import numpy as np

        x, held = self.sample.x, self.x
        if not isinstance(x, Array) or not isinstance(like, Array) or isinstance(held, Stream):
            return self
        if not x.names or not like.names or x.names == like.names:
            return self
        place = {name: index for index, name in enumerate(x.names)}
        if lacking := [name for name in like.names if name not in place]:
            has = ", ".join(x.names[:20])
            raise DataError(f"{self.name} has no column {lacking[0]!r}, which the model takes. It has: {has}.")
        held = np.ascontiguousarray(held[:, [place[name] for name in like.names]])
        form = dataclasses.replace(x, shape=like.shape, names=like.names)
        sample = dataclasses.replace(self.sample, x=form)
        return dataclasses.replace(self, fields={**self.fields, "x": held}, sample=sample)

    def adding(self, name: str, other: DataSplit) -> DataSplit:
        """Return this split with one more field: `x` of another split, which begins again where it is shorter.

        Of a text these are its windows, (n, length).
        """
        import numpy as np

        index = np.arange(len(self)) % len(other)
        if text := other.windows:
            held: Field = other.read(index[:, None] * (text.length - 1) + np.arange(text.length))
        else:
            held = other.take(index).x
        sample = dataclasses.replace(self.sample, fields={**self.sample.fields, name: other.sample.x})
        return dataclasses.replace(self, fields={**self.fields, name: held}, sample=sample)

    @property
    def array(self) -> NDArray[Any]:
        """All of `x` in memory; a stream is read completely."""
        import numpy as np

        return self.read(np.arange(len(self))) if isinstance(self.x, Stream) else self.x


def fingerprint(
    x: NDArray[Any], labels: NDArray[np.int64] | None, others: Mapping[str, NDArray[Any]] | None = None
) -> str:
    """Return the SHA-256 of the types, shapes and bytes of `x`, the labels, and other fields in the order of names."""
    digest = hashlib.sha256()
    for array in (x,) if labels is None else (x, labels):
        _digest(digest, "", array)
    for name, array in sorted((others or {}).items()):
        _digest(digest, name, array)
    return digest.hexdigest()


def _digest(digest: Any, name: str, array: NDArray[Any]) -> None:
    import numpy as np

    digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def alike(sample: Sample) -> tuple[str, ...]:
    """The fields of images and videos of the height and width of `x`: resizing and augmentation act on them alike."""
    x = sample.x
    if not isinstance(x, (Image, Video)):
        return ()
    every: dict[str, FieldSpec] = {"x": x, **sample.fields}
    return tuple(
        name
        for name, spec in every.items()
        if isinstance(spec, (Image, Video)) and (spec.height, spec.width) == (x.height, x.width)
    )


def resized(data: DataSplit, options: ImageOptions) -> DataSplit:
    """Resize the images and videos of a split; `sha256` stays that of the original data."""
    x = data.sample.x
    if not options.size or not isinstance(x, (Image, Video)) or (x.height, x.width) == (options.size, options.size):
        return data
    fields, forms = dict(data.fields), {"x": x, **data.sample.fields}
    held = [array for name in alike(data.sample) if not isinstance(array := fields[name], Stream)]
    memory.check(
        sum(math.prod(array.shape[:-2]) * options.size**2 for array in held),
        f"{len(data):,} images of {data.name} at data.size = {options.size}",
        "Set a smaller data.size.",
    )
    for name in alike(data.sample):
        fields[name] = _resized(fields[name], options)
        form = forms[name]
        assert isinstance(form, (Image, Video))
        forms[name] = dataclasses.replace(form, height=options.size, width=options.size)
    sample = Sample(forms.pop("x"), forms)  # type: ignore[arg-type]  # x keeps its kind
    source = data.source + options.describe(transparent=False)
    return dataclasses.replace(data, fields=fields, sample=sample, source=source)


def _resized(images: Field, options: ImageOptions) -> Field:
    """uint8 (n, …, h, w) as uint8 (n, …, size, size)."""
    import numpy as np

    from zoo.media.images import fitted

    def fit(image: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
        planes = into.reshape(-1, *into.shape[-2:]), image.reshape(-1, *image.shape[-2:])
        for plane, given in zip(*planes, strict=True):
            plane[:] = fitted(given, (options.size, options.size), options.fit, options)

    if isinstance(images, Stream):
        stream = images

        def decode(path: Path, into: NDArray[np.uint8]) -> None:
            whole = np.empty(stream.form, np.uint8)
            stream.decode(path, whole)
            fit(whole, into)

        return dataclasses.replace(stream, form=(stream.form[0], options.size, options.size), decode=decode)
    made = np.empty((*images.shape[:-2], options.size, options.size), np.uint8)
    for row, image in zip(made, images, strict=True):
        fit(image, row)
    return made
