"""Adversarial autoencoder.

Makhzani, Shlens, Jaitly, Goodfellow & Frey 2016, "Adversarial autoencoders", https://arxiv.org/abs/1511.05644.
The discriminator sees latents instead of images: it pushes the aggregated posterior towards a standard normal p(z).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.reconstruction import reconstruction_error, squared_error


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    latent: int = zoo.setting(8, "dimensions of z", ge=1)
    hidden: int = zoo.setting(256, "units in each of the discriminator's two hidden layers", ge=1)
    adversary_lr: float = zoo.setting(2e-4, "peak learning rate of the two adversarial phases", gt=0)


class AAE(nets.Codec):
    """An encoder (also the generator), a decoder, and a discriminator: latent to the logit of z ~ p(z)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        image, latent = sample.form(zoo.Image), recipe.latent
        super().__init__(sample, latent, nets.encoder(image, latent, recipe), nets.decoder(image, latent, recipe))
        self.discriminator = nn.Sequential(
            nn.Linear(latent, recipe.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(recipe.hidden, recipe.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(recipe.hidden, 1),
        )


def reconstruction_loss(aae: AAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x))‖², summed over pixels (reconstruction phase, section 2)."""
    return {"reconstruction": squared_error(aae.reconstruct(batch.x), batch.x).mean()}


def discriminator_loss(aae: AAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(z) − log(1 − D(E(x))) (regularisation phase, discriminator update)."""
    with torch.no_grad():
        z = aae.encode(batch.x)
    real, fake = aae.discriminator(torch.randn_like(z)), aae.discriminator(z)  # logits, each (b, 1)
    return {"d_prior": F.softplus(-real).mean(), "d_encoded": F.softplus(fake).mean()}


def encoder_loss(aae: AAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(E(x)), the non-saturating loss (regularisation phase, encoder update)."""
    return {"encoder": F.softplus(-aae.discriminator(aae.encode(batch.x))).mean()}


adversary = zoo.AdamW(betas=(0.5, 0.999))

digits, mnist, tiny = nets.bases(Recipe)

aae = zoo.Model(
    card=zoo.Card(
        title="Adversarial autoencoder",
        summary="An autoencoder whose latents a discriminator cannot tell from normal ones, so that they can be drawn.",
        paper="https://arxiv.org/abs/1511.05644",
        citation="Makhzani et al. 2016",
    ),
    build=AAE,
    objectives=(
        zoo.Objective(reconstruction_loss, params=("encoder", "decoder")),
        zoo.Objective(discriminator_loss, params=("discriminator",), lr="adversary_lr", optimiser=adversary),
        zoo.Objective(encoder_loss, params=("encoder",), lr="adversary_lr", optimiser=adversary),
    ),
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    metrics=(reconstruction_error,),
    recipes={
        "digits": replace(digits, latent=8),
        "mnist": replace(mnist, latent=8, lr=1e-3, steps=14000),
        "tiny": replace(tiny, latent=4, hidden=16),
    },
)
