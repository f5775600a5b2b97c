"""Images that are read from their files on demand, for folders that do not fit in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.core.cgroups import cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

SMALL = 128 * 128
"""Images with fewer pixels are decoded by one thread: more threads would only wait for Python's interpreter lock."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Images of one form, read on demand. Several threads may read at once."""

    paths: Sequence[Path]
    form: tuple[int, int, int]
    """(c, h, w)."""
    decode: Callable[[Path, Pixels], None]
    """Reads one image into uint8 (c, h, w). Raises :class:`zoo.core.errors.DataError` if it is damaged."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, c, h, w), as for an array."""
        return (len(self.paths), *self.form)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """Return the images at `indices`, int64 (b,), in order: uint8 (b, c, h, w), contiguous and writable.

        Raises :class:`zoo.core.errors.DataError` for the first damaged image, and IndexError beyond the end.
        """
        import numpy as np

        chosen = [self.paths[index] for index in indices]
        x = np.empty((len(chosen), *self.form), np.uint8)
        workers = min(len(chosen), cores())
        if workers <= 1 or self.form[1] * self.form[2] < SMALL:
            for path, row in zip(chosen, x, strict=True):
                self.decode(path, row)
            return x
        with ThreadPoolExecutor(workers) as pool:  # Pillow releases the interpreter lock while it decodes
            for _ in pool.map(self.decode, chosen, x):
                pass  # raises the first error of a thread
        return x

    def take(self, positions: NDArray[np.int64]) -> Stream:
        """Return a stream of only the images at `positions`, in that order."""
        return dataclasses.replace(self, paths=[self.paths[position] for position in positions])
