"""Denoising diffusion probabilistic model.

Ho, Jain & Abbeel 2020, "Denoising diffusion probabilistic models", https://arxiv.org/abs/2006.11239, with the cosine
schedule of Nichol & Dhariwal 2021, "Improved denoising diffusion probabilistic models",
https://arxiv.org/abs/2102.09672. x₀ is the image stretched from [0, 1] to [-1, 1]; samples are drawn in few steps by
Song, Meng & Ermon 2021, "Denoising diffusion implicit models", https://arxiv.org/abs/2010.02502.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    width: int = zoo.setting(64, "channels of the finer of two stages; the coarser has twice as many", least=1)
    patch: int = zoo.setting(1, "side of the squares of pixels that are one cell of the finer stage", least=1)
    # T and both ends of the linear schedule are those of Ho et al., section 4.
    times: int = zoo.setting(1000, "steps T from an image to noise", least=2, most=10_000)
    schedule: Literal["cosine", "linear"] = zoo.setting("cosine", "how the noise grows with time")
    dropout: float = zoo.setting(0.0, "chance of a feature to be left out in training", least=0, most=0.9)
    sigma: float = zoo.setting(0.2, "standard deviation, on [0, 1], of the noise that denoise takes out", above=0)
    sampling_steps: int = zoo.setting(50, "steps from noise to a sample, unless told otherwise", least=1)


def alphas(recipe: Recipe) -> tuple[float, ...]:
    """ᾱ_t = Π (1 − β_s), s ≤ t, for t = 0 … T − 1.

    linear: β from 10⁻⁴ to 0.02 (Ho et al., section 4) for T = 1000, for others 1000/T times as much. cosine:
    ᾱ follows cos²((t/T + s)/(1 + s) · π/2) with s = 0.008 and β ≤ 0.999 (Nichol & Dhariwal, eq. 17).
    """

    def f(t: float) -> float:
        return math.cos((t / recipe.times + 0.008) / 1.008 * math.pi / 2) ** 2

    alpha_bars, alpha_bar = [], 1.0
    for t in range(recipe.times):
        if recipe.schedule == "linear":
            beta = (1e-4 + (0.02 - 1e-4) * t / (recipe.times - 1)) * 1000 / recipe.times
        else:
            beta = 1 - f(t + 1) / f(t)
        alpha_bar *= 1 - min(beta, 0.999)
        alpha_bars.append(alpha_bar)
    if alpha_bar < 1e-12:
        raise ValueError(
            f"times (={recipe.times}) is too few for a linear schedule: set 20 or more, or schedule=cosine"
        )
    return tuple(alpha_bars)


class Residual(nn.Module):
    """Two convolutions around which their input goes; the time is added between them (Ho et al., appendix B)."""

    def __init__(self, inputs: int, outputs: int, times: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, 1, 1))
        self.time = nn.Linear(times, outputs)
        self.second = nn.Sequential(
            _norm(outputs), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(outputs, outputs, 3, 1, 1)
        )
        self.around = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.around(x) + self.second(self.first(x) + self.time(time)[:, :, None, None])


class Attention(nn.Module):
    """Every cell asks every cell (Vaswani et al. 2017, eq. 1), around which the input goes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.asked = _norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.told = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.asked(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # each (b, h·w, c)
        mixed = (query @ key.mT * key.shape[2] ** -0.5).softmax(2) @ value
        return x + self.told(mixed.transpose(1, 2).unflatten(2, x.shape[2:]))


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(8, channels), channels)


