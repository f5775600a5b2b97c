"""Variational autoencoder of sounds, as log-mel spectrograms.

Kingma & Welling 2014, "Auto-encoding variational Bayes", https://arxiv.org/abs/1312.6114. The likelihood is a Gaussian
around the decoder's spectrogram whose one σ is learned: Rybkin, Daniilidis & Levine 2021, "Simple and effective VAE
training with calibrated decoders", https://arxiv.org/abs/2006.13202. A Bernoulli would take decibels for chances, while
a squared error in them is near what one hears; and the σ balances it with the KL term, so that no β is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(32, "dimensions of z", least=1)
    width: int = zoo.setting(32, "channels of the first convolution; the last two have four times as many", least=1)
    shift: int = zoo.setting(0, "hops by which a training sound is moved later at random, at most", least=0)


class AudioVAE(nn.Module):
    """q(z|x) and p(x|z): four stages of convolutions, each halving or doubling bands and frames."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        if not isinstance(sample.x, zoo.LogMel):
            raise ValueError(f"audio-vae models spectrograms (set bands), and this data is {sample.x.kind}")
        self.sample, self.latent = sample, recipe.latent
        w, grid = recipe.width, (4 * recipe.width, *(-(-size // 16) for size in sample.x.shape))
        cells, hidden = math.prod(grid), 4 * w
        self.encoder = nn.Sequential(
            *_block(nn.Conv2d(1, w, 3, 2, 1, bias=False)),
            *_block(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False)),
            *_block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=False)),
            *_block(nn.Conv2d(4 * w, 4 * w, 3, 2, 1, bias=False)),
            nn.Flatten(),
            *_block(nn.Linear(cells, hidden, bias=False)),
            nn.Linear(hidden, 2 * recipe.latent),
        )
        self.decoder = nn.Sequential(
            *_block(nn.Linear(recipe.latent, hidden, bias=False)),
            *_block(nn.Linear(hidden, cells, bias=False)),
            nn.Unflatten(1, grid),
            *_block(nn.ConvTranspose2d(4 * w, 4 * w, 4, 2, 1, bias=False)),
            *_block(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False)),
            *_block(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False)),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
        )
        self.variance = nn.Parameter(torch.tensor(-5.0))
        """log σ² of p(x|z)."""

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

    def terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """−log p(x|z) and KL(q(z|x) ‖ p(z)) in nats, z = mean + σ noise (Kingma & Welling, eq. 10): each (b,)."""
        mean, logvar = self.posterior(x)
        z = mean + noise * (0.5 * logvar).exp()
        squares = (x - self.decode(z)).square().flatten(1).sum(1)
        count = math.prod(self.sample.x.shape)
        reconstruction = 0.5 * (squares * (-self.variance).exp() + count * (self.variance + math.log(2 * math.pi)))
        return reconstruction, 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)  # appendix B

    def score(self, x: Tensor) -> Tensor:
        """Both terms at the mean of q(z|x), in nats a log-mel value."""
        reconstruction, kl = self.terms(x, torch.zeros(1, self.latent, device=x.device))
        return (reconstruction + kl) / math.prod(self.sample.x.shape)


def _block(layer: nn.Module) -> tuple[nn.Module, ...]:
    if isinstance(layer, nn.Linear):
        return layer, nn.BatchNorm1d(layer.out_features), nn.SiLU()
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    return layer, nn.BatchNorm2d(layer.out_channels), nn.SiLU()


def _drawn(vae: AudioVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    return vae.terms(x, torch.randn(len(x), vae.latent, device=x.device))


def moved(x: Tensor, most: int) -> Tensor:
    """Each spectrogram later by up to so many frames at random, with silence before it."""
    frames = x.shape[2]
    by = torch.randint(most + 1, (len(x), 1), device=x.device)
    source = torch.arange(frames, device=x.device) - by  # (b, frames)
    picked = x.gather(2, source.clamp(min=0)[:, None].expand_as(x))
    return picked * (source >= 0)[:, None]


def loss(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    reconstruction, kl = _drawn(vae, moved(batch.x, recipe.shift))
    return {"reconstruction": reconstruction.mean(), "kl": kl.mean()}


def negative_elbo(vae: AudioVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    reconstruction, kl = _drawn(vae, batch.x)
    return reconstruction + kl


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
    measures=(
        zoo.Measure("negative_elbo", negative_elbo, "nats per sound", "density of the log-mel values, one z a sound"),
        zoo.Measure("mel_error", decibels, "dB", "mean absolute error of the reconstruction by the mean code"),
    ),
    recipes={
        "fsdd": Recipe(
            data="fsdd", seconds=0.768, bands=64, steps=3000, batch=64, lr=2e-3, warmup=100, decay="cosine", shift=8
        ),
        "tiny": Recipe(data="tones", precision="fp32", seconds=0.256, bands=16, latent=2, width=4, steps=20, batch=32),
    },
)
