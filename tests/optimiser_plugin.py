"""A small critic and generator, trained by optimisers, schedules and phases that are not zoo's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    momentum: float = zoo.setting(0.9, "momentum of SGD", ge=0)


class Net(nn.Module):
    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample = sample
        image = sample.form(zoo.Image)
        size = image.channels * image.height * image.width
        self.generator = nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, size))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, 1))

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z).sigmoid().unflatten(1, self.sample.x.shape)


def fake(net: Net, batch: zoo.Batch) -> Tensor:
    return net.decode(torch.randn(len(batch.x), 4))


def critic_loss(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"distance": (net.critic(fake(net, batch).detach()) - net.critic(batch.x)).mean()}


def penalty(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """R1 (Mescheder, Geiger & Nowozin 2018, https://arxiv.org/abs/1801.04406)."""
    x = batch.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.critic(x).sum(), x, create_graph=True)
    return {"r1": 10 * gradient.flatten(1).square().sum(1).mean()}


def generator_loss(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"generator": -net.critic(fake(net, batch)).mean()}


def tasks(net: Net) -> Mapping[str, zoo.Task]:
    return {"decode": zoo.Task(net.decode, {"z": zoo.Noise((4,))}, {"image": net.sample.x})}


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2, https://arxiv.org/abs/2302.06675; its rate falls with a count in its group."""

    def __init__(self, groups: list[dict[str, Any]], betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(groups, {"betas": betas, "weight_decay": 0.01, "count": 0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            group["count"] += 1
            first, second = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                update = (first * momentum + (1 - first) * weight.grad).sign()
                lr = group["lr"] / math.sqrt(group["count"])
                weight.mul_(1 - lr * group["weight_decay"]).sub_(lr * update)
                momentum.lerp_(weight.grad, 1 - second)


class Both(torch.optim.Optimizer):
    """Two optimisers as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})

    def step(self, closure: None = None) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, held in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(held)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for matrices, AdamW for the others."""
    matrices, others = groups
    matrices["lr"] *= 10
    return Both(torch.optim.Muon([matrices]), torch.optim.AdamW([others]))


def triangle(t: float) -> float:
    return 1 - abs(2 * t - 1)


def sgd(recipe: Recipe, net: Net) -> tuple[zoo.Objective, ...]:
    """What depends on the recipe and on the module: its momentum, and the parts it trains."""
    parts = tuple(name for name, _ in net.named_children())

    def optimiser(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, momentum=recipe.momentum)

    return (zoo.Objective(critic_loss, params=parts[1:], optimiser=optimiser),)


def model(*objectives: zoo.Objective, **changes: Any) -> zoo.Model:
    return dataclasses.replace(of_sgd, objectives=objectives, **changes)


of_sgd = zoo.Model(
    card=zoo.Card(title="Test", summary="A model of the tests.", paper="https://example.org", citation="A 2026"),
    build=Net,
    objectives=sgd,
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=20, batch=32, precision="fp32", lr=1e-2)},
)
of_rmsprop = model(zoo.Objective(critic_loss, params=("critic",), optimiser=zoo.RMSprop(weight_decay=0.1)))
of_lion = model(zoo.Objective(critic_loss, params=("critic",), optimiser=Lion, lr=1e-3))
of_muon = model(zoo.Objective(critic_loss, params=("critic",), optimiser=muon, lr=2e-3))
of_schedule = model(zoo.Objective(critic_loss, schedule=triangle, during=(0.25, 0.75), params=("critic",)))
lazy = model(
    zoo.Objective(critic_loss, params=("critic",), optimiser=Lion, schedule=triangle),
    zoo.Objective(penalty, shares="critic_loss", every=4),
    zoo.Objective(generator_loss, params=("generator",)),
)
lazy_adam = model(
    zoo.Objective(critic_loss, params=("critic",)),
    zoo.Objective(penalty, shares="critic_loss", every=4),
    zoo.Objective(generator_loss, params=("generator",)),
)
