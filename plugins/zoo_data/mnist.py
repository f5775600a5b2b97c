"""mnist: 70,000 handwritten digits, grey, 28x28, as the four official IDX files, gzipped or unpacked."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.data import idx

FILES = idx.files(
    ("mnist", ""),
    (
        "https://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)


def load(split: str, folder: Path, options: zoo.ImageOptions) -> zoo.Loaded:
    """Load the official split. Only the two files of this split are read or downloaded."""
    return idx.read(mnist.files[split], folder)


mnist = zoo.DataSet(
    card=zoo.DataCard(
        title="Handwritten digits",
        source="The MNIST database of handwritten digits; Y. LeCun, C. Cortes and C. Burges, 1998, "
        "http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0",
        citation='LeCun et al. 1998, "Gradient-based learning applied to document recognition", '
        "https://doi.org/10.1109/5.726791",
        split="official",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(zoo.Image(1, 28, 28), {"label": zoo.Label(10)}),
    load=load,
    files=FILES,
    classes=tuple("0123456789"),
    train=60_000,
    test=10_000,
)
