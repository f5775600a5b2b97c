"""cifar10: the official binary version, read from its archive or from the unpacked folder cifar-10-batches-bin.

Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. A file is a sequence of records of 3,073 bytes: the label,
then the red, the green and the blue plane, each row by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Image, Label, Sample
from zoo.core.errors import DataError
from zoo.data import archives
from zoo.data.dataset import DataSet, Options, Split, fingerprint
from zoo.data.download import obtain
from zoo.data.named import NamedSet

RECORD = 1 + 3 * 32 * 32


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Load the official split: five training files, one test file."""
    wanted = [file.name for file in known.unpacked[split]]
    files = known.chosen(split, options.data_dir)
    if files == known.files[split]:
        (file,) = files
        found = archives.obtain(file, options.data_dir, options.progress)
        if lacking := [name for name in wanted if name not in found]:
            raise DataError(f"{file.name} has no {lacking[0]}. Delete it and run again.")
        batches = [found[name] for name in wanted]
    else:
        batches = [obtain(file, options.data_dir) for file in files]
    parts = [parse(batch, name, len(known.classes)) for batch, name in zip(batches, wanted, strict=True)]
    x, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    sample = Sample(Image(3, 32, 32), {"label": Label(len(known.classes))})
    return known.data_set(split, sample, x, labels, fingerprint(x, labels))


def parse(content: bytes, name: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images of a file, uint8 (n, 3, 32, 32), and their labels, int64 (n,)."""
    if not content or len(content) % RECORD:
        raise DataError(
            f"{name} has {len(content):,} bytes, which is not a multiple of {RECORD:,}. Delete it and run again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= classes:
        raise DataError(f"{name} has the label {labels.max()}, out of {classes} classes. Delete it and run again.")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels  # (n, 3072) -> (n, 3, 32, 32)
