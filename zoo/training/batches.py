"""Batches of data sets on a device. Batch k depends only on k and the seed, so a resumed run is exact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.contract.data import ImageOptions
from zoo.contract.specs import Image, Video
from zoo.core.errors import SettingError
from zoo.data import DataSplit
from zoo.data.data_split import alike
from zoo.data.stream import Stream
from zoo.modules import derive_seed
from zoo.plugin import Batch, Recipe

FULL = {torch.uint8: 255, torch.int16: 32768}
"""Divisor of stored images and audio clips, by dtype: a batch holds float32 values in [0, 1] or [-1, 1]."""

AHEAD = 2
"""Batches of a stream that are read ahead in the background."""


class Batches:
    """A data set in the memory of a device: uint8 and int16, converted to float32 batch by batch; text as indices.

    A stream, which is too large for memory, is read batch by batch in the background. A batch may be split into
    `micro_batches` of equal size, which several processes compute, or one process computes in turn. `further` data sets
    give one field each, their x, in an order of their own.
    """

    def __init__(
        self,
        data: DataSplit,
        size: int,
        seed: int,
        device: torch.device,
        *,
        micro_batches: int = 1,
        flip: bool = False,
        crop: int = 0,
        further: Mapping[str, DataSplit] | None = None,
    ) -> None:
        self._own = _Source(data, tuple(data.fields), size, seed, device)
        self._further = {
            name: _Source(other, ("x",), self._own.size, derive_seed(seed, "further", name), device)
            for name, other in (further or {}).items()
        }
        streamed = any(source.streamed for source in (self._own, *self._further.values()))
        self._readers = ThreadPoolExecutor(1, "read ahead") if streamed else None
        self._ahead: dict[tuple[int, int], Future[dict[str, Tensor]]] = {}
        self._seed = seed
        self._device = device
        self._flip, self._crop = flip, crop
        self._alike = alike(data.sample)
        self.size, self.per_epoch = self._own.size, self._own.per_epoch
        self._micro = self.size // micro_batches
        if self.size % micro_batches:
            raise SettingError(
                f"A batch of {self.size} cannot be split into {micro_batches} micro-batches (processes × accumulate). "
                f"Set batch={self.size // micro_batches * micro_batches or micro_batches}."
            )
        for name, source in self._further.items():
            if source.size < self.size:
                raise SettingError(
                    f"{name} has {source.size} samples to train on, fewer than a batch of {self.size}. Set a smaller "
                    "batch."
                )
        if (flip or crop) and not isinstance(data.sample.x, (Image, Video)):
            raise SettingError(f"flip and crop are for images and videos, and {data.name} is {data.sample.x.kind}.")
        if isinstance(data.sample.x, (Image, Video)) and 2 * crop > min(data.sample.x.height, data.sample.x.width):
            raise SettingError(
                f"crop = {crop} moves images by more than half of their {data.sample.x.height}×{data.sample.x.width} "
                "pixels. Set a smaller one."
            )

    def __len__(self) -> int:
        return self._own.count

    def train(self, k: int, progress: Tensor, micro: int = 0) -> Batch:
        """A micro-batch of batch `k` of the run, augmented.

        Each image is used once per epoch, in an order that depends on (seed, epoch), and for a further data set on its
        name too. Windows of text are random.
        """
        here = slice(micro * self._micro, (micro + 1) * self._micro)
        index = self._own.chosen(k)[here]
        others = {name: source.chosen(k)[here] for name, source in self._further.items()}
        batch = self._batch(index, index, others, progress, self._read_ahead(k, micro) if self._readers else None)
        return self._augmented(batch, k, here) if self._flip or self._crop else batch

    def _read_ahead(self, k: int, micro: int) -> dict[str, Tensor]:
        """The streamed fields of a micro-batch of batch `k`; those of the next batches are read in the background."""
        assert self._readers is not None
        here = slice(micro * self._micro, (micro + 1) * self._micro)
        for later in range(k, k + AHEAD + 1):
            if (later, micro) not in self._ahead:
                others = {name: source.chosen(later)[here] for name, source in self._further.items()}
                self._ahead[later, micro] = self._readers.submit(self._read, self._own.chosen(later)[here], others)
        return self._ahead.pop((k, micro)).result()

    def _read(self, where: Tensor, others: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The streamed fields of samples, on the CPU."""
        read = {name: self._own.read(name, where) for name in self._own.streamed}
        return read | {
            name: source.read("x", others[name]) for name, source in self._further.items() if source.streamed
        }

    def in_order(self, limit: int | None = None) -> Iterator[Batch]:
        """Batches of all samples, or of the first `limit`, in the data set's order and without augmentation.

        A further data set begins again where it is shorter.
        """
        done = torch.ones((), device=self._device)
        count = len(self) if limit is None else min(limit, len(self))
        for start in range(0, count, self.size):
            index = torch.arange(start, min(start + self.size, count))
            others = {name: source.start(index % source.count) for name, source in self._further.items()}
            yield self._batch(index, self._own.start(index), others, done)

    def _batch(
        self,
        index: Tensor,
        where: Tensor,
        others: Mapping[str, Tensor],
        progress: Tensor,
        read: Mapping[str, Tensor] | None = None,
    ) -> Batch:
        """The batch of samples `index`, stored at positions `where`; `read` has what streams have already read."""
        if self._readers and read is None:
            read = self._read(index, others)
        read = read or {}
        fields = {name: self._own.at(name, where if name == "x" else index, read.get(name)) for name in self._own.names}
        fields |= {name: source.at("x", others[name], read.get(name)) for name, source in self._further.items()}
        return Batch(x=fields.pop("x"), fields=fields, index=index.to(self._device), progress=progress)

    def _augmented(self, batch: Batch, k: int, here: slice) -> Batch:
        """Flip half of the samples, and shift each by up to `crop` pixels; black fills the edges.

        Fields of images and videos of the same height and width are changed alike, and all frames of a video.
        """
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "augment", k))
        mirrored = torch.randint(2, (self.size,), generator=generator)[here].bool().to(self._device)
        moved = torch.randint(2 * self._crop + 1, (2, self.size), generator=generator)[:, here].to(self._device)
        made = {name: self._moved(batch[name], mirrored, moved) for name in self._alike}
        return dataclasses.replace(batch, x=made.pop("x"), fields={**batch.fields, **made})

    def _moved(self, x: Tensor, mirrored: Tensor, moved: Tensor) -> Tensor:
        """Images (b, …, h, w), some of them mirrored, (b,), and each cut out at a place of its own, (2, b)."""
        shape, x = x.shape, x.flatten(1, -3)  # (b, c, h, w); of a video, each frame has channels of its own
        if self._flip:
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        if self._crop:
            count, channels, height, width = x.shape
            x = torch.nn.functional.pad(x, [self._crop] * 4)
            rows = moved[0, :, None] + torch.arange(height, device=self._device)  # (b, h)
            columns = moved[1, :, None] + torch.arange(width, device=self._device)  # (b, w)
            x = x[
                torch.arange(count, device=self._device)[:, None, None, None],
                torch.arange(channels, device=self._device)[None, :, None, None],
                rows[:, None, :, None],
                columns[:, None, None, :],
            ]
        return x.reshape(shape)


