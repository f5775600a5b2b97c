"""Generative latent optimisation: a decoder trained together with one free code for each image.

Bojanowski et al. 2018, "Optimizing the latent space of generative networks", https://arxiv.org/abs/1707.05776. There is
no encoder and no discriminator; a mixture of Gaussians is fitted to the codes, from which new ones are drawn.
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
    pictures: int = zoo.setting(60000, "codes: at least as many as the data set has images", least=1)
    parts: int = zoo.setting(30, "Gaussians in the mixture that is fitted to the codes", least=1)
    levels: int = zoo.setting(3, "levels of the Laplacian pyramid by which images are compared", least=1, most=8)


class GLO(FittedPrior):
    """A code for each training image, a decoder, and a mixture of Gaussians over codes, fitted after training."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.latent = sample, recipe.latent
        self.codes = nn.Embedding(recipe.pictures, recipe.latent)
        self.decoder = nets.decoder(sample.form(zoo.Image), recipe.latent, recipe)
        self.prior = Mixture(recipe.latent, recipe.parts)
        project(self, recipe)

    def decode(self, code: Tensor) -> Tensor:
        return self.decoder(code).float().sigmoid()  # (b, c, h, w)

    def forward(self, code: Tensor) -> Tensor:
        """The images of latents, which need not be those of training images: (b, latent) to (b, c, h, w) in [0, 1]."""
        return self.decode(code)

    def codes_of(self, batch: zoo.Batch) -> Tensor:
        return self.codes(batch.index)


@torch.no_grad()
def project(glo: GLO, recipe: Recipe) -> None:
    """Bring each code back into the unit ball (section 2)."""
    glo.codes.weight.div_(glo.codes.weight.norm(dim=1, keepdim=True).clamp(min=1))


def pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """What each halving of the sides loses, finest first, and what is left in the end."""
    found = []
    for _ in range(levels - 1):
        coarse = F.avg_pool2d(images, 2, ceil_mode=True)
        found.append(images - F.interpolate(coarse, size=images.shape[2:], mode="bilinear"))
        images = coarse
    return [*found, images]


def loss(glo: GLO, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """Σ_j 2^(2j) |L_j(x) − L_j(D(z))|₁, L_j level j of the Laplacian pyramid, z the image's own code (eq. 3)."""
    if len(glo.codes.weight) <= int(batch.index.max()):
        raise ValueError(f"there are {len(glo.codes.weight)} codes and more images: set pictures to their number")
    made, real = (pyramid(x, recipe.levels) for x in (glo.decode(glo.codes(batch.index)), batch.x))
    return {
        f"level_{j}": 4**j * (a - b).abs().flatten(1).sum(1).mean()
        for j, (a, b) in enumerate(zip(made, real, strict=True))
    }


def tasks(glo: GLO) -> Mapping[str, zoo.Task]:
    image, code = glo.sample.x, zoo.Vector((glo.latent,))
    return {"decode": zoo.Task(glo.decode, {"code": code}, {"image": image}), "draw": glo.draw_task()}


digits, mnist, tiny = nets.bases(Recipe)

glo = zoo.Model(
    card=zoo.Card(
        title="Generative latent optimisation",
        summary="A decoder trained with a free code for each image: a generator without encoder or discriminator.",
        paper="https://arxiv.org/abs/1707.05776",
        citation="Bojanowski et al. 2018",
    ),
    build=GLO,
    objectives=(zoo.Objective(loss, after=project),),  # a code moves for some ten steps after its image came
    tasks=tasks,
    generate=zoo.OneShot("draw"),
    finish=fit_prior,
    recipes={
        "digits": replace(digits, steps=3000, warmup=0, pictures=1500, latent=16),
        "mnist": replace(mnist, ema=0.0, steps=40000),  # a code is met once an epoch: too seldom to average
        "tiny": replace(tiny, pictures=1500, latent=4, lr=1e-2, parts=3),
    },
)
