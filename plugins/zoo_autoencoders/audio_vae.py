"""Variational autoencoder of audio, as log-mel spectrograms.

Kingma & Welling 2014, "Auto-encoding variational Bayes", https://arxiv.org/abs/1312.6114. The likelihood is a Gaussian
with the decoder's spectrogram as its mean and a single σ at its maximum-likelihood value: the optimal σ-VAE of Rybkin,
Daniilidis & Levine 2021, "Simple and effective VAE training with calibrated decoders",
https://arxiv.org/abs/2006.13202. A Bernoulli likelihood would treat decibels as probabilities. A squared error in
decibels is close to perceived loudness, and σ balances it against the KL term.
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
    latent: int = zoo.setting(32, "dimensions of z", ge=1)
    width: int = zoo.setting(32, "channels of the first convolution; the last two have four times as many", ge=1)
    shift: int = zoo.setting(0, "hops by which a training clip is moved later at random, at most", ge=0)


class AudioVAE(nn.Module):
    """q(z|x) and p(x|z): four convolutional stages, each of which halves or doubles bands and frames."""

    variance: Tensor

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        audio, w = sample.form(zoo.LogMel), recipe.width
        self.sample, self.latent, self.size = sample, recipe.latent, math.prod(audio.shape)
        grid = (4 * w, *(-(-size // 16) for size in audio.shape))
        cells, hidden = math.prod(grid), 4 * w
        self.encoder = nn.Sequential(
            *block(nn.Conv2d(1, w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=False)),
            *block(nn.Conv2d(4 * w, 4 * w, 3, 2, 1, bias=False)),
            nn.Flatten(),  # (b, 4 w, bands / 16, frames / 16) → (b, cells)
            *block(nn.Linear(cells, hidden, bias=False)),
            nn.Linear(hidden, 2 * recipe.latent),
        )
        self.decoder = nn.Sequential(
            *block(nn.Linear(recipe.latent, hidden, bias=False)),
            *block(nn.Linear(hidden, cells, bias=False)),
            nn.Unflatten(1, grid),  # (b, cells) → (b, 4 w, bands / 16, frames / 16)
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
        """Reconstruct float32 log-mel spectrograms: (b, bands, frames) in [0, 1] → the same shape and range."""
        return self.reconstruct(x)

    def errors(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The mean squared error at z = mean + σ_z noise, and KL(q(z|x) ‖ p(z)) in nats: each (b,)."""
        mean, logvar = self.posterior(x)
        recon = self.decode(reparameterise(mean, logvar, noise))  # (b, bands, frames)
        return (x - recon).square().mean((1, 2)), divergence(mean, logvar)

    def bound(self, x: Tensor, noise: Tensor) -> Tensor:
        """−log p(x|z) + KL in nats (Kingma & Welling, eq. 10) with the fitted σ: (b,)."""
        error, kl = self.errors(x, noise)
        return 0.5 * self.size * (error / self.variance + (2 * math.pi * self.variance).log()) + kl

    def score(self, x: Tensor) -> Tensor:
        """The bound's terms at z = mean of q(z|x), in nats per log-mel value: close to the bound, but not a bound."""
        return self.bound(x, torch.zeros(1, self.latent, device=x.device)) / self.size


def _noise(vae: AudioVAE, x: Tensor) -> Tensor:
    return torch.randn(len(x), vae.latent, device=x.device)


def moved(x: Tensor, most: int) -> Tensor:
    """Delay each spectrogram by a random number of frames, 0 to `most`, and fill its start with silence."""
    frames = x.shape[2]
    shift = torch.randint(most + 1, (len(x), 1), device=x.device)
    source = torch.arange(frames, device=x.device) - shift  # (b, frames)
    shifted = x.gather(2, source.clamp(min=0)[:, None].expand_as(x))  # (b, bands, frames)
    return shifted * (source >= 0)[:, None]


def loss(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """The negative ELBO with σ² = the batch's mean squared error, the σ² that minimises it."""
    x = moved(batch.x, recipe.shift)
    error, kl = vae.errors(x, _noise(vae, x))
    return {"reconstruction": 0.5 * vae.size * ((2 * math.pi * error.mean()).log() + 1), "kl": kl.mean()}


def fit_variance(vae: AudioVAE, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """Set σ² to its maximum-likelihood value on all training clips: the mean squared error."""
    vae.variance.copy_(torch.cat([vae.errors(batch.x, _noise(vae, batch.x))[0] for batch in batches]).mean())


def negative_elbo(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return vae.bound(batch.x, _noise(vae, batch.x))


def decibels(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return 80 * (vae.reconstruct(batch.x) - batch.x).abs().mean((1, 2))


def tasks(vae: AudioVAE) -> Mapping[str, zoo.Task]:
    audio, z = vae.sample.x, (vae.latent,)
    return {
        "encode": zoo.Task(vae.encode, {"audio": audio}, {"z": zoo.Vector(z)}),
        "decode": zoo.Task(vae.decode, {"z": zoo.Noise(z)}, {"audio": audio}),
        "reconstruct": zoo.Task(vae.reconstruct, {"audio": audio}, {"reconstruction": audio}),
        "score": zoo.Task(vae.score, {"audio": audio}, {"score": zoo.Score()}),
    }


audio_vae = zoo.Model(
    card=zoo.Card(
        title="Variational autoencoder of audio",
        summary="A VAE of log-mel spectrograms: smooth latents of short audio clips, and new clips to listen to.",
        paper="https://arxiv.org/abs/1312.6114",
        citation="Kingma & Welling 2014",
    ),
    build=AudioVAE,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=fit_variance,
    metrics=(
        zoo.Metric("negative_elbo", negative_elbo, "nats per clip", "density of the log-mel values, one z per clip"),
        zoo.Metric("mel_error", decibels, "dB", "mean absolute error of the reconstruction by the mean of z"),
    ),
    recipes={
        "fsdd": Recipe(  # 64 bands, and 96 frames (0.768 s): both are multiples of 2⁴
            data=zoo.use("fsdd", seconds=0.768, bands=64),
            width=24,
            steps=4000,
            batch=64,
            lr=2e-3,
            warmup=100,
            decay="cosine",
            shift=4,
        ),
        "tiny": Recipe(
            data=zoo.use("tones", seconds=0.256, bands=16), precision="fp32", latent=2, width=4, steps=20, batch=32
        ),
    },
)
