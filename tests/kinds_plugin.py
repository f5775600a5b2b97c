"""A plugin for the tests of every kind of sample but text: a small autoencoder, linear but for its end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(3, "dimensions of z", ge=1)


class Within(nn.Module):
    """Numbers within the bounds of a spec."""

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return x if self.low is None and self.high is None else x.clamp(self.low, self.high)


class Net(nn.Module):
    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.latent, x = sample, recipe.latent, sample.x
        last = Within(x.low, x.high) if isinstance(x, zoo.Array) else nn.Sigmoid()
        size = math.prod(x.shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, recipe.latent))
        self.decoder = nn.Sequential(nn.Linear(recipe.latent, size), last, nn.Unflatten(1, x.shape))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))

    def score(self, x: Tensor) -> Tensor:
        return (self.reconstruct(x) - x).square().flatten(1).mean(1)


def error(net: Net, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return net.score(batch.x)


def loss(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    spread = net.encoder(batch.x).square().mean() - 1
    return {"error": error(net, batch, recipe).mean(), "spread": 0.01 * torch.square(spread)}


def tasks(net: Net) -> Mapping[str, zoo.Task]:
    x, z = net.sample.x, (net.latent,)
    return {
        "encode": zoo.Task(net.encoder, {"x": x}, {"z": zoo.Vector(z)}),
        "decode": zoo.Task(net.decoder, {"z": zoo.Noise(z)}, {"x": x}),
        "reconstruct": zoo.Task(net.reconstruct, {"x": x}, {"reconstruction": x}),
        "score": zoo.Task(net.score, {"x": x}, {"score": zoo.Score()}),
    }


flat = zoo.Model(
    card=zoo.Card(
        title="Linear autoencoder of anything",
        summary="Encodes samples of any shape.",
        paper="https://doi.org/10.1126/science.1127647",
        citation="Hinton & Salakhutdinov 2006",
    ),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    metrics=(zoo.Metric("error", error, "per number", "reconstruction"),),
    recipes={"tiny": Recipe(data=zoo.use("dots"), steps=30, batch=16, lr=0.01)},
)

rows = dataclasses.replace(flat, generate=None)
"""Without generation, and so without the table of the normal distribution: a small release."""


class Asked(nn.Module):
    """A row of numbers from a given video and given points."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, size = sample, sum(math.prod(sample[name].shape) for name in ("clip", "point"))
        self.row = nn.Linear(size + 1, math.prod(sample.x.shape))

    def draw(self, clip: Tensor, point: Tensor, z: Tensor) -> Tensor:
        made = self.row(torch.cat([clip.flatten(1), point.flatten(1), z], 1))  # (b, 2)
        return made.clamp(self.sample.x.low, self.sample.x.high)


def asked_loss(net: Asked, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    made = net.draw(batch["clip"], batch["point"], torch.zeros(len(batch.x), 1))
    return {"error": (made - batch.x).square().mean()}


def asked_tasks(net: Asked) -> Mapping[str, zoo.Task]:
    inputs = {"clip": net.sample["clip"], "point": net.sample["point"], "z": zoo.Noise((1,))}
    return {"draw": zoo.Task(net.draw, inputs, {"row": net.sample.x})}


def distance(generated: NDArray[np.float32], test: Mapping[str, NDArray[np.generic]]) -> float:
    assert test["clip"].dtype == np.uint8
    assert test["point"].dtype == np.float32
    return float(np.square(generated - test["x"]).mean())


asked = zoo.Model(
    card=flat.card,
    build=Asked,
    objectives=(zoo.Objective(asked_loss),),
    tasks=asked_tasks,
    generate=zoo.OneShot("draw"),
    metrics=(zoo.SetMetric("distance", distance, "squared", "each sample beside the test sample", samples=20),),
    recipes={"tiny": Recipe(data=zoo.use("pairs"), steps=30, batch=16, lr=0.01)},
)
