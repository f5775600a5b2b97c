"""Models that are built with released ones: in a loss, in a task, and one that is built with such a one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    judge: str = zoo.setting("features.digits", "the released model that judges")


class Net(nn.Module):
    """A linear autoencoder beside a released classifier."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample, features: nn.Module) -> None:
        super().__init__()
        self.sample, self.features = sample, features
        self.auto = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 64), nn.Sigmoid()
        )

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.auto(x).view_as(x)

    def classify(self, x: Tensor) -> Tensor:
        """The class of the reconstruction, (b, classes)."""
        return self.features(self.reconstruct(x))


def perceptual(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """The distance of features (Johnson, Alahi & Fei-Fei 2016), of a module that is in eval mode while this is not."""
    assert net.auto.training
    assert not any(part.training for part in net.features.modules())
    assert not any(weight.requires_grad for weight in net.features.parameters())
    real, fake = (net.features.features(x) for x in (batch.x, net.reconstruct(batch.x)))
    return {"features": (real - fake).square().mean(), "mse": (net.reconstruct(batch.x) - batch.x).square().mean()}


def reconstruct(net: Net) -> Mapping[str, zoo.Task]:
    return {"reconstruct": zoo.Task(net.reconstruct, {"image": net.sample.x}, {"reconstruction": net.sample.x})}


def classify(net: Net) -> Mapping[str, zoo.Task]:
    logits = zoo.Vector((net.sample.classes,))
    return reconstruct(net) | {"classify": zoo.Task(net.classify, {"image": net.sample.x}, {"logits": logits})}


class Outer(nn.Module):
    """A scale of what another model with needs reconstructs."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample, inner: nn.Module) -> None:
        super().__init__()
        self.sample, self.inner = sample, inner
        self.scale = nn.Parameter(torch.ones(1, 8, 8))

    def reconstruct(self, x: Tensor) -> Tensor:
        return (self.scale * self.inner.reconstruct(x)).clamp(0, 1)


def squares(net: Outer, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"mse": (net.reconstruct(batch.x) - batch.x).square().mean()}


judged = zoo.Model(
    card=zoo.Card(title="Test", summary="A model of the tests.", paper="https://example.org", citation="A 2026"),
    build=Net,
    objectives=(zoo.Objective(perceptual),),
    tasks=reconstruct,
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=6, batch=32, precision="fp32")},
    needs=lambda recipe: {"features": recipe.judge},
)
judging = replace(judged, tasks=classify, needs={"features": "features.digits"})
outer = replace(judged, build=Outer, objectives=(zoo.Objective(squares),), needs=lambda recipe: {"inner": recipe.judge})
