"""An autoencoder that is exact from its start: a rotation of the pixels, and the same back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

import zoo


class Rotation(nn.Module):
    def __init__(self, recipe: zoo.Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample = sample
        size = math.prod(sample.x.shape)
        self.there, self.back = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        with torch.no_grad():
            rotation = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0]
            self.there.weight.copy_(rotation)
            self.back.weight.copy_(rotation.T)

    def encode(self, x: Tensor) -> Tensor:
        return self.there(x.flatten(1))  # (b, pixels)

    def decode(self, z: Tensor) -> Tensor:
        return self.back(z).unflatten(1, self.sample.x.shape).clamp(0, 1)  # (b, c, h, w)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def errors(net: Rotation, batch: zoo.Batch) -> Tensor:
    return (net.reconstruct(batch.x) - batch.x).square().flatten(1).mean(1)


def loss(net: Rotation, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    return {"error": errors(net, batch).mean()}


def by_its_tasks(net: Rotation, batch: zoo.Batch, recipe: zoo.Recipe) -> Tensor:
    return errors(net, batch)


def beside_its_tasks(net: Rotation, batch: zoo.Batch, recipe: zoo.Recipe) -> Tensor:
    return net.there.weight.square().sum() * torch.ones(len(batch.x))


def tasks(net: Rotation) -> Mapping[str, zoo.Task]:
    image, z = net.sample.x, zoo.Vector((net.there.in_features,))
    return {
        "encode": zoo.Task(net.encode, {"image": image}, {"z": z}),
        "decode": zoo.Task(net.decode, {"z": z}, {"image": image}),
    }


rotation = zoo.Model(
    card=zoo.Card(title="Rotation", summary="Exact.", paper="https://example.org", citation="A 2026"),
    build=Rotation,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    metrics=(zoo.Metric("reconstruction_error", by_its_tasks, "per pixel", "of floats"),),
    recipes={"tiny": zoo.Recipe(steps=1, batch=32, lr=1e-12, precision="fp32")},
)
beside = dataclasses.replace(rotation, metrics=(zoo.Metric("size", beside_its_tasks, "squared", "of weights"),))
without = dataclasses.replace(rotation, metrics=())
