"""Deep convolutional GAN.

Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep convolutional generative
adversarial networks", https://arxiv.org/abs/1511.06434, with the non-saturating loss of Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    lr: float = zoo.setting(2e-4, "peak learning rate", above=0)
    latent: int = zoo.setting(64, "dimensions of z", least=1)
    width: int = zoo.setting(32, "channels of the largest feature maps; the next have twice as many", least=1)


class DCGAN(nn.Module):
    """A generator G: z to picture, and a discriminator D: picture to logit of being real."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        if not isinstance(sample.x, zoo.Image):
            raise ValueError(f"dcgan models pictures, and this data is {sample.x.kind}")
        self.sample, self.latent = sample, recipe.latent
        channels, height, width = sample.x.shape
        first = recipe.width
        grid = (2 * first, -(-height // 4), -(-width // 4))
        cells = grid[0] * grid[1] * grid[2]
        self.generator = nn.Sequential(
            nn.Linear(recipe.latent, cells, bias=False),
            nn.Unflatten(1, grid),
            nn.BatchNorm2d(2 * first),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * first, first, 4, 2, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.ConvTranspose2d(first, channels, 4, 2, 1),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(channels, first, 3, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(first, 2 * first, 3, 2, 1, bias=False),
            nn.BatchNorm2d(2 * first),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(cells, 1),
        )
        self.apply(_initialise)

    def decode(self, z: Tensor) -> Tensor:
        """G(z), from tanh's [-1, 1] to [0, 1]."""
        _, height, width = self.sample.x.shape
        return (self.generator(z)[:, :, :height, :width] + 1) / 2  # (b, c, h, w)

    def discriminate(self, x: Tensor) -> Tensor:
        return self.discriminator(2 * x - 1)  # (b, 1)


def _initialise(layer: nn.Module) -> None:
    """Weights from N(0, 0.02²), section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def _noise(gan: DCGAN, batch: zoo.Batch) -> Tensor:
    return torch.randn(len(batch.x), gan.latent, device=batch.x.device)


def discriminator_loss(gan: DCGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(x) − log(1 − D(G(z))) (Goodfellow et al. 2014, eq. 1)."""
    fake = gan.decode(_noise(gan, batch))
    real, faked = F.softplus(-gan.discriminate(batch.x)), F.softplus(gan.discriminate(fake.detach()))
    return {"d_real": real.mean(), "d_fake": faked.mean()}


def generator_loss(gan: DCGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(G(z)), which does not saturate (Goodfellow et al. 2014, section 3)."""
    return {"generator": F.softplus(-gan.discriminate(gan.decode(_noise(gan, batch)))).mean()}


def tasks(gan: DCGAN) -> Mapping[str, zoo.Task]:
    return {"decode": zoo.Task(gan.decode, {"z": zoo.Noise((gan.latent,))}, {"image": gan.sample.x})}


adam = zoo.AdamW(betas=(0.5, 0.999))  # section 4

dcgan = zoo.Model(
    card=zoo.Card(
        title="Deep convolutional GAN",
        summary="A convolutional generator trained against a discriminator: sharp samples from noise.",
        paper="https://arxiv.org/abs/1511.06434",
        citation="Radford, Metz & Chintala 2016",
    ),
    build=DCGAN,
    objectives=(
        zoo.Objective(discriminator_loss, params=("discriminator",), optimiser=adam),
        zoo.Objective(generator_loss, params=("generator",), optimiser=adam),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    recipes={
        "digits": Recipe(data="digits", precision="fp32", latent=32, steps=4000, batch=100, lr=5e-4, decay="linear"),
        "mnist": Recipe(data="mnist", steps=6000, batch=128, decay="linear"),
        "tiny": Recipe(data="digits", precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
