"""Gated PixelCNN on grey images: exact likelihoods, and images sampled pixel by pixel.

Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu 2016, "Conditional image generation with PixelCNN
decoders", https://arxiv.org/abs/1606.05328. The network is in gated.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import zoo
from zoo_autoregressive.gated import GatedPixelCNN


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    levels: int = zoo.setting(2, "grey levels of a pixel; 2: images are binarised at random in training", ge=2)
    width: int = zoo.setting(64, "channels of each stack", ge=1)
    layers: int = zoo.setting(6, "layers of both stacks, after the first", ge=1)
    reach: int = zoo.setting(7, "rows above, and columns to either side, that the first layer sees", ge=1)
    conditional: bool = zoo.setting(False, "model images given their label, and draw them with a label")


class PixelCNN(GatedPixelCNN):
    """p(image) = Π p(pixel | pixels above it, pixels left of it in its row), with `levels` values per pixel."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        image = sample.form(zoo.Image)
        if image.channels != 1:
            raise ValueError(f"PixelCNN models grey images, and these have {image.channels} channels")
        if recipe.conditional and not sample.classes:
            raise ValueError("conditional needs labels, and this data has none")
        super().__init__(
            (image.height, image.width),
            recipe.levels,
            width=recipe.width,
            layers=recipe.layers,
            reach=recipe.reach,
            labels=sample.classes if recipe.conditional else 0,
        )
        self.sample = sample

    def encode(self, x: Tensor) -> Tensor:
        """The nearest levels: (b, 1, h, w) in [0, 1] → int64 (b, h, w)."""
        return (x[:, 0] * (self.classes - 1)).round().long()

    def decode(self, tokens: Tensor) -> Tensor:
        return tokens[:, None].float() / (self.classes - 1)

    def score(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """−log p of the rounded image in nats, (b,)."""
        return self.nll(self.encode(x), label)


def nll(pixelcnn: PixelCNN, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """−log p in nats per image, (b,): randomly binarised images for 2 levels, else rounded ones."""
    x = torch.bernoulli(batch.x) if recipe.levels == 2 else batch.x
    return pixelcnn.nll(pixelcnn.encode(x), batch.labels)


def loss(pixelcnn: PixelCNN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"nll": nll(pixelcnn, batch, recipe).mean()}


def tasks(pixelcnn: PixelCNN) -> Mapping[str, zoo.Task]:
    image, tokens, step = pixelcnn.sample.x, zoo.Label(pixelcnn.classes, pixelcnn.shape), pixelcnn.step_task()
    label = {"label": step.inputs["label"]} if pixelcnn.labels is not None else {}
    return {
        "encode": zoo.Task(pixelcnn.encode, {"image": image}, {"tokens": tokens}),
        "decode": zoo.Task(pixelcnn.decode, {"tokens": tokens}, {"image": image}),
        "score": zoo.Task(pixelcnn.score, {"image": image, **label}, {"score": zoo.Score()}),
        "step": step,
    }


def generation(pixelcnn: PixelCNN) -> zoo.Chain:
    return zoo.Chain(zoo.Autoregressive("step", pixelcnn.shape), "decode")


pixelcnn = zoo.Model(
    card=zoo.Card(
        title="Gated PixelCNN",
        summary="Pixels drawn one by one, each given those before it: exact likelihoods, and slow, sharp samples.",
        paper="https://arxiv.org/abs/1606.05328",
        citation="van den Oord et al. 2016",
    ),
    build=PixelCNN,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=generation,
    metrics=(zoo.Metric("exact_nll", nll, "nats per image", "2 levels dynamically binarised, more rounded"),),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            levels=17,
            reach=3,
            layers=4,
            steps=1500,
            batch=100,
            warmup=50,
            decay="cosine",
            ema=0.99,
        ),
        "mnist": Recipe(  # a sum over 784 pixels has large gradients; clipping allows the higher learning rate
            data=zoo.use("mnist"), steps=15000, batch=32, lr=2e-3, warmup=200, decay="cosine", clip=200.0, ema=0.999
        ),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", width=8, layers=1, reach=2, steps=20, batch=32),
    },
)
