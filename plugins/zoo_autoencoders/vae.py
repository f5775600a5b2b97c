"""Convolutional variational autoencoder.

Kingma & Welling 2014, "Auto-encoding variational Bayes", https://arxiv.org/abs/1312.6114.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(32, "dimensions of z", least=1)
    width: int = zoo.setting(32, "channels of the first convolution; the second has twice as many", least=1)
    beta: float = zoo.setting(1.0, "weight of the KL term (β-VAE, Higgins et al. 2017)", least=0)


class VAE(nn.Module):
    """q(z|x) and p(x|z): two stages of convolutions, each halving or doubling the picture's sides."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        if not isinstance(sample.x, zoo.Image):
            raise ValueError(f"vae models pictures, and this data is {sample.x.kind}")
        self.sample, self.latent = sample, recipe.latent
        channels, height, width = sample.x.shape
        self.grid = (2 * recipe.width, -(-height // 4), -(-width // 4))
        cells, first, hidden = self.grid[0] * self.grid[1] * self.grid[2], recipe.width, 8 * recipe.width
        self.encoder = nn.Sequential(
            *_block(nn.Conv2d(channels, first, 3, 2, 1, bias=False)),
            *_block(nn.Conv2d(first, 2 * first, 3, 2, 1, bias=False)),
            *_block(nn.Conv2d(2 * first, 2 * first, 3, 1, 1, bias=False)),
            nn.Flatten(),
            *_block(nn.Linear(cells, hidden, bias=False)),
            nn.Linear(hidden, 2 * recipe.latent),
        )
        self.decoder = nn.Sequential(
            *_block(nn.Linear(recipe.latent, hidden, bias=False)),
            *_block(nn.Linear(hidden, cells, bias=False)),
            nn.Unflatten(1, self.grid),
            *_block(nn.Conv2d(2 * first, 2 * first, 3, 1, 1, bias=False)),
            *_block(nn.ConvTranspose2d(2 * first, first, 4, 2, 1, bias=False)),
            nn.ConvTranspose2d(first, channels, 4, 2, 1),
        )

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x).float().chunk(2, dim=1)  # each (b, latent); the KL needs more than bfloat16
        return mean, logvar

    def logits(self, z: Tensor) -> Tensor:
        _, height, width = self.sample.x.shape
        return self.decoder(z)[:, :, :height, :width]  # (b, c, h, w)

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z)."""
        return self.logits(z).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def _block(layer: nn.Module) -> tuple[nn.Module, ...]:
    if isinstance(layer, nn.Linear):
        return layer, nn.BatchNorm1d(layer.out_features), nn.SiLU()
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    return layer, nn.BatchNorm2d(layer.out_channels), nn.SiLU()


def bound(vae: VAE, images: Tensor) -> tuple[Tensor, Tensor]:
    """Both terms of the negative evidence lower bound (eq. 10) in nats, of pictures binarised at random: each (b,)."""
    x = torch.bernoulli(images)
    mean, logvar = vae.posterior(x)
    z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
    reconstruction = F.binary_cross_entropy_with_logits(vae.logits(z).float(), x, reduction="none").flatten(1).sum(1)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)  # appendix B
    return reconstruction, kl


def loss(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log p(x|z) + β KL(q(z|x) ‖ p(z)), in nats an image; β = 1 is the negative ELBO."""
    reconstruction, kl = bound(vae, batch.x)
    return {"reconstruction": reconstruction.mean(), "kl": recipe.beta * kl.mean()}


def negative_elbo(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    reconstruction, kl = bound(vae, batch.x)
    return reconstruction + kl


def iwae(vae: VAE, images: Tensor, k: int) -> Tensor:
    """−log (1/k) Σ p(x, z_i) / q(z_i|x), z_i from q(z|x), in nats (Burda et al. 2016, eq. 8): (b,).

    Its expectation is at least −log p(x) and falls towards it as k grows. Pictures are binarised at random.
    """
    x = torch.bernoulli(images)
    mean, logvar = vae.posterior(x)
    weights = []
    for _ in range(k):  # one z at a time, so that memory is that of one batch
        noise = torch.randn_like(mean)
        z = mean + noise * (0.5 * logvar).exp()
        likelihood = -F.binary_cross_entropy_with_logits(vae.logits(z).float(), x, reduction="none").flatten(1).sum(1)
        weights.append(likelihood + 0.5 * (noise.square() + logvar - z.square()).sum(1))  # log p(z) − log q(z|x)
    return math.log(k) - torch.stack(weights).logsumexp(0)


def iwae_100(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return iwae(vae, batch.x, 100)


def tasks(vae: VAE) -> Mapping[str, zoo.Task]:
    image, z = vae.sample.x, zoo.Vector((vae.latent,))
    return {
        "encode": zoo.Task(vae.encode, {"image": image}, {"z": z}),
        "decode": zoo.Task(vae.decode, {"z": zoo.Noise((vae.latent,))}, {"image": image}),
        "reconstruct": zoo.Task(vae.reconstruct, {"image": image}, {"reconstruction": image}),
    }


vae = zoo.Model(
    card=zoo.Card(
        title="Variational autoencoder",
        summary="A convolutional encoder and decoder with Gaussian codes: smooth latent space, samples from noise.",
        paper="https://arxiv.org/abs/1312.6114",
        citation="Kingma & Welling 2014",
    ),
    build=VAE,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    measures=(
        zoo.Measure("negative_elbo", negative_elbo, "nats per image", "dynamically binarised, one z an image"),
        zoo.Measure(
            "iwae_100", iwae_100, "nats per image", "bound on −log p(x), dynamically binarised, k = 100", limit=1000
        ),
    ),
    recipes={
        "digits": Recipe(
            data="digits", precision="fp32", latent=8, steps=1500, batch=100, lr=2e-3, warmup=100, decay="cosine"
        ),
        "mnist": Recipe(data="mnist", steps=4500, batch=128, lr=2e-3, warmup=200, decay="cosine"),
        "tiny": Recipe(data="digits", precision="fp32", latent=2, width=4, steps=20, batch=32),
    },
)
