"""Denoising diffusion probabilistic model.

Ho, Jain & Abbeel 2020, "Denoising diffusion probabilistic models", https://arxiv.org/abs/2006.11239, with the cosine
schedule of Nichol & Dhariwal 2021, "Improved denoising diffusion probabilistic models",
https://arxiv.org/abs/2102.09672. x₀ is the image rescaled from [0, 1] to [-1, 1]. The sampler is that of Song, Meng &
Ermon 2021, "Denoising diffusion implicit models" (DDIM), https://arxiv.org/abs/2010.02502.
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
    width: int = zoo.setting(64, "channels of the finer of two stages; the coarser has twice as many", ge=1)
    patch: int = zoo.setting(1, "side of the squares of pixels that are one cell of the finer stage", ge=1)
    # T and both ends of the linear schedule are those of Ho et al., section 4.
    timesteps: int = zoo.setting(1000, "steps T from an image to noise", ge=2, le=10_000)
    schedule: Literal["cosine", "linear"] = zoo.setting("cosine", "how the noise grows with time")
    dropout: float = zoo.setting(0.0, "fraction of features dropped in training", ge=0, le=0.9)
    sigma: float = zoo.setting(0.2, "standard deviation, on [0, 1], of the noise that denoise takes out", gt=0)
    sampling_steps: int = zoo.setting(50, "steps from noise to a sample, by default", ge=1)


def alpha_bars(recipe: Recipe) -> tuple[float, ...]:
    """ᾱ_t = Π_{s ≤ t} (1 − β_s) for t = 0 … T − 1.

    linear: β from 10⁻⁴ to 0.02 for T = 1000 (Ho et al., section 4), scaled by 1000/T for other T. cosine:
    ᾱ_t ∝ cos²((t/T + s)/(1 + s) · π/2) with s = 0.008 and β ≤ 0.999 (Nichol & Dhariwal, eq. 17).
    """

    def f(t: float) -> float:
        return math.cos((t / recipe.timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule, alpha_bar = [], 1.0
    for t in range(recipe.timesteps):
        if recipe.schedule == "linear":
            beta = (1e-4 + (0.02 - 1e-4) * t / (recipe.timesteps - 1)) * 1000 / recipe.timesteps
        else:
            beta = 1 - f(t + 1) / f(t)
        alpha_bar *= 1 - min(beta, 0.999)
        schedule.append(alpha_bar)
    if alpha_bar < 1e-12:
        raise ValueError(
            f"timesteps (={recipe.timesteps}) is too few for a linear schedule: set 20 or more, or schedule=cosine"
        )
    return tuple(schedule)


class Residual(nn.Module):
    """A residual block of two convolutions; the time embedding is added between them (Ho et al., appendix B)."""

    def __init__(self, inputs: int, outputs: int, times: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, 1, 1))
        self.time = nn.Linear(times, outputs)
        self.second = nn.Sequential(
            _norm(outputs), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(outputs, outputs, 3, 1, 1)
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # x: (b, inputs, h, w); time: (b, times) → (b, outputs, 1, 1).
        return self.skip(x) + self.second(self.first(x) + self.time(time)[:, :, None, None])


class Attention(nn.Module):
    """Single-head self-attention over all cells (Vaswani et al. 2017, eq. 1), with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = _norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # (b, 3 c, h, w) → 3 × (b, h·w, c)
        mixed = (q @ k.mT * k.shape[2] ** -0.5).softmax(2) @ v  # (b, h·w, c)
        return x + self.proj(mixed.transpose(1, 2).unflatten(2, x.shape[2:]))  # (b, h·w, c) → (b, c, h, w)


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(8, channels), channels)


