"""Bidirectional GAN: a GAN with an encoder.

Donahue, Krähenbühl & Darrell 2017, "Adversarial feature learning", https://arxiv.org/abs/1605.09782, and Dumoulin et
al. 2017, "Adversarially learned inference", https://arxiv.org/abs/1606.00704. The discriminator distinguishes pairs
(x, E(x)) from pairs (G(z), z). At the optimum E and G are inverse to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders.reconstruction import reconstruction_error, squared_error
from zoo_gans import gan, nets

HIDDEN = 256
"""Units of each hidden layer of the discriminator."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    latent: int = zoo.setting(32, "dimensions of z", ge=1)
    cycle: float = zoo.setting(0.0, "weight of ‖x − G(E(x))‖² (ALICE, Li et al. 2017, arXiv:1709.01215)", ge=0)


class BiGAN(nn.Module):
    """E: image → z; G: z → image; D: (image, z) → the logit of the pair being (x, E(x))."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        form = sample.form(zoo.Image)
        self.sample, self.latent = sample, recipe.latent
        size = nets.features(form, recipe.width)
        self.encoder = nn.Sequential(*nets.body(form, recipe.width), nn.Linear(size, recipe.latent))
        self.generator = nets.generator(recipe.latent, form, recipe.width)
        self.discriminator = nn.ModuleDict(
            {
                "x": nn.Sequential(*nets.body(form, recipe.width), nn.Linear(size, HIDDEN)),
                "z": nn.Sequential(nn.Linear(recipe.latent, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, HIDDEN)),
                "head": nn.Sequential(
                    nn.LeakyReLU(0.2), nn.Linear(2 * HIDDEN, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, 1)
                ),
            }
        )

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, ...]:
        return (torch.randn(count, self.latent, device=device),)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(2 * x - 1)  # (b, latent)

    def decode(self, z: Tensor) -> Tensor:
        return nets.unstretched(self.generator(z), self.sample.x)  # (b, c, h, w)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct, G(E(x)): float32 (b, c, h, w) in [0, 1] → the same. ``decode(z)`` is the generator."""
        return self.reconstruct(x)

    def score(self, x: Tensor) -> Tensor:
        """‖x − G(E(x))‖₁, (b,): the term of Zenati et al. 2018 (arXiv:1802.06222, eq. 4) without the discriminator."""
        return (x - self.reconstruct(x)).abs().flatten(1).sum(1)

    def discriminate(self, x: Tensor, z: Tensor) -> Tensor:
        features = self.discriminator["x"](2 * x - 1), self.discriminator["z"](z)  # each (b, HIDDEN)
        return self.discriminator["head"](torch.cat(features, dim=1))  # (b, 1)


def _pairs(bigan: BiGAN, batch: zoo.Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(x, E(x)) and (G(z), z)."""
    (z,) = bigan.draw(len(batch.x), batch.x.device)
    return (batch.x, bigan.encode(batch.x)), (bigan.decode(z), z)


def discriminator_loss(bigan: BiGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(x, E(x)) − log(1 − D(G(z), z)) (Donahue et al., eq. 3)."""
    real, fake = (bigan.discriminate(*pair) for pair in _pairs(bigan, batch))
    return {"d_encoded": F.softplus(-real).mean(), "d_decoded": F.softplus(fake).mean()}


def inverse_loss(bigan: BiGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log(1 − D(x, E(x))) − log D(G(z), z) for E and G: swapped labels, non-saturating (section 3.4)."""
    pairs = _pairs(bigan, batch)
    real, fake = (bigan.discriminate(*pair) for pair in pairs)
    terms = {"encoder": F.softplus(real).mean(), "generator": F.softplus(-fake).mean()}
    if recipe.cycle:
        (_, z), _ = pairs  # E(x)
        error = squared_error(bigan.decode(z), batch.x)
        terms["cycle"] = recipe.cycle * error.mean()
    return terms


def finish(bigan: BiGAN, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """Recompute the BatchNorm statistics of the encoder, then of the generator."""
    batches = list(islice(batches, nets.STATISTICS))
    nets.take_statistics(bigan.encoder, lambda batch: bigan.encode(batch.x), batches)
    nets.take_statistics(bigan.generator, lambda batch: nets.fake(bigan, batch), batches)


def tasks(bigan: BiGAN) -> Mapping[str, zoo.Task]:
    image, size = bigan.sample.x, (bigan.latent,)
    return {
        "encode": zoo.Task(bigan.encode, {"image": image}, {"z": zoo.Vector(size)}),
        "decode": zoo.Task(bigan.decode, {"z": zoo.Noise(size)}, {"image": image}),
        "reconstruct": zoo.Task(bigan.reconstruct, {"image": image}, {"reconstruction": image}),
        "score": zoo.Task(bigan.score, {"image": image}, {"score": zoo.Score()}),
    }


bigan = zoo.Model(
    card=zoo.Card(
        title="Bidirectional GAN",
        summary="A GAN with an encoder that is trained with it: latents of images, and reconstructions.",
        paper="https://arxiv.org/abs/1605.09782",
        citation="Donahue, Krähenbühl & Darrell 2017",
    ),
    build=BiGAN,
    objectives=(
        zoo.Objective(discriminator_loss, params=("discriminator",), optimiser=gan.adam),
        zoo.Objective(inverse_loss, params=("generator", "encoder"), lr="generator_lr", optimiser=gan.adam),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=finish,
    metrics=(reconstruction_error,),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            latent=16,
            width=64,
            steps=6000,
            batch=100,
            decay="linear",
            ema=0.998,
        ),
        "mnist": Recipe(data=zoo.use("mnist"), width=40, steps=12000, batch=64, decay="linear", ema=0.999),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
