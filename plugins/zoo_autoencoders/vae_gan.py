"""VAE-GAN: a VAE whose reconstruction loss is computed on a discriminator's features.

Larsen, Sønderby, Larochelle & Winther 2016, "Autoencoding beyond pixels using a learned similarity metric",
https://arxiv.org/abs/1512.09300. The discriminator also pushes reconstructions and samples to look real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.gaussian import divergence, reparameterise
from zoo_autoencoders.reconstruction import mse
from zoo_gans.nets import body, features


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    beta: float = zoo.setting(1.0, "weight of the KL term", ge=0)
    gamma: float = zoo.setting(0.01, "γ, the weight of likeness beside passing for real in the decoder's loss", ge=0)


class Discriminator(nn.Module):
    """Image → features D_l(x), (b, n), and the logit of being real, (b, 1)."""

    def __init__(self, image: zoo.Image, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*body(image, width))
        self.head = nn.Linear(features(image, width), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(2 * x - 1)  # (b, n)
        return features.float(), self.head(features).float()


class VAEGAN(nets.Variational):
    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        image, latent = sample.form(zoo.Image), recipe.latent
        super().__init__(sample, latent, nets.encoder(image, 2 * latent, recipe), nets.decoder(image, latent, recipe))
        self.discriminator = Discriminator(image, 2 * recipe.width)


def _posterior_sample(vaegan: VAEGAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """A sample z of each q(z|x), (b, latent), and KL(q(z|x) ‖ p(z)), (b,)."""
    mean, logvar = vaegan.posterior(x)
    return reparameterise(mean, logvar, torch.randn_like(mean)), divergence(mean, logvar)


def _unlike(left: Tensor, right: Tensor) -> Tensor:
    """−log p(D_l(x)|z) up to a constant, for Gaussian features of unit variance (eq. 8): scalar."""
    return 0.5 * (left - right).square().sum(1).mean()


def encoder_loss(vaegan: VAEGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """KL(q(z|x) ‖ p(z)) − log p(D_l(x)|z) (algorithm 1)."""
    z, kl = _posterior_sample(vaegan, batch.x)
    real, recon = (vaegan.discriminator(x)[0] for x in (batch.x, vaegan.decode(z)))  # features, each (b, n)
    return {"kl": recipe.beta * kl.mean(), "likeness": _unlike(recon, real)}


def decoder_loss(vaegan: VAEGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−γ log p(D_l(x)|z) − log D(x̃) − log D(x_p), non-saturating: x̃ decodes z ~ q(z|x), x_p decodes z_p ~ p(z)."""
    with torch.no_grad():
        z, _ = _posterior_sample(vaegan, batch.x)
        real, _ = vaegan.discriminator(batch.x)  # features (b, n)
    recon, recon_logit = vaegan.discriminator(vaegan.decode(z))
    _, fake_logit = vaegan.discriminator(vaegan.decode(torch.randn_like(z)))
    adversarial = {"g_made": F.softplus(-recon_logit).mean(), "g_drawn": F.softplus(-fake_logit).mean()}
    return {"g_likeness": recipe.gamma * _unlike(recon, real), **adversarial}


def discriminator_loss(vaegan: VAEGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(x) − log(1 − D(x̃)) − log(1 − D(x_p)) (eq. 10)."""
    with torch.no_grad():
        z, _ = _posterior_sample(vaegan, batch.x)
        recon, fake = vaegan.decode(z), vaegan.decode(torch.randn_like(z))  # x̃ and x_p
    real, recon, fake = (vaegan.discriminator(x)[1] for x in (batch.x, recon, fake))  # logits, each (b, 1)
    return {"d_real": F.softplus(-real).mean(), "d_made": F.softplus(recon).mean(), "d_drawn": F.softplus(fake).mean()}


adam = zoo.AdamW(betas=(0.5, 0.999))

digits, mnist, tiny = nets.bases(Recipe)

vae_gan = zoo.Model(
    card=zoo.Card(
        title="VAE with a learned similarity",
        summary="A VAE whose reconstructions a discriminator compares and judges: a VAE's latents, sharper images.",
        paper="https://arxiv.org/abs/1512.09300",
        citation="Larsen et al. 2016",
    ),
    build=VAEGAN,
    objectives=(
        zoo.Objective(encoder_loss, params=("encoder",), optimiser=adam),
        zoo.Objective(decoder_loss, params=("decoder",), optimiser=adam),
        zoo.Objective(discriminator_loss, params=("discriminator",), optimiser=adam),
    ),
    tasks=nets.tasks,
    generate=zoo.OneShot("decode"),
    metrics=(
        zoo.Metric(
            "reconstruction_error", mse, "per pixel, on [0, 1]", "reconstruction of test images from the mean of z"
        ),
    ),
    recipes={
        "digits": replace(digits, latent=16, lr=1e-3, warmup=0, decay="linear"),
        # A large β, so that samples of the prior resemble the latents of images.
        "mnist": replace(mnist, beta=20.0, steps=6000, batch=64, lr=5e-4, warmup=0, decay="linear"),
        "tiny": replace(tiny, latent=4),
    },
)
