"""Wasserstein GAN with a gradient penalty.

Gulrajani et al. 2017, "Improved training of Wasserstein GANs", https://arxiv.org/abs/1704.00028 (algorithm 1): the
critic's slope is held near 1 between real and generated images, in place of clipped weights. The penalty is of each
image by itself, so the critic has no BatchNorm (section 4). It takes 2 steps for one of G, where the paper has 5, so
that G takes more of them in the same time.
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
    # λ of algorithm 1, which the paper uses throughout.
    penalty: float = zoo.setting(10.0, "λ, the weight of the gradient penalty", least=0)


def build(recipe: Recipe, sample: zoo.Sample) -> GAN:
    form = sample.form(zoo.Image)
    body, head = nets.body(form, recipe.width, "none"), nn.Linear(nets.features(form, recipe.width), 1)
    generator = nets.generator(recipe.latent, form, recipe.width)
    return GAN(sample, recipe.latent, generator, nn.Sequential(*body, head))


def critic_loss(gan: GAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """f(G(z)) − f(x) + λ (‖∇f(x̂)‖ − 1)², x̂ at random between x and G(z) (eq. 3)."""
    faked = nets.fake(gan, batch).detach()
    real, made = gan.discriminate(batch.x), gan.discriminate(faked)
    eps = torch.rand(len(faked), 1, 1, 1, device=faked.device)  # one an image
    x_hat = (eps * batch.x + (1 - eps) * faked).requires_grad_()
    # ∇f(x̂), (b, c, h, w): the sum over the batch has each image's own gradient, since no layer mixes images.
    (grad,) = torch.autograd.grad(gan.discriminate(x_hat).sum(), x_hat, create_graph=True)
    penalty = (grad.flatten(1).norm(dim=1) / 2 - 1).square().mean()  # f sees 2x − 1, twice as steep in x
    return {"distance": made.float().mean() - real.float().mean(), "penalty": recipe.penalty * penalty}


critic, generator = wgan.wgan.objectives
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
        dataclasses.replace(generator, optimiser=dataclasses.replace(adam, lr="generator_lr"), every=2),
    ),
    recipes={
        "digits": Recipe(data="digits", precision="fp32", latent=32, steps=6000, batch=100, lr=5e-4, ema=0.998),
        "mnist": Recipe(data="mnist", width=48, steps=14000, batch=64, lr=5e-4, decay="linear", ema=0.999),
        "tiny": Recipe(data="digits", precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
