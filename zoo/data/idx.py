"""IDX files, gzipped or unpacked: mnist and fashion-mnist, which have the same format.

http://yann.lecun.com/exdb/mnist/ describes the format.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.contract.data import Files, KnownFile, Loaded
from zoo.core.errors import DataError
from zoo.data.download import obtain


def files(folders: tuple[str, ...], addresses: tuple[str, ...], hashes: Mapping[str, str]) -> Files:
    """Return the image file and the label file of each split, named and sized as MNIST's four files.

    `folders` are those below the data folder, `addresses` end in "/", and `hashes` are the SHA-256 of the unpacked
    bytes by the name without its ending.
    """
    sizes = {"train": 60_000, "t10k": 10_000}

    def known(part: str, what: str) -> KnownFile:
        name = f"{part}-{what}-ubyte.gz"
        return KnownFile(
            name=name,
            folders=folders,
            addresses=tuple(address + name for address in addresses),
            size=sizes[part] * 784 + 16 if what == "images-idx3" else sizes[part] + 8,
            sha256=hashes[f"{part}-{what}"],
        )

    return {
        "train": (known("train", "images-idx3"), known("train", "labels-idx1")),
        "test": (known("t10k", "images-idx3"), known("t10k", "labels-idx1")),
    }


def read(files: tuple[KnownFile, ...], folder: Path) -> Loaded:
    """Read the images and the labels of one split. The hash is that of both files, unpacked, one after the other."""
    images, labels = (obtain(file, folder) for file in files)
    digest = hashlib.sha256(images)
    digest.update(labels)
    return Loaded(
        fields={
            "x": parse_idx(images, 3, files[0].name)[:, None],  # (n, 28, 28) -> (n, 1, 28, 28)
            "label": parse_idx(labels, 1, files[1].name).astype(np.int64),
        },
        sha256=digest.hexdigest(),
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
