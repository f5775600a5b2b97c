"""Plugins for the tests of generation in many steps: a chain on a grid of tokens, and diffusion; both with labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo

LEVELS = 5
TIMES = 20


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    cell: int = zoo.setting(1, "pixels along a side of what one token stands for", ge=1)


class Grid(nn.Module):
    """p(token | those before it, label), of the grey levels of cells; decoded to images of as many."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        assert isinstance(sample.x, zoo.Image)
        self.sample, self.cell = sample, recipe.cell
        self.grid = (sample.x.height // recipe.cell, sample.x.width // recipe.cell)
        self.size = self.grid[0] * self.grid[1]
        self.classes = nn.Embedding(sample.classes, 8)
        self.places = nn.Embedding(self.size, 8)
        self.layers = nn.Sequential(nn.Linear(self.size + 16, 32), nn.ReLU(), nn.Linear(32, LEVELS))

    def encode(self, x: Tensor) -> Tensor:
        """(b, 1, h, w) to tokens (b, *grid)."""
        return (F.avg_pool2d(x, self.cell)[:, 0] * (LEVELS - 1)).round().long()

    def logits(self, seen: Tensor, place: Tensor, label: Tensor) -> Tensor:
        """`seen` (b, size) is 1 and more where a token is, and 0 from `place` (b,) on."""
        return self.layers(torch.cat([seen, self.places(place), self.classes(label)], 1))

    def step(self, token: Tensor, position: Tensor, seen: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        here = torch.arange(self.size, device=token.device) == (position - 1)[:, None]
        seen = torch.where(here, (token + 1)[:, None].float(), seen)
        return self.logits(seen, position.clamp(max=self.size - 1), label), position + 1, seen

    def decode(self, tokens: Tensor) -> Tensor:
        image = tokens[:, None].float() / (LEVELS - 1)
        return image.repeat_interleave(self.cell, 2).repeat_interleave(self.cell, 3)

    def shaded(self, tokens: Tensor, z: Tensor, label: Tensor, u: Tensor) -> Tensor:
        """The same, with noise on each cell: its decoder uses every input that a chain's may have."""
        shade = self.classes(label)[:, :1, None, None] * z[:, None, None, None] + u[:, None]
        return (self.decode(tokens) + 0.05 * shade).clamp(0, 1)


def token_loss(net: Grid, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """The token at one place of each image, given those before it."""
    tokens = net.encode(batch.x).flatten(1)
    place = torch.randint(net.size, (len(tokens),), device=tokens.device)
    before = torch.arange(net.size, device=tokens.device) < place[:, None]
    logits = net.logits((tokens + 1) * before.float(), place, batch.labels)
    return {"nll": F.cross_entropy(logits, tokens.gather(1, place[:, None])[:, 0])}


def grid_tasks(net: Grid) -> Mapping[str, zoo.Task]:
    image, grid, label = net.sample.x, zoo.Label(LEVELS, net.grid), zoo.Label(net.sample.classes)
    states = {"position": zoo.Vector((), "int64"), "seen": zoo.Vector((net.size,))}
    after = {f"next_{name}": spec for name, spec in states.items()}
    step = zoo.Task(
        net.step, {"token": zoo.Label(LEVELS), **states, "label": label}, {"logits": zoo.Vector((LEVELS,)), **after}
    )
    decode = zoo.Task(net.decode, {"tokens": grid}, {"image": image})
    if net.cell > 1:
        noises = {"z": zoo.Noise(()), "label": label, "u": zoo.Noise(image.shape[1:], "uniform")}
        decode = zoo.Task(net.shaded, {"tokens": grid, **noises}, {"image": image})
    return {"encode": zoo.Task(net.encode, {"image": image}, {"tokens": grid}), "decode": decode, "step": step}


class Eps(nn.Module):
    """ε(x, t, label), dense."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample = sample
        size = sample.x.shape[-1] * sample.x.shape[-2]
        self.times, self.classes = nn.Embedding(TIMES, 8), nn.Embedding(sample.classes, 8)
        self.layers = nn.Sequential(nn.Linear(size + 16, 64), nn.SiLU(), nn.Linear(64, size))
        self.register_buffer("alphas", torch.tensor(ALPHAS))
        self.register_buffer("before", torch.tensor([1.0, *ALPHAS]))

    def predict(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        inputs = torch.cat([x.flatten(1), self.times(time), self.classes(label)], 1)
        return self.layers(inputs).view_as(x)

    def step(
        self, x: Tensor, time: Tensor, until: Tensor, noise: Tensor, eta: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A step of DDIM (Song et al. 2021, eq. 12)."""
        a_t, a_s, eta = (
            v[:, None, None, None] for v in (self.before[time.long() + 1], self.before[until.long() + 1], eta)
        )
        eps = self.predict(x, time.long(), label)
        sigma = eta * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()
        x_0 = ((x - (1 - a_t).sqrt() * eps) / a_t.sqrt()).clamp(-1, 1)
        eps = (x - a_t.sqrt() * x_0) / (1 - a_t).sqrt()
        x = a_s.sqrt() * x_0 + (1 - a_s - sigma * sigma).clamp(min=0).sqrt() * eps + sigma * noise
        return x, ((x + 1) / 2).clamp(0, 1)


ALPHAS = tuple((1.0 - 0.02 * (t + 1)) * (1.0 - (t + 1) / (TIMES + 1)) for t in range(TIMES))


def noise_loss(net: Eps, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """Ho et al. 2020, eq. 14."""
    time = torch.randint(TIMES, (len(batch.x),), device=batch.x.device)
    alpha, noise = net.alphas[time][:, None, None, None], torch.randn_like(batch.x)
    x = alpha.sqrt() * (2 * batch.x - 1) + (1 - alpha).sqrt() * noise
    return {"mse": F.mse_loss(net.predict(x, time, batch.labels), noise)}


def eps_tasks(net: Eps) -> Mapping[str, zoo.Task]:
    noise, point, label = zoo.Noise(net.sample.x.shape), zoo.Vector(()), zoo.Label(net.sample.classes)
    inputs = {"x": noise, "time": point, "until": point, "noise": noise, "eta": zoo.Number(0.0, ge=0, le=1)}
    outputs = {"next_x": zoo.Vector(noise.shape), "image": net.sample.x}
    return {"step": zoo.Task(net.step, {**inputs, "label": label}, outputs)}


CARD = zoo.Card(
    title="Tokens on a grid",
    summary="A small model of grey levels, one after the other.",
    paper="https://arxiv.org/abs/1601.06759",
    citation="van den Oord et al. 2016",
)

dots = zoo.Model(
    card=CARD,
    build=Grid,
    objectives=(zoo.Objective(token_loss),),
    tasks=grid_tasks,
    generate=zoo.Chain(zoo.Autoregressive("step", (8, 8)), "decode"),
    recipes={"tiny": Recipe(steps=60, batch=64)},
)
cells = dataclasses.replace(
    dots,
    generate=zoo.Chain(zoo.Autoregressive("step", (4, 4)), "decode"),
    recipes={"tiny": Recipe(cell=2, steps=60, batch=64)},
)
mist = dataclasses.replace(
    dots,
    build=Eps,
    objectives=(zoo.Objective(noise_loss),),
    tasks=eps_tasks,
    generate=zoo.Iterative("step", tuple(map(float, range(TIMES - 1, -2, -1))), steps=10),
)
