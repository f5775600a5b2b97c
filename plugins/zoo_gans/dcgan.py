"""Deep convolutional GAN.

Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep convolutional generative
adversarial networks", https://arxiv.org/abs/1511.06434, with the non-saturating loss of Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661.
"""

from __future__ import annotations

from torch import nn

import zoo
from zoo_gans import gan, nets
from zoo_gans.nets import GAN, Recipe


def build(recipe: Recipe, sample: zoo.Sample) -> GAN:
    form = sample.form(zoo.Image)
    head = nn.Linear(nets.features(form, recipe.width), 1).apply(nets.initialise)
    discriminator = nn.Sequential(*nets.body(form, recipe.width), head)
    return GAN(sample, recipe.latent, nets.generator(recipe.latent, form, recipe.width), discriminator)


dcgan = zoo.Model(
    card=zoo.Card(
        title="Deep convolutional GAN",
        summary="A convolutional generator trained against a discriminator: sharp samples from noise.",
        paper="https://arxiv.org/abs/1511.06434",
        citation="Radford, Metz & Chintala 2016",
    ),
    build=build,
    objectives=gan.objectives,
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    finish=nets.finish,
    recipes={
        "digits": Recipe(data=zoo.use("digits"), precision="fp32", latent=32, steps=4000, batch=100, decay="linear"),
        "mnist": Recipe(data=zoo.use("mnist"), width=48, steps=10000, batch=64, decay="linear", ema=0.999),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
