"""Plugins for the tests of the web page: images of two channels from a given audio clip, and texts made at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.random import default_rng
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo

CLIP = zoo.Audio(8000, 40)
NAMES = ("low", "high", "neither")


def load(split: str, folder: Path, options: zoo.Options) -> Mapping[str, NDArray[Any]]:
    random, count = default_rng(len(split)), 60 if split == "train" else 20
    return {
        "x": random.integers(0, 256, (count, 2, 4, 5)).astype("u1"),
        "label": random.integers(0, len(NAMES), count),
        "clip": random.integers(-9000, 9000, (count, CLIP.samples)).astype("i2"),
    }


chimes = zoo.DataSet(
    card=zoo.DataCard(title="chimes", source="made by a formula", licence="MIT", citation="none", split="made"),
    sample=lambda options: zoo.Sample(zoo.Image(2, 4, 5), {"label": zoo.Label(len(NAMES)), "clip": CLIP}),
    load=load,
    classes=NAMES,
)


class Net(nn.Module):
    """An image of two channels from noise, a class and an audio clip."""

    def __init__(self, recipe: zoo.Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample = sample
        self.classes = nn.Embedding(sample.classes, 3)
        self.layer = nn.Linear(CLIP.samples + 4, 40)

    def draw(self, label: Tensor, clip: Tensor, z: Tensor) -> Tensor:
        return self.layer(torch.cat([self.classes(label), 4 * clip, z], 1)).sigmoid().unflatten(1, (2, 4, 5))


def loss(net: Net, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    made = net.draw(batch.labels, batch["clip"], torch.randn(len(batch.x), 1))
    return {"error": (made - batch.x).square().mean()}


def tasks(net: Net) -> Mapping[str, zoo.Task]:
    inputs = {"label": net.sample["label"], "clip": net.sample["clip"], "z": zoo.Noise((1,))}
    return {"draw": zoo.Task(net.draw, inputs, {"image": net.sample.x})}


chime = zoo.Model(
    card=zoo.Card(
        title="Images of audio",
        summary="A small model for tests.",
        paper="https://arxiv.org/abs/1312.6114",
        citation="Kingma & Welling 2014",
    ),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("draw"),
    recipes={"tiny": zoo.Recipe(data=zoo.use("chimes"), steps=20, batch=16)},
)


class Words(nn.Module):
    """All characters of a text at once, from noise."""

    def __init__(self, recipe: zoo.Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.text = sample, sample.form(zoo.Text)
        self.layer = nn.Linear(4, self.text.length * self.text.classes)

    def logits(self, z: Tensor) -> Tensor:
        return self.layer(z).unflatten(1, (self.text.length, self.text.classes))

    def say(self, z: Tensor) -> Tensor:
        return self.logits(z).argmax(2)


def words_loss(net: Words, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    return {"nll": F.cross_entropy(net.logits(torch.randn(len(batch.x), 4)).flatten(0, 1), batch.x.flatten())}


words = zoo.Model(
    card=chime.card,
    build=Words,
    objectives=(zoo.Objective(words_loss),),
    tasks=lambda net: {"say": zoo.Task(net.say, {"z": zoo.Noise((4,))}, {"text": net.text})},
    generate=zoo.OneShot("say"),
    recipes={"tiny": zoo.Recipe(data=zoo.use("descriptions", length=8), steps=20, batch=16)},
)
