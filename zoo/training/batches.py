"""Batches of a data set on a device: batch k of a seed is always the same, so a run can go on where it stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.errors import SettingError
from zoo.modules import mix
from zoo.plugin import Batch, Recipe
from zoo.specs import Image, Text

if TYPE_CHECKING:
    from zoo.data import DataSet


class Batches:
    """A data set in the memory of a device: pictures as bytes, made floats batch by batch; text as indices.

    A batch may be computed in equal `parts`, by several processes or one after the other: together they are the batch.
    """

    def __init__(
        self,
        data: DataSet,
        size: int,
        seed: int,
        device: torch.device,
        *,
        parts: int = 1,
        flip: bool = False,
        crop: int = 0,
    ) -> None:
        self._text = data.sample.x if isinstance(data.sample.x, Text) else None
        self._x = torch.from_numpy(data.x.astype("int64") if self._text else data.x).to(device)
        self._labels = torch.from_numpy(data.labels).to(device) if data.labels is not None else None
        self._count = len(data)
        self._starts = len(data.x) - self._text.length + 1 if self._text else self._count
        self._seed = seed
        self._device = device
        self._flip, self._crop = flip, crop
        self.size = min(size, self._starts)
        self.per_epoch = self._starts // self.size
        self._part = self.size // parts
        if self.size % parts:
            raise SettingError(
                f"A batch of {self.size} cannot be split into {parts} equal parts (processes × accumulate). "
                "Set batch to a multiple of that."
            )
        if (flip or crop) and not isinstance(data.sample.x, Image):
            raise SettingError(f"flip and crop are for pictures, and {data.name} is {data.sample.x.kind}.")

    def __len__(self) -> int:
        return self._count

    def train(self, k: int, progress: Tensor, part: int = 0) -> Batch:
        """A part of batch `k` of the run, augmented.

        Pictures: each once an epoch, in an order of (seed, epoch). Text: windows at random.
        """
        here = slice(part * self._part, (part + 1) * self._part)
        if self._text:
            generator = torch.Generator().manual_seed(mix(self._seed, "windows", k))
            index = torch.randint(self._starts, (self.size,), generator=generator)
        else:
            epoch, place = divmod(k, self.per_epoch)
            index = _order(self._count, self._seed, epoch)[place * self.size : (place + 1) * self.size]
        batch = self._batch(index[here], index[here], progress)
        return self._augmented(batch, k, here) if self._flip or self._crop else batch

    def in_order(self, limit: int | None = None) -> Iterator[Batch]:
        """Every sample once, as it is, in the order of the data set, or the first `limit` of them."""
        done = torch.ones((), device=self._device)
        count = self._count if limit is None else min(limit, self._count)
        for start in range(0, count, self.size):
            index = torch.arange(start, min(start + self.size, count))
            yield self._batch(index, index * (self._text.length - 1) if self._text else index, done)

    def _batch(self, index: Tensor, where: Tensor, progress: Tensor) -> Batch:
        index, where = index.to(self._device), where.to(self._device)
        if self._text:
            x = self._x[where[:, None] + torch.arange(self._text.length, device=self._device)]
        else:
            x = self._x[where].float().div_(255)
        labels = self._labels[where] if self._labels is not None else torch.zeros_like(index)
        return Batch(x=x, labels=labels, index=index, progress=progress)

    def _augmented(self, batch: Batch, k: int, here: slice) -> Batch:
        """Half of the pictures mirrored; each moved by up to `crop` pixels, with black from beyond its edges."""
        generator = torch.Generator().manual_seed(mix(self._seed, "augment", k))
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
    return torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, "order", epoch)))


def split(data: DataSet, recipe: Recipe) -> tuple[DataSet, DataSet | None]:
    """The training data without the class that the recipe leaves out, and what it holds out of them for validation.

    Held out are `recipe.validation` samples: pictures at random by the seed, text from its end. Raises
    :class:`SettingError` where there are too few samples, or no such class.
    """
    if recipe.leave_out >= 0:
        if data.labels is None or recipe.leave_out >= data.sample.classes:
            raise SettingError(
                f"leave_out = {recipe.leave_out} names no class: {data.name} has {data.sample.classes} classes, from 0."
            )
        data = _take(data, np.flatnonzero(data.labels != recipe.leave_out))
    if not recipe.validation:
        return data, None
    if recipe.validation >= len(data):
        raise SettingError(f"validation = {recipe.validation} leaves nothing to train on: {data.name} has {len(data)}.")
    if isinstance(data.sample.x, Text):
        cut = len(data.x) - recipe.validation * (data.sample.x.length - 1) - 1
        return dataclasses.replace(data, x=data.x[:cut]), dataclasses.replace(data, x=data.x[cut:])
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(mix(recipe.seed, "validation"))).numpy()
    held, kept = np.sort(order[: recipe.validation]), np.sort(order[recipe.validation :])
    return _take(data, kept), _take(data, held)


def _take(data: DataSet, positions: np.ndarray[tuple[int], np.dtype[np.int64]]) -> DataSet:
    labels = None if data.labels is None else data.labels[positions]
    return dataclasses.replace(data, x=data.x[positions], labels=labels)
