"""Spectrally normalised GAN.

Miyato, Kataoka, Koyama & Yoshida 2018, "Spectral normalization for generative adversarial networks",
https://arxiv.org/abs/1802.05957. Each weight matrix of the discriminator is divided by its largest singular value,
estimated by power iteration. This bounds the discriminator's Lipschitz constant. The loss is the hinge loss.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import zoo
from zoo_gans import gan, nets
from zoo_gans.dcgan import dcgan
from zoo_gans.nets import GAN, Recipe
from zoo_gans.wgan import generator_loss


def build(recipe: Recipe, sample: zoo.Sample) -> GAN:
    form = sample.form(zoo.Image)
    head = spectral_norm(nn.Linear(nets.features(form, recipe.width), 1))
    discriminator = nn.Sequential(*nets.body(form, recipe.width, "spectral"), head)
    return GAN(sample, recipe.latent, nets.generator(recipe.latent, form, recipe.width), discriminator)


def discriminator_loss(gan: GAN, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))) (eq. 16); the generator's −D(G(z)) (eq. 17) is WGAN's loss."""
    real, fake = gan.discriminate(batch.x), gan.discriminate(nets.fake(gan, batch).detach())
    return {"d_real": F.relu(1 - real).mean(), "d_fake": F.relu(1 + fake).mean()}


discriminator, generator = gan.objectives

sngan = dataclasses.replace(
    dcgan,
    card=zoo.Card(
        title="Spectrally normalised GAN",
        summary="A convolutional GAN whose discriminator has a bounded slope: stable training at little cost.",
        paper="https://arxiv.org/abs/1802.05957",
        citation="Miyato et al. 2018",
    ),
    build=build,
    objectives=(
        dataclasses.replace(discriminator, loss=discriminator_loss),
        dataclasses.replace(generator, loss=generator_loss),
    ),
    recipes={  # a Lipschitz-bounded discriminator learns slowly, so its learning rate is larger
        name: dataclasses.replace(recipe, lr=5e-4) for name, recipe in dcgan.recipes.items()
    },
)
