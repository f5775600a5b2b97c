"""Wasserstein GAN with weight clipping.

Arjovsky, Chintala & Bottou 2017, "Wasserstein generative adversarial networks", https://arxiv.org/abs/1701.07875
(algorithm 1). The critic f outputs an unbounded score. The difference of its mean scores of real and generated images
estimates their Wasserstein distance, up to a factor, as long as its weights are clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import zoo
from zoo_gans import nets
from zoo_gans.dcgan import build
from zoo_gans.nets import GAN


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    # The defaults are those of algorithm 1; the recipes have larger rates.
    lr: float = zoo.setting(5e-5, "peak learning rate of the critic", gt=0)
    generator_lr: float = zoo.setting(5e-5, "peak learning rate of G", gt=0)
    bound: float = zoo.setting(0.01, "c: the critic's weights are clipped to [-c, c]", gt=0)


def critic_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """f(G(z)) − f(x), the critic's negative estimate of the distance (eq. 2)."""
    real, fake = gan.discriminate(batch.x), gan.discriminate(nets.fake(gan, batch).detach())
    return {"distance": fake.float().mean() - real.float().mean()}


def generator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """−f(G(z)) (theorem 3)."""
    return {"generator": -gan.discriminate(nets.fake(gan, batch)).mean()}


def clip(gan: GAN, recipe: Recipe) -> None:
    """Clip the critic's weights, BatchNorm's included, to [-c, c], which bounds its slope (algorithm 1)."""
    for weight in gan.discriminator.parameters():
        weight.clamp_(-recipe.bound, recipe.bound)


objectives = (  # n_critic = 5; a step is a step of the critic
    zoo.Objective(critic_loss, params=("discriminator",), optimiser=zoo.RMSprop(), after=clip),
    zoo.Objective(generator_loss, params=("generator",), lr="generator_lr", optimiser=zoo.RMSprop(), every=5),
)

wgan = zoo.Model(
    card=zoo.Card(
        title="Wasserstein GAN",
        summary="A GAN whose critic estimates a distance, with clipped weights: its loss tells how good samples are.",
        paper="https://arxiv.org/abs/1701.07875",
        citation="Arjovsky, Chintala & Bottou 2017",
    ),
    build=build,
    objectives=objectives,
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    finish=nets.finish,
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            latent=32,
            steps=8000,
            batch=100,
            lr=2e-4,
            generator_lr=2e-4,
            ema=0.998,
        ),
        "mnist": Recipe(
            data=zoo.use("mnist"),
            width=48,
            steps=30000,
            batch=64,
            lr=3e-4,
            generator_lr=3e-4,
            decay="linear",
            ema=0.999,
        ),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
