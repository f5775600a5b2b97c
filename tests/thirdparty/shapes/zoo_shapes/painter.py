"""Fills outlines: conditional flow matching, with an autoencoder of few symbols beside it as a codec.

Lipman et al. 2023, "Flow matching for generative modeling", https://arxiv.org/abs/2210.02747; sampled by Heun's method
(Karras et al. 2022, algorithm 1, https://arxiv.org/abs/2206.00364) with classifier-free guidance (Ho & Salimans 2022,
https://arxiv.org/abs/2207.12598), and trained by Lion (Chen et al. 2023, https://arxiv.org/abs/2302.06675).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo

LEVELS = 8


class Lion(torch.optim.Optimizer):
    """w ← w − lr · (sign(β₁ m + (1 − β₁) g) + λ w), m ← β₂ m + (1 − β₂) g (Chen et al. 2023, algorithm 2)."""

    def __init__(self, groups, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.01):
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            first, second = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                update = (first * mean + (1 - first) * weight.grad).sign() + group["weight_decay"] * weight
                weight.sub_(update, alpha=group["lr"])
                mean.lerp_(weight.grad, 1 - second)


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    width: int = zoo.setting(24, "channels", ge=1)
    unconditional: float = zoo.setting(0.1, "fraction of batches without an outline, for guidance", ge=0, le=1)


def convolutions(inputs: int, outputs: int, width: int) -> nn.Module:
    layers = [nn.Conv2d(inputs, width, 3, 1, 1), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, 3, 1, 1))


class Painter(nn.Module):
    frequencies: Tensor

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, image = sample, sample.form(zoo.Image)
        if sample["outline"] != image:
            raise ValueError(f"outlines must have the form of the images, {image.height}x{image.width}")
        self.velocity = convolutions(3, 1, recipe.width)
        self.encoder = nn.Sequential(nn.PixelUnshuffle(4), convolutions(16, 1, recipe.width))
        self.decoder = nn.Sequential(convolutions(1, 16, recipe.width), nn.PixelShuffle(4))
        self.grid = (image.height // 4, image.width // 4)
        self.register_buffer("frequencies", zoo.frequencies(torch.ones(LEVELS, 1, 1, LEVELS, dtype=torch.int64)))

    def flow(self, x: Tensor, time: Tensor, outline: Tensor) -> Tensor:
        return self.velocity(torch.cat([x, outline, time[:, None, None, None].expand_as(x)], 1))

    def guided(self, x: Tensor, time: Tensor, outline: Tensor, guidance: Tensor) -> Tensor:
        without = self.flow(x, time, torch.zeros_like(outline))
        return without + guidance[:, None, None, None] * (self.flow(x, time, outline) - without)

    def step(self, x: Tensor, time: Tensor, until: Tensor, outline: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """Heun's step: the mean of the velocities at both ends of an Euler step."""
        dt = (until - time)[:, None, None, None]
        first = self.guided(x, time, outline, guidance)
        x = x + dt * (first + self.guided(x + dt * first, until, outline, guidance)) / 2
        return x, ((x + 1) / 2).clamp(0, 1)

    def latent(self, image: Tensor) -> Tensor:
        """(b, *grid), from 0 to LEVELS − 1."""
        return (LEVELS - 1) * self.encoder(image)[:, 0].sigmoid()

    def encode(self, image: Tensor) -> Tensor:
        return self.latent(image).round().long()

    def decode(self, symbols: Tensor) -> Tensor:
        return self.decoder(symbols[:, None].float() / (LEVELS - 1) - 0.5).sigmoid()


def loss(net: Painter, batch: zoo.Batch, recipe: Recipe) -> dict[str, Tensor]:
    x, noise, time = 2 * batch.x - 1, torch.randn_like(batch.x), torch.rand(len(batch.x), device=batch.x.device)
    kept = (torch.rand(len(x), 1, 1, 1, device=x.device) >= recipe.unconditional).float()
    t = time[:, None, None, None]
    velocity = net.flow((1 - t) * noise + t * x, time, batch["outline"] * kept)
    z = net.latent(batch.x)
    decoded = net.decode(z + (z.round() - z).detach())  # straight through (Bengio et al. 2013)
    return {"flow": F.mse_loss(velocity, x - noise), "codec": F.binary_cross_entropy(decoded, batch.x)}


def count_symbols(net: Painter, batches, recipe: Recipe) -> None:
    """The tables of the codec: how often a symbol follows its left neighbour."""
    counts = sum(zoo.symbol_counts(net.encode(batch.x), LEVELS, ((0, -1),)) for batch in batches)
    net.frequencies.copy_(zoo.frequencies(counts)[:, None, None])  # the same at every place of the grid


def error(net: Painter, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return (net.decode(net.encode(batch.x)) - batch.x).square().mean((1, 2, 3))


def mmd(generated: np.ndarray, test: dict[str, np.ndarray]) -> float:
    """MMD² (Gretton et al. 2012, eq. 3) of pixels, with a Gaussian kernel."""
    x, y = (images.reshape(len(images), -1) / 255 for images in (generated, test["x"]))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        distances = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return float(np.exp(-distances / a.shape[1] / 0.1).mean())

    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


def tasks(net: Painter) -> dict[str, zoo.Task]:
    image, point, noise = net.sample.x, zoo.Vector(()), zoo.Noise(net.sample.x.shape)
    symbols = zoo.Label(LEVELS, net.grid)
    guidance = zoo.Number(1.5, ge=0, le=8, help="how much the outline counts")
    steps = {"x": noise, "time": point, "until": point, "outline": net.sample["outline"], "guidance": guidance}
    return {
        "step": zoo.Task(net.step, steps, {"next_x": zoo.Vector(noise.shape), "image": image}),
        "encode": zoo.Task(net.encode, {"image": image}, {"symbols": symbols}),
        "decode": zoo.Task(net.decode, {"symbols": symbols}, {"image": image}),
    }


painter = zoo.Model(
    card=zoo.Card(
        title="Painter of outlines",
        summary="Fills an outline by flow matching, and compresses what it fills.",
        paper="https://arxiv.org/abs/2210.02747",
        citation="Lipman et al. 2023",
    ),
    build=Painter,
    objectives=(zoo.Objective(loss, optimiser=Lion),),
    tasks=tasks,
    generate=zoo.Iterative("step", tuple(k / 50 for k in range(51)), steps=10),
    codec=zoo.Codec("encode", "decode", tables="frequencies", context=((0, -1),)),
    finish=count_symbols,
    metrics=(
        zoo.Metric("codec_error", error, "per pixel", "squared error of the decoded image"),
        zoo.SetMetric("mmd", mmd, "MMD²", "Gaussian kernel on pixels, each sample of a test outline", samples=60),
    ),
    recipes={
        "shapes": Recipe(data=zoo.use("shapes"), steps=1500, batch=64, lr=3e-4, decay="cosine", precision="fp32"),
        "tiny": Recipe(data=zoo.use("shapes"), width=4, steps=20, batch=32, lr=3e-4, precision="fp32"),
    },
)
