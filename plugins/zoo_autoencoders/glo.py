"""Generative latent optimisation (GLO): a decoder trained jointly with one free latent per training image.

Bojanowski, Joulin, Lopez-Paz & Szlam 2018, "Optimizing the latent space of generative networks",
https://arxiv.org/abs/1707.05776. There is no encoder and no discriminator. After training, a Gaussian mixture is
fitted to the latents: samples are decoded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.mixture import FittedPrior, Mixture, fit_prior


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    images: int = zoo.setting(60000, "latents: at least as many as the data set has images", ge=1)
    components: int = zoo.setting(30, "Gaussians in the mixture that is fitted to the latents", ge=1)
    levels: int = zoo.setting(3, "levels of the Laplacian pyramid by which images are compared", ge=1, le=8)


class GLO(FittedPrior):
    """One latent per training image, a decoder, and a Gaussian mixture over latents, fitted after training."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.latent = sample, recipe.latent
        self.latents = nn.Embedding(recipe.images, recipe.latent)
        self.decoder = nets.decoder(sample.form(zoo.Image), recipe.latent, recipe)
        self.prior = Mixture(recipe.latent, recipe.components)
        project(self, recipe)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).float().sigmoid()  # (b, c, h, w)

    def forward(self, z: Tensor) -> Tensor:
        """Decode any latents, not only those of training images: (b, latent) → (b, c, h, w) in [0, 1]."""
        return self.decode(z)

    def latents_of(self, batch: zoo.Batch) -> Tensor:
        return self.latents(batch.index)


@torch.no_grad()
def project(glo: GLO, recipe: Recipe) -> None:
    """Project each latent onto the unit ball (section 2)."""
    glo.latents.weight.div_(glo.latents.weight.norm(dim=1, keepdim=True).clamp(min=1))


def pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """The Laplacian pyramid: the detail that each halving of the sides removes, finest first, then the residual."""
    details = []
    for _ in range(levels - 1):
        coarse = F.avg_pool2d(images, 2, ceil_mode=True)  # (b, c, ⌈h / 2⌉, ⌈w / 2⌉)
        details.append(images - F.interpolate(coarse, size=images.shape[2:], mode="bilinear"))
        images = coarse
    return [*details, images]


def loss(glo: GLO, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """Σ_j 2^(2j) ‖L_j(x) − L_j(D(z))‖₁ (eq. 3); L_j is level j of the Laplacian pyramid, z the image's own latent."""
    if len(glo.latents.weight) <= int(batch.index.max()):
        raise ValueError(f"there are {len(glo.latents.weight)} latents and more images: set images to their number")
    recon, real = (pyramid(x, recipe.levels) for x in (glo.decode(glo.latents(batch.index)), batch.x))
    return {
        f"level_{j}": 4**j * (a - b).abs().flatten(1).sum(1).mean()
        for j, (a, b) in enumerate(zip(recon, real, strict=True))
    }


def tasks(glo: GLO) -> Mapping[str, zoo.Task]:
    image, z = glo.sample.x, zoo.Vector((glo.latent,))
    return {"decode": zoo.Task(glo.decode, {"z": z}, {"image": image}), "draw": glo.draw_task()}


digits, mnist, tiny = nets.bases(Recipe)

glo = zoo.Model(
    card=zoo.Card(
        title="Generative latent optimisation",
        summary="A decoder trained with a free latent for each image: a generator without encoder or discriminator.",
        paper="https://arxiv.org/abs/1707.05776",
        citation="Bojanowski et al. 2018",
    ),
    build=GLO,
    # Projected after every step: the optimiser's momentum moves a latent for some ten steps after its image was used.
    objectives=(zoo.Objective(loss, after=project),),
    tasks=tasks,
    generate=zoo.OneShot("draw"),
    finish=fit_prior,
    recipes={
        "digits": replace(digits, steps=3000, warmup=0, images=1500, latent=16),
        "mnist": replace(mnist, ema=0.0, steps=40000),  # no EMA: a latent is updated only once per epoch
        "tiny": replace(tiny, images=1500, latent=4, lr=1e-2, components=3),
    },
)
