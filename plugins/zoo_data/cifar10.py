"""cifar10: the official binary version, read from its archive or from the unpacked folder cifar-10-batches-bin.

Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. A file is a sequence of records of 3,073 bytes: the label,
then the red, the green and the blue plane, each row by row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.contract.data import Files, listing
from zoo.core.errors import DataError
from zoo.data import archives, where
from zoo.data.download import obtain

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32


def _batch(name: str, sha256: str) -> zoo.KnownFile:
    return zoo.KnownFile(
        name=name,
        folders=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
        addresses=(),
        size=30_730_000,
        sha256=sha256,
    )


BATCHES: Files = {
    "train": (
        _batch("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        _batch("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        _batch("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        _batch("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        _batch("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    ),
    "test": (_batch("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),),
}

ARCHIVE = zoo.KnownFile(
    name="cifar-10-binary.tar.gz",
    folders=("cifar10", ""),
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    inside=zoo.Inside(
        pattern=r"(?:.*/)?((?:data_batch_[1-5]|test_batch)\.bin)",
        sha256=listing({file.name: file.sha256 for files in BATCHES.values() for file in files}),
    ),
)


def load(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, NDArray[Any]]:
    """Load the official split: five training files, one test file."""
    wanted = [file.name for file in cifar10.unpacked[split]]
    files = where.chosen(cifar10, split, folder)
    if files == cifar10.files[split]:
        (file,) = files
        found = archives.obtain(file, folder)
        if lacking := [name for name in wanted if name not in found]:
            raise DataError(f"{file.name} has no {lacking[0]}. Delete it and run again.")
        batches = [found[name] for name in wanted]
    else:
        batches = [obtain(file, folder) for file in files]
    parts = [parse(batch, name, len(CLASSES)) for batch, name in zip(batches, wanted, strict=True)]
    x, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return {"x": x, "label": labels}


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


cifar10 = zoo.DataSet(
    card=zoo.DataCard(
        title="Animals and vehicles",
        source="CIFAR-10, binary version; A. Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; the authors ask for the citation",
        citation='Krizhevsky 2009, "Learning multiple layers of features from tiny images"',
        split="official",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(zoo.Image(3, 32, 32), {"label": zoo.Label(10)}),
    load=load,
    files={"train": (ARCHIVE,), "test": (ARCHIVE,)},
    unpacked=BATCHES,
    classes=CLASSES,
    train=50_000,
    test=10_000,
    proven=False,
)
