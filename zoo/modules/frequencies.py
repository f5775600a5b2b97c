"""The tables of a codec, from counts of symbols: what a plugin's `finish` writes into the buffer of its codec."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.codec import context_rows
from zoo.contract.codec import TOTAL
from zoo.contract.specs import LARGEST
from zoo.core.errors import PluginError


def frequencies(counts: Tensor) -> Tensor:
    """Integer frequencies in proportion to counts: int32 of the shape of `counts`, on its device.

    `counts` are integers of at least 0, (…, K). Along the last axis the result sums to 2**16, and each is at least 1: 1
    and the symbol's part of 2**16 − K, rounded by largest remainders (equal ones: the first symbols first). A row of
    zeros becomes as uniform as K allows. All arithmetic is of integers, so the result is the same everywhere. Raises
    :class:`PluginError` for other counts.
    """
    classes = counts.shape[-1] if counts.ndim else 0
    if counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool or not 1 <= classes <= TOTAL:
        raise PluginError(
            f"zoo.frequencies takes integer counts of 1 to {TOTAL:,} symbols along the last axis, and got "
            f"{str(counts.dtype).removeprefix('torch.')} {tuple(counts.shape)}."
        )
    if counts.numel() and int(counts.min()) < 0:
        raise PluginError(f"zoo.frequencies takes counts of at least 0, and got {int(counts.min())}.")
    if counts.numel() and int(counts.max()) > 2**30:
        raise PluginError(f"zoo.frequencies takes counts up to 2**30, and got {int(counts.max())}. Divide them.")
    counts = counts.long()
    counts = torch.where(counts.sum(-1, keepdim=True) == 0, 1, counts)
    total = counts.sum(-1, keepdim=True)  # (…, 1)
    shares = counts * (TOTAL - classes)
    whole, rest = shares // total, shares % total  # (…, K)
    missing = TOTAL - classes - whole.sum(-1, keepdim=True)  # from 0 to K − 1
    order = torch.sort(rest, dim=-1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(-1, order, torch.arange(classes, device=order.device).expand_as(order))
    return (1 + whole + (rank < missing)).int()


def symbol_counts(symbols: Tensor, classes: int, context: tuple[tuple[int, ...], ...] = ()) -> Tensor:
    """How often each symbol follows each context: int64 (classes for each offset in `context`, classes), on the CPU.

    `symbols` are int64 (b, *grid) in [0, classes), and `context` is that of a :class:`zoo.Codec`. Raises
    :class:`PluginError` for more than 2**28 counts, and for symbols out of range.
    """
    shape = (*[classes] * len(context), classes)
    if classes ** len(shape) > LARGEST:
        raise PluginError(f"zoo.symbol_counts would make a table of {shape}, which has more than {LARGEST:,} counts.")
    array = symbols.detach().cpu().numpy()
    if array.size and not (array.min() >= 0 and array.max() < classes):
        raise PluginError(f"zoo.symbol_counts got symbols from {array.min()} to {array.max()}, of {classes}.")
    index = np.zeros_like(array)
    for earlier in context_rows(array, context):
        index = (index + earlier) * classes
    flat = torch.from_numpy(index + array).flatten()
    return torch.bincount(flat, minlength=classes ** len(shape)).view(shape)
