"""Importance weighted autoencoder.

Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", https://arxiv.org/abs/1509.00519: the VAE's
network, trained on a tighter bound on the likelihood. Here the first two thirds of a run minimise the negative ELBO,
the bound with k = 1: a step costs a third as much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

import zoo
from zoo_autoencoders import nets, vae
from zoo_autoencoders.vae import VAE, log_weights


@dataclass(frozen=True, kw_only=True)
class Recipe(vae.Recipe):
    """`beta` and `kl_warmup` apply to the first two thirds of the run; the IWAE bound has no such weights."""

    k: int = zoo.setting(5, "samples of z an image in the last third of the run", ge=1)


def loss(net: VAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log (1/k) Σ p(x, z_i) / q(z_i|x), in nats per image (eq. 8); k = 1 is the negative ELBO."""
    x, k = net.observe(batch.x), recipe.k
    mean, logvar = net.posterior(x)
    repeated = x.repeat(k, 1, 1, 1), mean.repeat(k, 1), logvar.repeat(k, 1)  # (k·b, …): one decoder pass
    weights = log_weights(net, *repeated).unflatten(0, (k, -1))  # (k, b)
    return {"iwae": (math.log(k) - weights.logsumexp(0)).mean()}


digits, _, tiny = nets.bases(Recipe)

iwae = replace(
    vae.vae,
    card=zoo.Card(
        title="Importance weighted autoencoder",
        summary="The VAE's network, trained on a tighter bound: a better likelihood, and a more complex posterior.",
        paper="https://arxiv.org/abs/1509.00519",
        citation="Burda, Grosse & Salakhutdinov 2016",
    ),
    objectives=(
        zoo.Objective(vae.loss, during=(0.0, 2 / 3), optimiser=vae.optimiser),
        zoo.Objective(loss, during=(2 / 3, 1.0), optimiser=vae.optimiser),
    ),
    recipes={
        "digits": replace(digits, latent=8),
        "mnist": replace(nets.extend(vae.mnist, Recipe), steps=42000),
        "tiny": replace(tiny, latent=2, k=3),
    },
)
