"""Least squares GAN.

Mao, Li, Xie, Lau, Wang & Smolley 2017, "Least squares generative adversarial networks",
https://arxiv.org/abs/1611.04076. DCGAN with squared errors instead of logarithms: a squared error has a gradient even
for samples that D already classifies as real. The labels are a = 0, b = c = 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor

import zoo
from zoo_gans import gan, nets
from zoo_gans.dcgan import dcgan
from zoo_gans.nets import GAN


def discriminator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """½ (D(x) − 1)² + ½ D(G(z))² (eq. 9)."""
    real, fake = gan.discriminate(batch.x), gan.discriminate(nets.fake(gan, batch).detach())
    return {"d_real": (real - 1).square().mean() / 2, "d_fake": fake.square().mean() / 2}


def generator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """½ (D(G(z)) − 1)² (eq. 9)."""
    return {"generator": (gan.discriminate(nets.fake(gan, batch)) - 1).square().mean() / 2}


discriminator, generator = gan.objectives

lsgan = dataclasses.replace(
    dcgan,
    card=zoo.Card(
        title="Least squares GAN",
        summary="A convolutional GAN with squared errors for its losses: steadier gradients than those of logarithms.",
        paper="https://arxiv.org/abs/1611.04076",
        citation="Mao et al. 2017",
    ),
    objectives=(
        dataclasses.replace(discriminator, loss=discriminator_loss),
        dataclasses.replace(generator, loss=generator_loss),
    ),
)
