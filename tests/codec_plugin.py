"""Plugins for the tests of codecs: pixels chosen by context, and a learnt latent grid with a table for each place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo

LEVELS = 17
BEFORE = ((0, -1), (-1, 0))


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    levels: int = zoo.setting(8, "values of a latent", ge=2)


class Pixels(nn.Module):
    """The pixels of an image at 17 grey levels; a linear layer is what is trained."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.image = sample.form(zoo.Image)
        self.score = nn.Linear(self.image.height * self.image.width, 1)
        counts = torch.zeros(LEVELS, LEVELS, 1, 1, LEVELS, dtype=torch.int64)
        self.register_buffer("frequencies", zoo.frequencies(counts))

    def encode(self, x: Tensor) -> Tensor:
        return (x[:, 0] * (LEVELS - 1)).round().long()

    def decode(self, symbols: Tensor) -> Tensor:
        return symbols[:, None].float() / (LEVELS - 1)


def pixel_loss(net: Pixels, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"mse": (net.score(batch.x.flatten(1))[:, 0] - batch.labels).square().mean()}


def pixel_tasks(net: Pixels) -> Mapping[str, zoo.Task]:
    symbols = zoo.Label(LEVELS, (net.image.height, net.image.width))
    return {
        "encode": zoo.Task(net.encode, {"image": net.image}, {"levels": symbols}),
        "decode": zoo.Task(net.decode, {"levels": symbols}, {"image": net.image}),
    }


def fit_pixels(net: Pixels, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    counts = sum(zoo.symbol_counts(net.encode(batch.x), LEVELS, BEFORE) for batch in batches)
    assert isinstance(counts, Tensor)
    net.frequencies.copy_(zoo.frequencies(4 * counts + 1)[:, :, None, None])


class Latent(nn.Module):
    """A dense autoencoder with latents rounded to a few levels, through which gradients pass (Theis et al. 2017)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.image, self.levels = sample.form(zoo.Image), recipe.levels
        size = self.image.height * self.image.width
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, 12), nn.Sigmoid())
        self.decoder = nn.Sequential(nn.Linear(12, size), nn.Sigmoid(), nn.Unflatten(1, self.image.shape))
        self.register_buffer("tables", zoo.frequencies(torch.ones(3, 4, recipe.levels, dtype=torch.int64)).long())

    def encode(self, x: Tensor) -> Tensor:
        return (self.encoder(x) * (self.levels - 1)).round().long().view(-1, 3, 4)

    def decode(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        z = symbols.flatten(1).float() / (self.levels - 1)
        return self.decoder(z), z


def latent_loss(net: Latent, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    z = net.encoder(batch.x)
    rounded = z + ((z * (net.levels - 1)).round() / (net.levels - 1) - z).detach()
    return {"mse": F.mse_loss(net.decoder(rounded), batch.x)}


def latent_tasks(net: Latent) -> Mapping[str, zoo.Task]:
    symbols = zoo.Label(net.levels, (3, 4))
    return {
        "analyse": zoo.Task(net.encode, {"image": net.image}, {"symbols": symbols}),
        "synthesise": zoo.Task(net.decode, {"symbols": symbols}, {"image": net.image, "z": zoo.Vector((12,))}),
    }


def fit_latent(net: Latent, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    counts = sum(F.one_hot(net.encode(batch.x), net.levels).sum(0) for batch in batches)
    assert isinstance(counts, Tensor)
    net.tables.copy_(zoo.frequencies(counts + 1))


def latent_codec(net: Latent) -> zoo.Codec:
    return zoo.Codec("analyse", "synthesise", tables="tables")


pixels = zoo.Model(
    card=zoo.Card(
        title="Coded pixels",
        summary="Lossless compression of small images by the pixels to the left and above.",
        paper="https://arxiv.org/abs/1311.2540",
        citation="Duda 2013",
    ),
    build=Pixels,
    objectives=(zoo.Objective(pixel_loss),),
    tasks=pixel_tasks,
    finish=fit_pixels,
    codec=zoo.Codec(context=BEFORE),
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=4, batch=64, precision="fp32")},
)
latent = dataclasses.replace(
    pixels,
    build=Latent,
    objectives=(zoo.Objective(latent_loss),),
    tasks=latent_tasks,
    finish=fit_latent,
    codec=latent_codec,
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=120, batch=64, precision="fp32", lr=1e-2, ema=0.9)},
)
