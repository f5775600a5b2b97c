"""Convolutional variational autoencoder.

Kingma & Welling 2014, "Auto-encoding variational Bayes", https://arxiv.org/abs/1312.6114. The recipe with β = 4 is the
β-VAE of Higgins et al. 2017, "β-VAE: learning basic visual concepts with a constrained variational framework",
https://openreview.net/forum?id=Sy2fzU9gl.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.gaussian import divergence, reparameterise


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    beta: float = zoo.setting(1.0, "weight of the KL term (β-VAE, Higgins et al. 2017)", ge=0)
    kl_warmup: float = zoo.setting(0.0, "fraction of the run in which that weight rises from 0", ge=0, le=1)
    likelihood: Literal["bernoulli", "logistic"] = zoo.setting(
        "bernoulli", "p(x|z) of a pixel: binarised at random, or one of 256 levels (Salimans et al. 2017)"
    )


class VAE(nets.Variational):
    """A Gaussian q(z|x), and p(x|z); the prior p(z) is standard normal."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        image, latent = sample.form(zoo.Image), recipe.latent
        super().__init__(sample, latent, nets.encoder(image, 2 * latent, recipe), nets.decoder(image, latent, recipe))
        if recipe.likelihood == "logistic":
            self.log_scale = nn.Parameter(torch.full((image.channels,), -3.0))  # 1-d: no weight decay
        self.binary = recipe.likelihood == "bernoulli"

    def observe(self, images: Tensor) -> Tensor:
        """The x that p(x|z) models: randomly binarised images if it is Bernoulli, else the images themselves."""
        return torch.bernoulli(images) if self.binary else images

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, (b,)."""
        logits = self.logits(z)
        if self.binary:
            return log_bernoulli(x, logits).flatten(1).sum(1)
        return log_logistic(x, logits.sigmoid(), self.log_scale[:, None, None]).flatten(1).sum(1)

    def score(self, x: Tensor) -> Tensor:
        """−log p(x|z) + KL(q(z|x) ‖ p(z)) at z = mean, in nats, (b,): close to the negative ELBO, but not a bound."""
        mean, logvar = self.posterior(x)
        return divergence(mean, logvar) - self.log_likelihood(x, mean)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """log P of each pixel; for a grey value, the expectation under random binarisation."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def log_logistic(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log P of each pixel's level under a logistic discretised to 256 levels (Salimans et al. 2017, eq. 2).

    A level from b to a has probability σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)). The outer levels are open-ended.
    """
    upper = (x - mean + 1 / 510) * (-log_scale).exp()  # a, half a level above x
    width = (-log_scale).exp() / 255  # a − b, one level
    left, right = F.logsigmoid(upper), F.logsigmoid(width - upper)
    inner = left + right + (-(-width).expm1()).log()
    return torch.where(x < 0.5 / 255, left, torch.where(x > 254.5 / 255, right, inner))


class Observed(Protocol):
    """The interface that :func:`bound` needs: a VAE, or a CVAE with fixed labels."""

    def observe(self, images: Tensor) -> Tensor: ...

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor: ...


def bound(vae: Observed, images: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of the negative evidence lower bound (eq. 10) in nats, each (b,)."""
    x = vae.observe(images)
    mean, logvar = vae.posterior(x)
    z = reparameterise(mean, logvar, torch.randn_like(mean))
    return -vae.log_likelihood(x, z), divergence(mean, logvar)


def loss(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log p(x|z) + β KL(q(z|x) ‖ p(z)), in nats per image; β = 1 is the negative ELBO."""
    reconstruction, kl = bound(vae, batch.x)
    return {"reconstruction": reconstruction.mean(), "kl": recipe.beta * warm(batch, recipe) * kl.mean()}


def warm(batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """The KL warm-up factor: it rises linearly to 1, then stays 1 (Sønderby et al. 2016, section 2.3)."""
    return (batch.progress / recipe.kl_warmup).clamp(max=1) if recipe.kl_warmup else torch.ones_like(batch.progress)


def negative_elbo(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    reconstruction, kl = bound(vae, batch.x)
    return reconstruction + kl


def log_weights(vae: VAE, x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """log p(x, z) / q(z|x) in nats, (b,), for one sample z of each q(z|x)."""
    noise = torch.randn_like(mean)
    z = reparameterise(mean, logvar, noise)
    prior_over_posterior = 0.5 * (noise.square() + logvar - z.square()).sum(1)  # log p(z) − log q(z|x)
    return vae.log_likelihood(x, z) + prior_over_posterior


def iwae(vae: VAE, images: Tensor, k: int) -> Tensor:
    """−log (1/k) Σ p(x, z_i) / q(z_i|x), z_i ~ q(z|x), in nats (Burda et al. 2016, eq. 8): (b,).

    Its expectation is an upper bound of −log p(x) and falls towards it as k grows.
    """
    x = vae.observe(images)
    mean, logvar = vae.posterior(x)
    weights = [log_weights(vae, x, mean, logvar) for _ in range(k)]  # one z at a time, to save memory
    return math.log(k) - torch.stack(weights).logsumexp(0)


def iwae_100(vae: VAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return iwae(vae, batch.x, 100)


PROTOCOL = "images dynamically binarised, unless the likelihood is logistic"

optimiser = zoo.AdamW(weight_decay=0.05)
digits, mnist, tiny = nets.bases(Recipe)
# Wider than the other models' MNIST recipes: a release of 6 MB instead of 3.
mnist = replace(mnist, width=28, warmup=500, steps=50000)

vae = zoo.Model(
    card=zoo.Card(
        title="Variational autoencoder",
        summary="A convolutional encoder and decoder with Gaussian latents: a smooth latent space, samples from noise.",
        paper="https://arxiv.org/abs/1312.6114",
        citation="Kingma & Welling 2014",
    ),
    build=VAE,
    objectives=(zoo.Objective(loss, optimiser=optimiser),),
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    metrics=(
        zoo.Metric("negative_elbo", negative_elbo, "nats per image", f"one z per image; {PROTOCOL}"),
        zoo.Metric("iwae_100", iwae_100, "nats per image", f"bound on −log p(x), k = 100; {PROTOCOL}", limit=10_000),
    ),
    recipes={
        # Inpainting by iterated reconstruction needs few latent dimensions, and suffers from the logistic likelihood.
        "digits": replace(digits, latent=8),
        "mnist": mnist,
        "mnist-beta4": replace(mnist, beta=4.0, steps=10000),
        "cifar10": replace(  # few channels, to keep the release at 3 MB
            mnist, data=zoo.use("cifar10-jpeg", flip=True), likelihood="logistic", latent=96, width=16, steps=12000
        ),
        "tiny": replace(tiny, latent=2),
    },
)
