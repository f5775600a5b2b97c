"""Batches of a data set on a device: batch k of a seed is always the same, so a run can go on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.data.stream import Stream
from zoo.modules import mix
from zoo.plugin import Batch
from zoo.specs import Text

if TYPE_CHECKING:
    from zoo.data import DataSet


FULL = {torch.uint8: 255, torch.int16: 32768}
"""What numbers in memory are divided by to be what a batch holds."""


class Batches:
    """A data set in the memory of a device: bytes and int16, made floats batch by batch; text as indices."""

    def __init__(self, data: DataSet, size: int, seed: int, device: torch.device) -> None:
        self._text = data.sample.x if isinstance(data.sample.x, Text) else None
        self._stream = data.x if isinstance(data.x, Stream) else None
        self._x = (
            torch.empty(0)
            if isinstance(data.x, Stream)
            else torch.from_numpy(data.x.astype("int64") if self._text else data.x).to(device)
        )
        self._labels = torch.from_numpy(data.labels).to(device) if data.labels is not None else None
        self._count = len(data)
        self._starts = len(data.x) - self._text.length + 1 if self._text else self._count
        self._seed = seed
        self._device = device
        self.size = min(size, self._starts)
        self.per_epoch = self._starts // self.size

    def __len__(self) -> int:
        return self._count

    def train(self, k: int, progress: Tensor) -> Batch:
        """Batch `k` of the run. Pictures: each once an epoch, in an order of (seed, epoch). Text: windows at random."""
        if self._text:
            generator = torch.Generator().manual_seed(mix(self._seed, "windows", k))
            index = torch.randint(self._starts, (self.size,), generator=generator)
        else:
            epoch, place = divmod(k, self.per_epoch)
            index = _order(self._count, self._seed, epoch)[place * self.size : (place + 1) * self.size]
        return self._batch(index, index, progress)

    def in_order(self, limit: int | None = None) -> Iterator[Batch]:
        """Every sample once, in the order of the data set, or the first `limit` of them."""
        done = torch.ones((), device=self._device)
        count = self._count if limit is None else min(limit, self._count)
        for start in range(0, count, self.size):
            index = torch.arange(start, min(start + self.size, count))
            yield self._batch(index, index * (self._text.length - 1) if self._text else index, done)

    def _batch(self, index: Tensor, where: Tensor, progress: Tensor) -> Batch:
        host = index
        index, where = index.to(self._device), where.to(self._device)
        if self._text:
            x = self._x[where[:, None] + torch.arange(self._text.length, device=self._device)]
        else:
            x = torch.from_numpy(self._stream.read(host.numpy())).to(self._device) if self._stream else self._x[where]
            x = x.float().div_(FULL.get(x.dtype, 1))
        labels = self._labels[where] if self._labels is not None else torch.zeros_like(index)
        return Batch(x=x, labels=labels, index=index, progress=progress)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, "order", epoch)))
