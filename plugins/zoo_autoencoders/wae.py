"""Wasserstein autoencoder, with the maximum mean discrepancy.

Tolstikhin et al. 2018, "Wasserstein auto-encoders", https://arxiv.org/abs/1711.01558: codes of all images together
are made standard normal, where a VAE makes those of each image so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.reconstruction import from_codes, squared_error

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Of the kernel: it is the sum over these."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    # Both numbers are those of the paper's experiments on MNIST.
    latent: int = zoo.setting(8, "numbers in a code", least=1)
    weight: float = zoo.setting(10.0, "λ, the weight of the discrepancy", least=0)


def mmd(codes: Tensor, prior: Tensor) -> Tensor:
    """The unbiased MMD² of two sets, each (n, latent), of which the second is standard normal (algorithm 2).

    The kernel is the inverse multiquadratic C / (C + ‖x − y‖²), with C = 2·latent times each scale (section 4).
    """
    count = len(codes)
    within = _kernel(codes, codes) + _kernel(prior, prior)
    within = (within.sum() - within.diagonal().sum()) / (count * (count - 1))
    return within - 2 * _kernel(codes, prior).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    distances = (x[:, None] - y[None]).square().sum(2)  # (n, n)
    scales = (2 * x.shape[1] * factor for factor in SCALES)  # C: twice the latent's size is E‖x − y‖² under the prior
    return sum((scale / (scale + distances) for scale in scales), start=torch.zeros_like(distances))


def loss(wae: nets.Codec, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x))‖² + λ MMD²(E(x), p(z)), the first summed over pixels (eq. 4)."""
    code = wae.encode(batch.x)
    error = squared_error(wae.decode(code), batch.x)
    return {"reconstruction": error.mean(), "mmd": recipe.weight * mmd(code, torch.randn_like(code))}


digits, mnist, tiny = nets.bases(Recipe)

wae = zoo.Model(
    card=zoo.Card(
        title="Wasserstein autoencoder",
        summary="An autoencoder whose codes are, all together, normal: sharper images than a VAE's, and samples.",
        paper="https://arxiv.org/abs/1711.01558",
        citation="Tolstikhin et al. 2018",
    ),
    build=nets.codec,
    objectives=(zoo.Objective(loss),),
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    measures=(from_codes,),
    recipes={
        "digits": replace(digits, latent=8),
        "mnist": replace(mnist, latent=8, steps=14000),
        "tiny": replace(tiny, latent=4),
    },
)
