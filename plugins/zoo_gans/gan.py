"""Generative adversarial network of dense layers.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio 2014, "Generative adversarial nets",
https://arxiv.org/abs/1406.2661. A generator G maps noise to images; a discriminator D classifies images as real or
generated; each is trained against the other.

The discriminator networks output the logit l of the probability that an image is real, D = σ(l). So −log D =
softplus(−l) and −log(1 − D) = softplus(l): neither overflows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_gans import nets
from zoo_gans.nets import GAN


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    lr: float = zoo.setting(2e-4, "peak learning rate of D", gt=0)
    generator_lr: float = zoo.setting(5e-4, "peak learning rate of G", gt=0)
    latent: int = zoo.setting(64, "dimensions of z", ge=1)
    hidden: tuple[int, ...] = zoo.setting((256, 512), "sizes of G's hidden layers; D has them the other way", ge=1)
    dropout: float = zoo.setting(0.3, "fraction of D's hidden numbers that are left out in training", ge=0, le=0.9)


def build(recipe: Recipe, sample: zoo.Sample) -> GAN:
    form = sample.form(zoo.Image)
    sizes = (recipe.latent, *recipe.hidden)
    generator: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        generator += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    generator += [nn.Linear(sizes[-1], math.prod(form.shape)), nn.Tanh(), nn.Unflatten(1, form.shape)]
    sizes = (math.prod(form.shape), *reversed(recipe.hidden))
    discriminator: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        discriminator += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(recipe.dropout)]
    discriminator += [nn.Linear(sizes[-1], 1)]
    return GAN(sample, recipe.latent, nn.Sequential(*generator), nn.Sequential(*discriminator))


def discriminator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """−log D(x) − log(1 − D(G(z))) (eq. 1)."""
    real, fake = gan.discriminate(batch.x), gan.discriminate(nets.fake(gan, batch).detach())
    return {"d_real": F.softplus(-real).mean(), "d_fake": F.softplus(fake).mean()}


def generator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """−log D(G(z)), the non-saturating loss (section 3)."""
    return {"generator": F.softplus(-gan.discriminate(nets.fake(gan, batch))).mean()}


adam = zoo.AdamW(betas=(0.5, 0.999))  # Radford et al. 2016, section 4

objectives = (
    zoo.Objective(discriminator_loss, params=("discriminator",), optimiser=adam),
    zoo.Objective(generator_loss, params=("generator",), lr="generator_lr", optimiser=adam),
)

gan = zoo.Model(
    card=zoo.Card(
        title="Generative adversarial network",
        summary="A dense generator trained against a discriminator, without a likelihood: the first GAN.",
        paper="https://arxiv.org/abs/1406.2661",
        citation="Goodfellow et al. 2014",
    ),
    build=build,
    objectives=objectives,
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    finish=nets.finish,
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"), precision="fp32", latent=32, steps=6000, batch=100, decay="linear", ema=0.998
        ),
        "mnist": Recipe(data=zoo.use("mnist"), steps=30000, batch=128, decay="linear", ema=0.999),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, hidden=(16,), steps=20, batch=32),
    },
)