class DDPM(nn.Module):
    """ε_θ(x, t), a U-Net of two stages, the coarser at half the resolution, with attention there."""

    alphas: Tensor
    """ᾱ_t: (times,)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.recipe = sample, recipe
        channels, height, width = sample.form(zoo.Image).shape
        side = 2 * recipe.patch
        if max(height, width) <= side and recipe.width <= 8:  # GroupNorm of one value would be 0 whatever it is
            raise ValueError(
                f"images of {height}×{width} pixels are one cell of the coarser stage, which is too few for "
                f"width={recipe.width}: take larger images, or set width=16"
            )
        self.padding = (0, -width % side, 0, -height % side)
        self.schedule = alphas(recipe)
        self.register_buffer("alphas", torch.tensor(self.schedule), persistent=False)
        # Of the noise in x / √ᾱ, on [-1, 1].
        deviations = [math.sqrt((1 - alpha_bar) / alpha_bar) for alpha_bar in self.schedule]
        self.denoising_time = min(range(recipe.times), key=lambda t: abs(deviations[t] - 2 * recipe.sigma))
        cell, fine, coarse, times = channels * recipe.patch**2, recipe.width, 2 * recipe.width, 4 * recipe.width
        self.time = nn.Sequential(nn.Linear(2 * fine, times), nn.SiLU(), nn.Linear(times, times), nn.SiLU())
        self.enter = nn.Conv2d(cell, fine, 3, 1, 1)
        self.fine_in = Residual(fine, fine, times, recipe.dropout)
        self.down = nn.Conv2d(fine, fine, 3, 2, 1)
        self.coarse_in = Residual(fine, coarse, times, recipe.dropout)
        self.attention = Attention(coarse)
        self.middle = Residual(coarse, coarse, times, recipe.dropout)
        self.coarse_out = Residual(2 * coarse, coarse, times, recipe.dropout)
        self.up = nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(coarse, fine, 3, 1, 1))
        self.fine_out = Residual(2 * fine, fine, times, recipe.dropout)
        end = nn.Conv2d(fine, cell, 3, 1, 1)
        self.leave = nn.Sequential(_norm(fine), nn.SiLU(), end)
        for last in (self.attention.told, end):
            nn.init.zeros_(last.weight)

    def predict(self, x: Tensor, time: Tensor) -> Tensor:
        """ε_θ: the noise in x, (b, c, h, w), at times (b,) below T."""
        _, height, width = self.sample.x.shape
        at = self.time(self.timestep_embedding(time))
        fine = self.enter(F.pixel_unshuffle(F.pad(x, self.padding), self.recipe.patch))
        fine = self.fine_in(fine, at)  # (b, width, h / patch, w / patch)
        coarse = self.coarse_in(self.down(fine), at)  # (b, 2 width, h / 2 patch, w / 2 patch)
        deep = self.middle(self.attention(coarse), at)
        deep = self.coarse_out(torch.cat((deep, coarse), 1), at)
        made = self.leave(self.fine_out(torch.cat((self.up(deep), fine), 1), at))
        return F.pixel_shuffle(made, self.recipe.patch)[:, :, :height, :width]

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """The predicted noise ε_θ(x_t, t), (b, c, h, w), of x_t of that shape and times int64 (b,), 0 to T − 1.

        x_t is √ᾱ_t x₀ + √(1 − ᾱ_t) ε with the image x₀ stretched to [-1, 1]: see :func:`noisy`.
        """
        return self.predict(x, time)

    def denoise(self, x: Tensor) -> Tensor:
        """x₀ in one step (eq. 15), of images with normal noise of deviation `sigma`, cut to [0, 1]."""
        stretched, alpha_bar = 2 * x - 1, self.schedule[self.denoising_time]
        timesteps = torch.full(x.shape[:1], self.denoising_time, device=x.device)
        noise = self.predict(math.sqrt(alpha_bar) * stretched, timesteps)
        return ((stretched - math.sqrt((1 - alpha_bar) / alpha_bar) * noise).clamp(-1, 1) + 1) / 2

    def timestep_embedding(self, time: Tensor) -> Tensor:
        """The sines and cosines of a time at `width` frequencies (Vaswani et al. 2017, section 3.5): (b, 2 width)."""
        count = self.recipe.width
        rates = torch.exp(torch.arange(count, device=time.device) * (-math.log(10_000) / count))
        angles = time[:, None].float() * rates
        return torch.cat((angles.sin(), angles.cos()), 1)


def noisy(ddpm: DDPM, images: Tensor, time: Tensor, noise: Tensor) -> Tensor:
    """x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε (Ho et al., eq. 4), of images in [0, 1]."""
    alpha_bar = ddpm.alphas[time][:, None, None, None]
    return alpha_bar.sqrt() * (2 * images - 1) + (1 - alpha_bar).sqrt() * noise


def squared_error(ddpm: DDPM, images: Tensor, time: Tensor) -> Tensor:
    """‖ε − ε_θ(x_t, t)‖² / (c·h·w) (eq. 14): (b,)."""
    noise = torch.randn_like(images)
    return (noise - ddpm.predict(noisy(ddpm, images, time, noise), time).float()).square().flatten(1).mean(1)


def loss(ddpm: DDPM, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """The simple loss, times at random (algorithm 1)."""
    time = torch.randint(recipe.times, (len(batch.x),), device=batch.x.device)
    return {"simple": squared_error(ddpm, batch.x, time).mean()}


def simple_loss(ddpm: DDPM, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """The same at times that spread evenly over any number of samples: multiples of 0.618033, modulo 1."""
    return squared_error(ddpm, batch.x, batch.index * 618_033 % 1_000_000 * recipe.times // 1_000_000)


def tasks(ddpm: DDPM) -> Mapping[str, zoo.Task]:
    image, x = ddpm.sample.x, zoo.Vector(ddpm.sample.x.shape)
    return {
        "predict": zoo.Task(ddpm.predict, {"x": x, "time": zoo.Label(ddpm.recipe.times)}, {"noise": x}),
        "denoise": zoo.Task(ddpm.denoise, {"image": image}, {"denoised": image}),
    }


def generation(ddpm: DDPM) -> zoo.Iterative:
    return zoo.Iterative("predict", ddpm.schedule, min(ddpm.recipe.sampling_steps, ddpm.recipe.times))


ddpm = zoo.Model(
    card=zoo.Card(
        title="Denoising diffusion probabilistic model",
        summary="A small U-Net that finds the noise in an image; noise becomes a sample in a few dozen steps.",
        paper="https://arxiv.org/abs/2006.11239",
        citation="Ho, Jain & Abbeel 2020",
    ),
    build=DDPM,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=generation,
    measures=(
        zoo.Measure(
            "simple_loss", simple_loss, "per pixel", "squared error of the noise on [-1, 1], one time an image, evenly"
        ),
    ),
    recipes={
        "digits": Recipe(  # dropout of 0.1 as Ho et al. have for the small CIFAR-10 (appendix B)
            data="digits",
            precision="fp32",
            width=40,
            dropout=0.1,
            steps=6000,
            batch=128,
            warmup=200,
            decay="cosine",
            ema=0.999,
        ),
        "mnist": Recipe(  # patches of 2 by 2: a quarter of the cells
            data="mnist", patch=2, steps=10_000, batch=128, warmup=500, decay="cosine", ema=0.999, clip=1.0
        ),
        "tiny": Recipe(data="digits", precision="fp32", width=4, times=20, sampling_steps=5, steps=20, batch=32),
    },
)
