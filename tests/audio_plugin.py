"""A plugin for the tests of audio clips: a linear autoencoder of waveforms or of log-mel spectrograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(4, "dimensions of z", ge=1)


class Net(nn.Module):
    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        if not isinstance(sample.x, (zoo.Audio, zoo.LogMel)):
            raise ValueError(f"hums models audio clips, and this data is {sample.x.kind}")
        self.sample, self.latent = sample, recipe.latent
        size = math.prod(sample.x.shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, recipe.latent))
        last = nn.Tanh() if isinstance(sample.x, zoo.Audio) else nn.Sigmoid()
        self.decoder = nn.Sequential(nn.Linear(recipe.latent, size), last, nn.Unflatten(1, sample.x.shape))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def mse(net: Net, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return (net.reconstruct(batch.x) - batch.x).square().flatten(1).mean(1)


def loss(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"mse": mse(net, batch, recipe).mean()}


def tasks(net: Net) -> Mapping[str, zoo.Task]:
    sound, code = net.sample.x, (net.latent,)
    return {
        "encode": zoo.Task(net.encoder, {"audio": sound}, {"z": zoo.Vector(code)}),
        "decode": zoo.Task(net.decoder, {"z": zoo.Noise(code)}, {"audio": sound}),
        "reconstruct": zoo.Task(net.reconstruct, {"audio": sound}, {"reconstruction": sound}),
    }


hums = zoo.Model(
    card=zoo.Card(
        title="Linear autoencoder of audio",
        summary="Encodes a short sound, or its spectrogram.",
        paper="https://doi.org/10.1126/science.1127647",
        citation="Hinton & Salakhutdinov 2006",
    ),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    metrics=(zoo.Metric("squared_error", mse, "per number", "reconstruction"),),
    recipes={
        "tiny": Recipe(data=zoo.use("fsdd", seconds=0.1), steps=10, batch=8),
        "mel": Recipe(data=zoo.use("fsdd", seconds=0.128, bands=12), steps=10, batch=8),
    },
)