class DDPM(nn.Module):
    """ε_θ(x_t, t): a U-Net of two stages; the coarser stage has half the resolution, and attention."""

    alpha_bar: Tensor
    """ᾱ_t: (timesteps,)."""
    before: Tensor
    """ᾱ_{t−1} for t = 0 … T, where ᾱ_{−1} = 1 is that of the image itself: (timesteps + 1,)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.recipe = sample, recipe
        channels, height, width = sample.form(zoo.Image).shape
        side = 2 * recipe.patch
        if max(height, width) <= side and recipe.width <= 8:  # GroupNorm of one value is always 0
            raise ValueError(
                f"images of {height}×{width} pixels are one cell of the coarser stage, which is too few for "
                f"width={recipe.width}: take larger images, or set width=16"
            )
        self.padding = (0, -width % side, 0, -height % side)
        self.schedule = alpha_bars(recipe)
        self.register_buffer("alpha_bar", torch.tensor(self.schedule), persistent=False)
        self.register_buffer("before", torch.tensor([1.0, *self.schedule]), persistent=False)
        # The standard deviation of the noise in x_t / √ᾱ_t, on [-1, 1]; sigma is on [0, 1], hence the factor of 2.
        deviations = [math.sqrt((1 - alpha_bar) / alpha_bar) for alpha_bar in self.schedule]
        self.denoising_time = min(range(recipe.timesteps), key=lambda t: abs(deviations[t] - 2 * recipe.sigma))
        cell, fine, coarse, times = channels * recipe.patch**2, recipe.width, 2 * recipe.width, 4 * recipe.width
        self.time = nn.Sequential(nn.Linear(2 * fine, times), nn.SiLU(), nn.Linear(times, times), nn.SiLU())
        self.conv_in = nn.Conv2d(cell, fine, 3, 1, 1)
        self.fine_in = Residual(fine, fine, times, recipe.dropout)
        self.down = nn.Conv2d(fine, fine, 3, 2, 1)
        self.coarse_in = Residual(fine, coarse, times, recipe.dropout)
        self.attention = Attention(coarse)
        self.middle = Residual(coarse, coarse, times, recipe.dropout)
        self.coarse_out = Residual(2 * coarse, coarse, times, recipe.dropout)
        self.up = nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(coarse, fine, 3, 1, 1))
        self.fine_out = Residual(2 * fine, fine, times, recipe.dropout)
        end = nn.Conv2d(fine, cell, 3, 1, 1)
        self.conv_out = nn.Sequential(_norm(fine), nn.SiLU(), end)
        for last in (self.attention.proj, end):
            nn.init.zeros_(last.weight)

    def predict(self, x: Tensor, time: Tensor) -> Tensor:
        """ε_θ(x_t, t): the predicted noise in x, (b, c, h, w), at times (b,) below T."""
        _, height, width = self.sample.x.shape
        emb = self.time(self.timestep_embedding(time))  # (b, 4 width)
        # (b, c, h, w) → (b, c·patch², h / patch, w / patch), padded to whole cells of the coarser stage.
        fine = self.conv_in(F.pixel_unshuffle(F.pad(x, self.padding), self.recipe.patch))
        fine = self.fine_in(fine, emb)  # (b, width, h / patch, w / patch)
        coarse = self.coarse_in(self.down(fine), emb)  # (b, 2 width, h / 2 patch, w / 2 patch)
        deep = self.middle(self.attention(coarse), emb)
        deep = self.coarse_out(torch.cat((deep, coarse), 1), emb)  # skip connection: 4 width channels in, 2 width out
        eps = self.conv_out(self.fine_out(torch.cat((self.up(deep), fine), 1), emb))
        return F.pixel_shuffle(eps, self.recipe.patch)[:, :, :height, :width]  # (b, c, h, w)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """The predicted noise ε_θ(x_t, t), (b, c, h, w), given x_t, (b, c, h, w), and t, int64 (b,) from 0 to T − 1.

        x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε, with the image x₀ rescaled to [-1, 1]: see :func:`noisy`.
        """
        return self.predict(x, time)

    def step(self, x: Tensor, time: Tensor, until: Tensor, noise: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        """One step of DDIM (Song et al. 2021) from a time to an earlier one, each (b,); −1 is the image itself.

        Returns the next x, (b, c, h, w), and it rescaled and clipped to [0, 1]. η = 1 is the sampler of Ho et al.
        """
        a_t, a_s = (wide(self.before[point.long() + 1]) for point in (time, until))
        eps = self.predict(x, time.long())
        sigma = wide(eta) * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()  # eq. 16
        x_0 = ((x - (1 - a_t).sqrt() * eps) / a_t.sqrt()).clamp(-1, 1)  # eq. 9
        eps = (x - a_t.sqrt() * x_0) / (1 - a_t).sqrt()  # recomputed, since x_0 was clipped
        x = a_s.sqrt() * x_0 + (1 - a_s - sigma * sigma).clamp(min=0).sqrt() * eps + sigma * noise  # eq. 12
        return x, ((x + 1) / 2).clamp(0, 1)

    def denoise(self, x: Tensor) -> Tensor:
        """Predict x₀ in one step (eq. 15) from images with Gaussian noise of deviation `sigma`, clipped to [0, 1].

        The scaled images √ᾱ_t (2x − 1) are the x_t of the t whose noise level is closest to `sigma`.
        """
        rescaled, alpha_bar = 2 * x - 1, self.schedule[self.denoising_time]
        timesteps = torch.full(x.shape[:1], self.denoising_time, device=x.device)
        eps = self.predict(math.sqrt(alpha_bar) * rescaled, timesteps)
        return ((rescaled - math.sqrt((1 - alpha_bar) / alpha_bar) * eps).clamp(-1, 1) + 1) / 2

    def timestep_embedding(self, time: Tensor) -> Tensor:
        """Sines and cosines of the time at `width` frequencies (Vaswani et al. 2017, section 3.5): (b, 2 width)."""
        count = self.recipe.width
        frequencies = torch.exp(torch.arange(count, device=time.device) * (-math.log(10_000) / count))  # (width,)
        angles = time[:, None].float() * frequencies  # (b, width)
        return torch.cat((angles.sin(), angles.cos()), 1)


def wide(values: Tensor) -> Tensor:
    """A number an image, (b,), beside images: (b, 1, 1, 1)."""
    return values[:, None, None, None]


def noisy(ddpm: DDPM, images: Tensor, time: Tensor, noise: Tensor) -> Tensor:
    """x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε (Ho et al., eq. 4), for images in [0, 1] and noise, each (b, c, h, w)."""
    alpha_bar = wide(ddpm.alpha_bar[time])
    return alpha_bar.sqrt() * (2 * images - 1) + (1 - alpha_bar).sqrt() * noise


def squared_error(ddpm: DDPM, images: Tensor, time: Tensor) -> Tensor:
    """‖ε − ε_θ(x_t, t)‖² / (c·h·w) (eq. 14): (b,)."""
    eps = torch.randn_like(images)
    return (eps - ddpm.predict(noisy(ddpm, images, time, eps), time).float()).square().flatten(1).mean(1)


def loss(ddpm: DDPM, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """L_simple (eq. 14) with t uniform at random (algorithm 1)."""
    time = torch.randint(recipe.timesteps, (len(batch.x),), device=batch.x.device)
    return {"simple": squared_error(ddpm, batch.x, time).mean()}


def simple_loss(ddpm: DDPM, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """L_simple at times that cover [0, T) evenly for any number of samples: multiples of 0.618033 T, modulo T."""
    return squared_error(ddpm, batch.x, batch.index * 618_033 % 1_000_000 * recipe.timesteps // 1_000_000)


def tasks(ddpm: DDPM) -> Mapping[str, zoo.Task]:
    image, noise, point = ddpm.sample.x, zoo.Noise(ddpm.sample.x.shape), zoo.Vector(())
    eta = zoo.Number(0.0, ge=0, le=1, help="noise added in each step: 0 is none (DDIM), 1 is that of DDPM")
    inputs: dict[str, zoo.Noise | zoo.Vector | zoo.Number] = {
        "x": noise,
        "time": point,
        "until": point,
        "noise": noise,
        "eta": eta,
    }
    return {
        "step": zoo.Task(ddpm.step, inputs, {"next_x": zoo.Vector(noise.shape), "image": image}),
        "denoise": zoo.Task(ddpm.denoise, {"image": image}, {"denoised": image}),
    }


def generation(ddpm: DDPM) -> zoo.Iterative:
    """From T − 1, which always comes first (Lin et al. 2024, https://arxiv.org/abs/2305.08891), to −1, the image."""
    times = ddpm.recipe.timesteps
    points = tuple(float(time) for time in range(times - 1, -2, -1))
    return zoo.Iterative("step", points, min(ddpm.recipe.sampling_steps, times))


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
    metrics=(
        zoo.Metric(
            "simple_loss", simple_loss, "per pixel", "squared error of the noise on [-1, 1], one time an image, evenly"
        ),
    ),
    recipes={
        "digits": Recipe(  # dropout of 0.1, as Ho et al. use on CIFAR-10 (appendix B)
            data=zoo.use("digits"),
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
            data=zoo.use("mnist"), patch=2, steps=10_000, batch=128, warmup=500, decay="cosine", ema=0.999, clip=1.0
        ),
        "tiny": Recipe(
            data=zoo.use("digits"), precision="fp32", width=4, timesteps=20, sampling_steps=5, steps=20, batch=32
        ),
    },
)
