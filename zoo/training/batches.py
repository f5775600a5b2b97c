"""Batches of a data set on a device. Batch k depends only on k and the seed, so a resumed run is exact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.contract.specs import Image, Text
from zoo.core.errors import SettingError
from zoo.data.stream import Stream
from zoo.modules import derive_seed
from zoo.plugin import Batch, Recipe

if TYPE_CHECKING:
    from zoo.data import DataSet


FULL = {torch.uint8: 255, torch.int16: 32768}
"""Divisor of stored values, by dtype: a batch holds float32 values in [0, 1] or [-1, 1]."""

AHEAD = 2
"""Batches of a stream that are read ahead in the background."""


class Batches:
    """A data set in the memory of a device: uint8 and int16, converted to float32 batch by batch; text as indices.

    A stream, which is too large for memory, is read batch by batch in the background. A batch may be split into
    `micro_batches` of equal size, which several processes compute, or one process computes in turn.
    """

    def __init__(
        self,
        data: DataSet,
        size: int,
        seed: int,
        device: torch.device,
        *,
        micro_batches: int = 1,
        flip: bool = False,
        crop: int = 0,
    ) -> None:
        self._text = data.sample.x if isinstance(data.sample.x, Text) else None
        self._stream = data.x if isinstance(data.x, Stream) else None
        self._x = _held(data).to(device)
        self._readers = ThreadPoolExecutor(1, "read ahead") if self._stream else None
        self._ahead: dict[tuple[int, int], Future[Tensor]] = {}
        self._labels = torch.from_numpy(data.labels).to(device) if data.labels is not None else None
        self._count = len(data)
        self._starts = len(data.x) - self._text.length + 1 if self._text else self._count
        self._seed = seed
        self._device = device
        self._flip, self._crop = flip, crop
        self.size = min(size, self._starts)
        self.per_epoch = self._starts // self.size
        self._micro = self.size // micro_batches
        if self.size % micro_batches:
            raise SettingError(
                f"A batch of {self.size} cannot be split into {micro_batches} micro-batches (processes × accumulate). "
                f"Set batch={self.size // micro_batches * micro_batches or micro_batches}."
            )
        if (flip or crop) and not isinstance(data.sample.x, Image):
            raise SettingError(f"flip and crop are for images, and {data.name} is {data.sample.x.kind}.")
        if isinstance(data.sample.x, Image) and 2 * crop > min(data.sample.x.height, data.sample.x.width):
            raise SettingError(
                f"crop = {crop} moves images by more than half of their {data.sample.x.height}×{data.sample.x.width} "
                "pixels. Set a smaller one."
            )

    def __len__(self) -> int:
        return self._count

    def train(self, k: int, progress: Tensor, micro: int = 0) -> Batch:
        """A micro-batch of batch `k` of the run, augmented.

        Each image is used once per epoch, in an order that depends on (seed, epoch). Windows of text are random.
        """
        here = slice(micro * self._micro, (micro + 1) * self._micro)
        index = self._chosen(k)[here]
        batch = self._batch(index, index, progress, self._read_ahead(k, micro) if self._stream else None)
        return self._augmented(batch, k, here) if self._flip or self._crop else batch

    def _chosen(self, k: int) -> Tensor:
        """The indices of the samples of batch `k`: (size,)."""
        if self._text:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "windows", k))
            return torch.randint(self._starts, (self.size,), generator=generator)
        epoch, place = divmod(k, self.per_epoch)
        return _order(self._count, self._seed, epoch)[place * self.size : (place + 1) * self.size]

    def _read_ahead(self, k: int, micro: int) -> Tensor:
        """A micro-batch of batch `k` of a stream; those of the next batches are read in the background."""
        assert self._readers is not None
        for later in range(k, k + AHEAD + 1):
            if (later, micro) not in self._ahead:
                index = self._chosen(later)[micro * self._micro : (micro + 1) * self._micro]
                self._ahead[later, micro] = self._readers.submit(self._read, index)
        return self._ahead.pop((k, micro)).result()

    def _read(self, index: Tensor) -> Tensor:
        assert self._stream is not None
        return torch.from_numpy(self._stream.read(index.numpy()))

    def in_order(self, limit: int | None = None) -> Iterator[Batch]:
        """Batches of all samples, or of the first `limit`, in the data set's order and without augmentation."""
        done = torch.ones((), device=self._device)
        count = self._count if limit is None else min(limit, self._count)
        for start in range(0, count, self.size):
            index = torch.arange(start, min(start + self.size, count))
            yield self._batch(index, index * (self._text.length - 1) if self._text else index, done)

    def _batch(self, index: Tensor, where: Tensor, progress: Tensor, read: Tensor | None = None) -> Batch:
        """The batch of samples `index`, stored at positions `where`; `read` has a stream's data if already read."""
        if self._stream and read is None:
            read = self._read(where)
        index, where = index.to(self._device), where.to(self._device)
        if self._text:
            x = self._x[where[:, None] + torch.arange(self._text.length, device=self._device)]
        else:
            x = self._x[where] if read is None else read.to(self._device)
            x = x.float().div_(FULL.get(x.dtype, 1))
        fields = {"label": self._labels[where]} if self._labels is not None else {}
        return Batch(x=x, fields=fields, index=index, progress=progress)

    def _augmented(self, batch: Batch, k: int, here: slice) -> Batch:
        """Flip half of the images, and shift each by up to `crop` pixels; black fills the edges."""
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "augment", k))
        mirrored = torch.randint(2, (self.size,), generator=generator)[here].bool().to(self._device)
        moved = torch.randint(2 * self._crop + 1, (2, self.size), generator=generator)[:, here].to(self._device)
        x = batch.x
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
        return dataclasses.replace(batch, x=x)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(seed, "order", epoch)))


def split(data: DataSet, recipe: Recipe) -> tuple[DataSet, DataSet | None]:
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
    windows = isinstance(data.sample.x, Text)
    if recipe.validation + windows >= len(data):  # the last window of text needs one more character
        raise SettingError(f"validation = {recipe.validation} leaves nothing to train on: {data.name} has {len(data)}.")
    if isinstance(data.sample.x, Text) and not isinstance(data.x, Stream):
        cut = len(data.x) - recipe.validation * (data.sample.x.length - 1) - 1
        return dataclasses.replace(data, x=data.x[:cut]), dataclasses.replace(data, x=data.x[cut:])
    order = torch.randperm(
        len(data), generator=torch.Generator().manual_seed(derive_seed(recipe.seed, "validation"))
    ).numpy()
    held, kept = np.sort(order[: recipe.validation]), np.sort(order[recipe.validation :])
    return data.take(kept), data.take(held)


def _held(data: DataSet) -> Tensor:
    """The tensor of a data set that is held in memory; empty for a stream."""
    if isinstance(data.x, Stream):
        return torch.empty(0)
    return torch.from_numpy(data.x.astype("int64") if data.sample.x.kind == "text" else data.x)
