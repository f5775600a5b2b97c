"""Conditional GAN: a GAN conditioned on the class label.

Mirza & Osindero 2014, "Conditional generative adversarial nets", https://arxiv.org/abs/1411.1784. As in the paper, the
generator's input is the noise concatenated with the label's embedding. The discriminator is a projection discriminator
instead (Miyato & Koyama 2018, "cGANs with projection discriminator", https://arxiv.org/abs/1802.05637).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_gans import gan, nets
from zoo_gans.nets import Recipe


class CGAN(nn.Module):
    """G: (z, label) → image; D: (image, label) → the logit of a real pair."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        form = sample.form(zoo.Image)
        if sample.classes < 2:
            raise ValueError(f"it needs labels, and this data has {sample.classes} classes")
        self.sample, self.latent = sample, recipe.latent
        size = nets.features(form, recipe.width)
        self.embedding = nn.Embedding(sample.classes, sample.classes)
        self.generator = nets.generator(recipe.latent + sample.classes, form, recipe.width)
        self.discriminator = nn.ModuleDict(
            {
                "body": nn.Sequential(*nets.body(form, recipe.width)),
                "head": nn.Linear(size, 1).apply(nets.initialise),
                "embedding": nn.Embedding(sample.classes, size).apply(nets.initialise),
            }
        )

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        z = torch.randn(count, self.latent, device=device)
        return z, torch.randint(self.sample.classes, (count,), device=device)

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        inputs = torch.cat([z, self.embedding(label)], dim=1)  # (b, latent + classes)
        return nets.unstretched(self.generator(inputs), self.sample.x)  # (b, c, h, w)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Generate images, (b, c, h, w) in [0, 1], from standard normal noise, (b, latent), and labels, int64 (b,)."""
        return self.decode(z, label)

    def discriminate(self, x: Tensor, label: Tensor) -> Tensor:
        """ψ(φ(x)) + vᵧ·φ(x), (b,) (Miyato & Koyama 2018, eq. 3)."""
        features = self.discriminator["body"](2 * x - 1)  # φ(x): (b, size)
        projected = (self.discriminator["embedding"](label) * features).sum(1)
        return self.discriminator["head"](features)[:, 0] + projected


def discriminator_loss(cgan: CGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(x|y) − log(1 − D(G(z|y)|y)) (eq. 2)."""
    z, label = cgan.draw(len(batch.x), batch.x.device)
    real = cgan.discriminate(batch.x, batch.labels)
    fake = cgan.discriminate(cgan.decode(z, label).detach(), label)
    return {"d_real": F.softplus(-real).mean(), "d_fake": F.softplus(fake).mean()}


def generator_loss(cgan: CGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(G(z|y)|y), the non-saturating loss."""
    z, label = cgan.draw(len(batch.x), batch.x.device)
    return {"generator": F.softplus(-cgan.discriminate(cgan.decode(z, label), label)).mean()}


def tasks(cgan: CGAN) -> Mapping[str, zoo.Task]:
    z, label = zoo.Noise((cgan.latent,)), zoo.Label(cgan.sample.classes)
    return {"decode": zoo.Task(cgan.decode, {"z": z, "label": label}, {"image": cgan.sample.x})}


cgan = zoo.Model(
    card=zoo.Card(
        title="Conditional GAN",
        summary="A convolutional GAN with class labels: samples of a chosen class.",
        paper="https://arxiv.org/abs/1411.1784",
        citation="Mirza & Osindero 2014",
    ),
    build=CGAN,
    objectives=(
        zoo.Objective(discriminator_loss, params=("discriminator",), optimiser=gan.adam),
        zoo.Objective(generator_loss, params=("generator", "embedding"), lr="generator_lr", optimiser=gan.adam),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=nets.finish,
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"), precision="fp32", latent=32, steps=6000, batch=100, decay="linear", ema=0.998
        ),
        "mnist": Recipe(data=zoo.use("mnist"), width=48, steps=10000, batch=64, decay="linear", ema=0.999),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