class _Source:
    """Fields of a split, in the memory of a device or read from a stream, and the order of its samples."""

    def __init__(self, data: DataSplit, names: tuple[str, ...], size: int, seed: int, device: torch.device) -> None:
        self.names = names
        self._streams = {name: held for name in names if isinstance(held := data.fields[name], Stream)}
        self.streamed = tuple(self._streams)
        self._held = {name: _kept(data, name).to(device) for name in names if name not in self._streams}
        self._text = data.windows
        self._seed, self._device = seed, device
        self.count = len(data)
        self._starts = len(data.x) - self._text.length + 1 if self._text else self.count
        self.size = min(size, self._starts)
        self.per_epoch = self._starts // self.size

    def chosen(self, k: int) -> Tensor:
        """Where the samples of batch `k` are: (size,)."""
        if self._text:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "windows", k))
            return torch.randint(self._starts, (self.size,), generator=generator)
        epoch, place = divmod(k, self.per_epoch)
        return _order(self.count, self._seed, epoch)[place * self.size : (place + 1) * self.size]

    def start(self, index: Tensor) -> Tensor:
        """Where the samples `index` are: windows of text overlap by one character."""
        return index * (self._text.length - 1) if self._text else index

    def read(self, name: str, where: Tensor) -> Tensor:
        """Samples of a streamed field, on the CPU."""
        return torch.from_numpy(self._streams[name].read(where.numpy()))

    def at(self, name: str, where: Tensor, read: Tensor | None) -> Tensor:
        """A field of the samples `where`, on the device; `read` has it for a stream."""
        if read is not None:
            x = read.to(self._device)
        else:
            where = where.to(self._device)
            if name == "x" and self._text:
                return self._held["x"][where[:, None] + torch.arange(self._text.length, device=self._device)]
            x = self._held[name][where]
        return x if x.dtype == torch.int64 else x.float().div_(FULL.get(x.dtype, 1))


def _kept(data: DataSplit, name: str) -> Tensor:
    """A field in memory as a tensor; text is int64."""
    held = data.fields[name]
    assert not isinstance(held, Stream)
    return torch.from_numpy(held.astype("int64") if data.sample[name].kind == "text" else held)


@lru_cache(maxsize=8)
def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(seed, "order", epoch)))


def augmentation(data: DataSplit) -> dict[str, Any]:
    """The augmentation that the options of a data set ask for, as arguments of :class:`Batches`."""
    options = data.options
    return {"flip": options.flip, "crop": options.crop} if isinstance(options, ImageOptions) else {}


def split(data: DataSplit, recipe: Recipe) -> tuple[DataSplit, DataSplit | None]:
    """Split the training data into training and validation data, without the class `recipe.leave_out`.

    The validation data has `recipe.validation` samples: random images (by the seed), or the end of a text. Raises
    :class:`SettingError` if there are too few samples, or no such class.
    """
    if recipe.leave_out >= 0:
        if data.labels is None or recipe.leave_out >= data.sample.classes:
            raise SettingError(
                f"leave_out = {recipe.leave_out} names no class: {data.name} has {data.sample.classes} classes, from 0."
            )
        left = np.flatnonzero(data.labels != recipe.leave_out)
        if not len(left):
            raise SettingError(
                f"leave_out = {recipe.leave_out} leaves nothing of the {data.split} split of {data.name}, which has "
                "only that class. Leave out another class, or add samples."
            )
        data = data.take(left)
    if not recipe.validation:
        return data, None
    text = data.windows
    if recipe.validation + (text is not None) >= len(data):  # the last window of text needs one more character
        raise SettingError(f"validation = {recipe.validation} leaves nothing to train on: {data.name} has {len(data)}.")
    if text is not None and not isinstance(data.x, Stream):
        cut = len(data.x) - recipe.validation * (text.length - 1) - 1
        kept, held = data.x[:cut], data.x[cut:]
        return dataclasses.replace(data, fields={"x": kept}), dataclasses.replace(data, fields={"x": held})
    order = torch.randperm(
        len(data), generator=torch.Generator().manual_seed(derive_seed(recipe.seed, "validation"))
    ).numpy()
    first, rest = np.sort(order[: recipe.validation]), np.sort(order[recipe.validation :])
    return data.take(rest), data.take(first)
