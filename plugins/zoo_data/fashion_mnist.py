"""fashion-mnist: 70,000 articles of clothing, grey, 28x28, as four IDX files, gzipped or unpacked."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.data import idx

FILES = idx.files(
    ("fashion-mnist",),
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    {
        "train-images-idx3": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


def load(split: str, folder: Path, options: zoo.ImageOptions) -> zoo.Loaded:
    """Load the official split. Only the two files of this split are read or downloaded."""
    return idx.read(fashion_mnist.files[split], folder)


fashion_mnist = zoo.DataSet(
    card=zoo.DataCard(
        title="Articles of clothing",
        source="Fashion-MNIST; Zalando Research, 2017, https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        citation="Xiao, Rasul & Vollgraf 2017, https://arxiv.org/abs/1708.07747",
        split="official",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(zoo.Image(1, 28, 28), {"label": zoo.Label(10)}),
    load=load,
    files=FILES,
    classes=(
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    train=60_000,
    test=10_000,
)
