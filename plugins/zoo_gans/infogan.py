"""InfoGAN: a GAN that finds classes and styles by itself.

Chen et al. 2016, "InfoGAN: interpretable representation learning by information maximizing generative adversarial
nets", https://arxiv.org/abs/1606.03657. Part of the noise is a code: a class c and a few continuous numbers, here
called style. A network Q must read the code off the picture, so the generator has to make it show. The discriminator,
whose body Q shares, has spectral norm (Miyato et al. 2018) where the paper has BatchNorm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import zoo
from zoo_gans import gan, nets

HIDDEN = 128
"""Numbers in Q's hidden layer (appendix C.1)."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    codes: int = zoo.setting(10, "classes of the categorical code", least=2)
    style: int = zoo.setting(2, "continuous numbers of the code", least=1)
    information: float = zoo.setting(1.0, "λ, the weight of the information about the class", least=0)
    style_information: float = zoo.setting(0.1, "the weight of the information about the style", least=0)
    generator_lr: float = zoo.setting(1e-3, "peak learning rate of G", above=0)


class InfoGAN(nn.Module):
    """G: z, class and style to picture; D: picture to logit of being real; Q: picture to class and style."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        form = nets.picture(sample)
        self.sample, self.latent, self.codes, self.style = sample, recipe.latent, recipe.codes, recipe.style
        size = nets.features(form, recipe.width)
        self.embedding = nn.Embedding(recipe.codes, recipe.latent)
        self.generator = nets.generator(2 * recipe.latent + recipe.style, form, recipe.width)
        self.body = nn.Sequential(*nets.body(form, recipe.width, "spectral"))
        self.head = spectral_norm(nn.Linear(size, 1))
        self.recogniser = nn.Sequential(
            nn.Linear(size, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, recipe.codes + recipe.style)
        )

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        z, style = torch.randn(count, self.latent, device=device), torch.rand(count, self.style, device=device)
        return z, torch.randint(self.codes, (count,), device=device), style

    def decode(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        """G(z, c), `style` uniform in [0, 1)."""
        inputs = torch.cat([z, self.embedding(code), 2 * style - 1], dim=1)
        return nets.unstretched(self.generator(inputs), self.sample.x)  # (b, c, h, w)

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """D(x), (b, 1), and Q's logits of the class, (b, codes), and guess of the style, (b, style)."""
        features = self.body(2 * x - 1)
        logits, style = self.recogniser(features).float().split([self.codes, self.style], dim=1)
        return self.head(features), logits, style

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, logits, style = self.judge(x)
        return logits, style


def information(logits: Tensor, style: Tensor, code: Tensor, given: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """−λ L_I, but for the entropy of the code: −log Q(c|x) (eq. 5), the style Gaussian with deviation 1 in [0, 1]."""
    return {
        "code": recipe.information * F.cross_entropy(logits, code),
        "style": recipe.style_information * (style - given).square().sum(1).mean() / 2,
    }


def discriminator_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(x) − log(1 − D(G(z, c))) − λ L_I(G, Q), for D and Q (eq. 6)."""
    z, code, given = infogan.draw(len(batch.x), batch.x.device)
    real, _, _ = infogan.judge(batch.x)
    faked, logits, style = infogan.judge(infogan.decode(z, code, given).detach())
    adversarial = {"d_real": F.softplus(-real).mean(), "d_fake": F.softplus(faked).mean()}
    return adversarial | information(logits, style, code, given, recipe)


def generator_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """−log D(G(z, c)) − λ L_I(G, Q), for G (eq. 6)."""
    z, code, given = infogan.draw(len(batch.x), batch.x.device)
    faked, logits, style = infogan.judge(infogan.decode(z, code, given))
    terms = information(logits, style, code, given, recipe)
    return {"generator": F.softplus(-faked).mean()} | {f"g_{name}": term for name, term in terms.items()}


def mutual_information(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """log Q(c|G(z, c)) + H(c), whose mean is at most the information of picture and class, log `codes` (eq. 4)."""
    z, code, given = infogan.draw(len(batch.x), batch.x.device)
    logits, _ = infogan.encode(infogan.decode(z, code, given))
    return math.log(infogan.codes) - F.cross_entropy(logits, code, reduction="none")


def tasks(infogan: InfoGAN) -> Mapping[str, zoo.Task]:
    z, style = zoo.Noise((infogan.latent,)), zoo.Noise((infogan.style,), "uniform")
    inputs, image = {"z": z, "code": zoo.Label(infogan.codes), "style": style}, infogan.sample.x
    read = {"code": zoo.Vector((infogan.codes,)), "style": zoo.Vector((infogan.style,))}
    return {
        "encode": zoo.Task(infogan.encode, {"image": image}, read),
        "decode": zoo.Task(infogan.decode, inputs, {"image": image}),
    }


infogan = zoo.Model(
    card=zoo.Card(
        title="InfoGAN",
        summary="A GAN with a code that it must make visible: it finds classes and styles without being told any.",
        paper="https://arxiv.org/abs/1606.03657",
        citation="Chen et al. 2016",
    ),
    build=InfoGAN,
    objectives=(
        zoo.Objective(discriminator_loss, params=("body", "head", "recogniser"), optimiser=gan.adam),
        zoo.Objective(
            generator_loss,
            params=("generator", "embedding"),
            optimiser=zoo.AdamW(lr="generator_lr", betas=gan.adam.betas),
        ),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=nets.finish,
    measures=(
        zoo.Measure("mutual_information", mutual_information, "nats", "of class and sample, bound by Q", "higher"),
    ),
    recipes={
        "digits": Recipe(
            data="digits", precision="fp32", latent=32, steps=6000, batch=100, lr=5e-4, decay="linear", ema=0.998
        ),
        "mnist": Recipe(data="mnist", width=64, steps=18000, batch=64, decay="linear", ema=0.999),
        "tiny": Recipe(data="digits", precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
