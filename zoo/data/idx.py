"""IDX files, gzipped or unpacked: mnist and fashion-mnist, which have the same format.

http://yann.lecun.com/exdb/mnist/ describes the format.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Image, Label, Sample
from zoo.core.errors import DataError
from zoo.data.dataset import DataSet, Options, Split
from zoo.data.download import obtain
from zoo.data.named import NamedSet


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Load the official split. Only the two files of this split are read or downloaded."""
    files = known.files[split]
    images, labels = (obtain(file, options.data_dir, options.progress) for file in files)
    digest = hashlib.sha256(images)
    digest.update(labels)
    channels, height, width = known.shape
    return known.data_set(
        split,
        Sample(Image(channels, height, width), {"label": Label(len(known.classes))}),
        parse_idx(images, 3, files[0].name)[:, None],  # (n, 28, 28) -> (n, 1, 28, 28)
        parse_idx(labels, 1, files[1].name).astype(np.int64),
        digest.hexdigest(),
    )


def parse_idx(content: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """Return the array in an IDX file: bytes 0, 0, 8, number of dimensions; each size (4 bytes, big-endian); data."""
    header = 4 + 4 * dimensions
    magic = bytes((0, 0, 8, dimensions))
    if content[:4] != magic or len(content) < header:
        raise DataError(
            f"{name} is not an IDX file of {dimensions}-dimensional bytes: it has {len(content):,} bytes and begins "
            f"with {content[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}. Delete it and run again."
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if math.prod(shape) != len(content) - header:
        raise DataError(
            f"{name} declares the shape {shape}, which takes {math.prod(shape):,} bytes, and has "
            f"{len(content) - header:,}. Delete it and run again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()  # a copy, since bytes are read-only
