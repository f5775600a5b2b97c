"""Wasserstein autoencoder with the maximum mean discrepancy (WAE-MMD).

Tolstikhin, Bousquet, Gelly & Schölkopf 2018, "Wasserstein auto-encoders", https://arxiv.org/abs/1711.01558: the
penalty matches the aggregated posterior to the standard normal p(z), where a VAE matches each image's posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.reconstruction import reconstruction_error, squared_error

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Scales of the kernel, which is a sum over them."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    # Both defaults are those of the paper's experiments on MNIST.
    latent: int = zoo.setting(8, "dimensions of z", ge=1)
    weight: float = zoo.setting(10.0, "λ, the weight of the discrepancy", ge=0)


def mmd(z: Tensor, prior: Tensor) -> Tensor:
    """The unbiased MMD² between latents z and samples of the standard normal prior, each (n, latent) (algorithm 2).

    The kernel is the inverse multiquadratic C / (C + ‖x − y‖²), summed over C = 2·latent·scale (section 4).
    """
    count = len(z)
    within = _kernel(z, z) + _kernel(prior, prior)
    within = (within.sum() - within.diagonal().sum()) / (count * (count - 1))
    return within - 2 * _kernel(z, prior).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    distances = (x[:, None] - y[None]).square().sum(2)  # (n, n)
    scales = (2 * x.shape[1] * factor for factor in SCALES)  # C; 2·latent = E‖x − y‖² under p(z)
    return sum((scale / (scale + distances) for scale in scales), start=torch.zeros_like(distances))


def loss(wae: nets.Codec, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x))‖², summed over pixels, + λ MMD²(E(x), p(z)) (eq. 4)."""
    z = wae.encode(batch.x)
    error = squared_error(wae.decode(z), batch.x)
    return {"reconstruction": error.mean(), "mmd": recipe.weight * mmd(z, torch.randn_like(z))}


digits, mnist, tiny = nets.bases(Recipe)

wae = zoo.Model(
    card=zoo.Card(
        title="Wasserstein autoencoder",
        summary="An autoencoder whose latents are, all together, normal: sharper images than a VAE's, and samples.",
        paper="https://arxiv.org/abs/1711.01558",
        citation="Tolstikhin et al. 2018",
    ),
    build=nets.codec,
    objectives=(zoo.Objective(loss),),
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    metrics=(reconstruction_error,),
    recipes={
        "digits": replace(digits, latent=8),
        "mnist": replace(mnist, latent=8, steps=14000),
        "tiny": replace(tiny, latent=4),
    },
)
