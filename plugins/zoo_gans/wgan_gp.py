"""Wasserstein GAN with a gradient penalty (WGAN-GP).

Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville 2017, "Improved training of Wasserstein GANs",
https://arxiv.org/abs/1704.00028 (algorithm 1). Instead of weight clipping, a penalty keeps the norm of the critic's
gradient near 1 between real and generated images. The penalty applies to each image by itself, so the critic has no
BatchNorm (section 4). The critic takes 2 steps for each step of G. The paper has 5; with 2, G takes more steps in the
same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import zoo
from zoo_gans import nets, wgan
from zoo_gans.nets import GAN


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    # λ = 10 in algorithm 1 and in all of the paper's experiments.
    penalty: float = zoo.setting(10.0, "λ, the weight of the gradient penalty", ge=0)


def build(recipe: Recipe, sample: zoo.Sample) -> GAN:
    form = sample.form(zoo.Image)
    body, head = nets.body(form, recipe.width, "none"), nn.Linear(nets.features(form, recipe.width), 1)
    generator = nets.generator(recipe.latent, form, recipe.width)
    return GAN(sample, recipe.latent, generator, nn.Sequential(*body, head))


def critic_loss(gan: GAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """f(x̃) − f(x) + λ (‖∇f(x̂)‖ − 1)² (eq. 3), with x̃ = G(z) and x̂ uniform on the line from x to x̃."""
    x_tilde = nets.fake(gan, batch).detach()  # (b, c, h, w)
    real, fake = gan.discriminate(batch.x), gan.discriminate(x_tilde)
    eps = torch.rand(len(x_tilde), 1, 1, 1, device=x_tilde.device)  # one per image
    x_hat = (eps * batch.x + (1 - eps) * x_tilde).requires_grad_()
    # ∇f(x̂), (b, c, h, w): the gradient of the batch's sum is each image's own, since no layer mixes images.
    (grad,) = torch.autograd.grad(gan.discriminate(x_hat).sum(), x_hat, create_graph=True)
    penalty = (grad.flatten(1).norm(dim=1) / 2 - 1).square().mean()  # / 2: the critic's input is 2x − 1
    return {"distance": fake.float().mean() - real.float().mean(), "penalty": recipe.penalty * penalty}


critic, generator = wgan.objectives
adam = zoo.AdamW(betas=(0.0, 0.9))  # algorithm 1

wgan_gp = dataclasses.replace(
    wgan.wgan,
    card=zoo.Card(
        title="Wasserstein GAN with gradient penalty",
        summary="A GAN whose critic is held to a slope of 1: training that hardly depends on the architecture.",
        paper="https://arxiv.org/abs/1704.00028",
        citation="Gulrajani et al. 2017",
    ),
    build=build,
    objectives=(
        dataclasses.replace(critic, loss=critic_loss, optimiser=adam, after=None),
        dataclasses.replace(generator, optimiser=adam, every=2),
    ),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"), precision="fp32", latent=32, steps=6000, batch=100, lr=5e-4, ema=0.998
        ),
        "mnist": Recipe(data=zoo.use("mnist"), width=48, steps=14000, batch=64, lr=5e-4, decay="linear", ema=0.999),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
