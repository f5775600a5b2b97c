"""What a data set is: one split of it, whole, in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.specs import Sample, Text

Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """One split of a data set. The arrays are contiguous and writable, so other libraries can use them as they are."""

    name: str
    """``"mnist"``; for the user's own, without the folders above it: ``"folder:pics"``, ``"text:notes.txt"``."""
    split: Split
    sample: Sample
    """The form of one sample, and the number of classes (0 where there are no labels)."""
    x: NDArray[Any] = field(repr=False)
    """Pictures: uint8 (n, c, h, w). Text: the characters of the split in order, uint8 or uint16 (n,)."""
    labels: NDArray[np.int64] | None = field(repr=False)
    """int64 (n,), or None."""
    source: str
    """One line: where it is from, and whom to cite."""
    licence: str
    """Of the data; ``"unknown"`` for the user's own."""
    sha256: str
    """Of the content. Text: the whole file. mnist: the split's two unpacked files. Others: :func:`fingerprint`."""

    def __len__(self) -> int:
        """Pictures: how many. Text: how many windows of ``sample.x.length`` characters.

        Window i starts at ``i * (length - 1)``: it shares one character with the next, so a model that predicts
        window[1:] from window[:-1] predicts each character but the first once. What is left at the end is dropped.
        """
        if isinstance(self.sample.x, Text):
            return (len(self.x) - 1) // (self.sample.x.length - 1)
        return len(self.x)


def fingerprint(x: NDArray[Any], labels: NDArray[np.int64] | None) -> str:
    """The SHA-256 of arrays: of their types, their shapes and their bytes."""
    digest = hashlib.sha256()
    for array in (x,) if labels is None else (x, labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
