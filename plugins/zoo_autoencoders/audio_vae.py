"""Variational autoencoder of sounds, as log-mel spectrograms.

Kingma & Welling 2014, "Auto-encoding variational Bayes", https://arxiv.org/abs/1312.6114. The likelihood is a Gaussian
around the decoder's spectrogram with the one σ that fits best: the optimal σ-VAE of Rybkin, Daniilidis & Levine 2021,
"Simple and effective VAE training with calibrated decoders", https://arxiv.org/abs/2006.13202. A Bernoulli would take
decibels for chances, while a squared error in them is near what one hears; and σ balances it with the KL term.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import zoo
from zoo_autoencoders.gaussian import divergence, reparameterise
from zoo_autoencoders.nets import block


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(32, "dimensions of z", least=1)
    width: int = zoo.setting(32, "channels of the first convolution; the last two have four times as many", least=1)
    shift: int = zoo.setting(0, "hops by which a training sound is moved later at random, at most", least=0)


class AudioVAE(nn.Module):
    """q(z|x) and p(x|z): four stages of convolutions, each halving or doubling bands and frames."""

    variance: Tensor

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        sound, w = sample.form(zoo.LogMel), recipe.width
        self.sample, self.latent, self.size = sample, recipe.latent, math.prod(sound.shape)
        grid = (4 * w, *(-(-size // 16) for size in sound.shape))
        cells, hidden = math.prod(grid), 4 * w
        self.encoder = nn.Sequential(
            *block(nn.Conv2d(1, w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(4 * w, 4 * w, 3, 2, 1, bias=False)),
            nn.Flatten(),  # (b, 4 w, bands / 16, frames / 16) to (b, cells)
            *block(nn.Linear(cells, hidden, bias=False)),
            nn.Linear(hidden, 2 * recipe.latent),
        )
        self.decoder = nn.Sequential(
            *block(nn.Linear(recipe.latent, hidden, bias=False)),
            *block(nn.Linear(hidden, cells, bias=False)),
            nn.Unflatten(1, grid),
            *block(nn.ConvTranspose2d(4 * w, 4 * w, 4, 2, 1, bias=False)),
            *block(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False)),
            *block(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False)),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
        )
        self.register_buffer("variance", torch.ones(()))  # σ² of p(x|z)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x[:, None]).float().chunk(2, dim=1)  # each (b, latent)
        return mean, logvar

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z)."""
        bands, frames = self.sample.x.shape
        return self.decoder(z)[:, 0, :bands, :frames].float().sigmoid()  # (b, bands, frames)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction: float32 log-mel spectrograms, (b, bands, frames) in [0, 1], to the same."""
        return self.reconstruct(x)

    def errors(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The mean squared error at z = mean + σ_z noise, and KL(q(z|x) ‖ p(z)) in nats: each (b,)."""
        mean, logvar = self.posterior(x)
        error = (x - self.decode(reparameterise(mean, logvar, noise))).square().mean((1, 2))
        return error, divergence(mean, logvar)

    def bound(self, x: Tensor, noise: Tensor) -> Tensor:
        """−log p(x|z) + KL in nats (Kingma & Welling, eq. 10), with the σ that was fitted: (b,)."""
        error, kl = self.errors(x, noise)
        return 0.5 * self.size * (error / self.variance + (2 * math.pi * self.variance).log()) + kl

    def score(self, x: Tensor) -> Tensor:
        """The terms of the bound at the mean of q(z|x), in nats a log-mel value: near the bound, and none itself."""
        return self.bound(x, torch.zeros(1, self.latent, device=x.device)) / self.size


def _noise(vae: AudioVAE, x: Tensor) -> Tensor:
    return torch.randn(len(x), vae.latent, device=x.device)


def moved(x: Tensor, most: int) -> Tensor:
    """Each spectrogram later by up to so many frames at random, with silence before it."""
    frames = x.shape[2]
    by = torch.randint(most + 1, (len(x), 1), device=x.device)
    source = torch.arange(frames, device=x.device) - by  # (b, frames)
    picked = x.gather(2, source.clamp(min=0)[:, None].expand_as(x))
    return picked * (source >= 0)[:, None]


def loss(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """The negative ELBO with σ² = the mean squared error of the batch, which makes it smallest."""
    x = moved(batch.x, recipe.shift)
    error, kl = vae.errors(x, _noise(vae, x))
    return {"reconstruction": 0.5 * vae.size * ((2 * math.pi * error.mean()).log() + 1), "kl": kl.mean()}


def fit_variance(vae: AudioVAE, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """The σ² that fits all training sounds best."""
    vae.variance.copy_(torch.cat([vae.errors(batch.x, _noise(vae, batch.x))[0] for batch in batches]).mean())


def negative_elbo(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return vae.bound(batch.x, _noise(vae, batch.x))


def decibels(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return 80 * (vae.reconstruct(batch.x) - batch.x).abs().mean((1, 2))


def tasks(vae: AudioVAE) -> Mapping[str, zoo.Task]:
    sound, z = vae.sample.x, (vae.latent,)
    return {
        "encode": zoo.Task(vae.encode, {"sound": sound}, {"z": zoo.Vector(z)}),
        "decode": zoo.Task(vae.decode, {"z": zoo.Noise(z)}, {"sound": sound}),
        "reconstruct": zoo.Task(vae.reconstruct, {"sound": sound}, {"reconstruction": sound}),
        "score": zoo.Task(vae.score, {"sound": sound}, {"score": zoo.Score()}),
    }


audio_vae = zoo.Model(
    card=zoo.Card(
        title="Variational autoencoder of sounds",
        summary="A VAE of log-mel spectrograms: smooth codes of short sounds, and new ones that can be listened to.",
        paper="https://arxiv.org/abs/1312.6114",
        citation="Kingma & Welling 2014",
    ),
    build=AudioVAE,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=fit_variance,
    measures=(
        zoo.Measure("negative_elbo", negative_elbo, "nats per sound", "density of the log-mel values, one z a sound"),
        zoo.Measure("mel_error", decibels, "dB", "mean absolute error of the reconstruction by the mean code"),
    ),
    recipes={
        "fsdd": Recipe(  # 64 bands and 0.768 s, which are 96 frames: four halvings divide both
            data="fsdd",
            seconds=0.768,
            bands=64,
            width=24,
            steps=4000,
            batch=64,
            lr=2e-3,
            warmup=100,
            decay="cosine",
            shift=4,
        ),
        "tiny": Recipe(data="tones", precision="fp32", seconds=0.256, bands=16, latent=2, width=4, steps=20, batch=32),
    },
)
