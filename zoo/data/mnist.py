"""mnist: 60,000 + 10,000 handwritten digits, grey, 28x28.

Y. LeCun, C. Cortes and C. Burges, http://yann.lecun.com/exdb/mnist/, CC BY-SA 3.0; described in LeCun et al. 1998,
"Gradient-based learning applied to document recognition", https://doi.org/10.1109/5.726791. Four files in the IDX
format, gzip or unpacked. The hashes are those of the unpacked bytes, since the gzip wrapping differs between mirrors.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.dataset import DataSet, Split
from zoo.data.store import KnownFile, Progress, obtain
from zoo.errors import DataError
from zoo.specs import Image, Sample

ADDRESSES = (
    "https://yann.lecun.com/exdb/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def _file(name: str, size: int, sha256: str) -> KnownFile:
    name += ".gz"
    addresses = tuple(address + name for address in ADDRESSES)
    return KnownFile(name=name, folders=("mnist", ""), addresses=addresses, size=size, sha256=sha256)


FILES = {  # the images and the labels of each split
    "train": (
        _file("train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        _file("train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    "test": (
        _file("t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        _file("t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
}


def load(split: Split, data_dir: Path, progress: Progress | None) -> DataSet:
    """The official split. Only its own two files are read, or downloaded into `data_dir`/mnist."""
    images, labels = (obtain(file, data_dir, progress) for file in FILES[split])
    digest = hashlib.sha256(images)
    digest.update(labels)
    return DataSet(
        name="mnist",
        split=split,
        sample=Sample(Image(1, 28, 28), classes=10),
        x=parse_idx(images, 3, FILES[split][0].name)[:, None],  # (n, 28, 28) -> (n, 1, 28, 28)
        labels=parse_idx(labels, 1, FILES[split][1].name).astype(np.int64),
        source="The MNIST database of handwritten digits; Y. LeCun, C. Cortes and C. Burges, 1998, "
        "http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0",
        sha256=digest.hexdigest(),
    )


def parse_idx(content: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """The array in an IDX file of bytes: 0, 0, 8, the number of dimensions, each size (4 bytes, big-endian), data."""
    header = 4 + 4 * dimensions
    magic = bytes((0, 0, 8, dimensions))
    if content[:4] != magic or len(content) < header:
        raise DataError(
            f"{name} is no IDX file of bytes in {dimensions} dimensions: it has {len(content):,} bytes and begins with "
            f"{content[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}. Delete it and run again."
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if math.prod(shape) != len(content) - header:
        raise DataError(
            f"{name} declares the shape {shape}, which takes {math.prod(shape):,} bytes, and has "
            f"{len(content) - header:,}. Delete it and run again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()  # a copy, since bytes are read-only
