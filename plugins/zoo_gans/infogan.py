"""InfoGAN: a GAN that finds classes and styles by itself.

Chen et al. 2016, "InfoGAN: interpretable representation learning by information maximizing generative adversarial
nets", https://arxiv.org/abs/1606.03657. Part of the noise is a code: a class c and a few continuous numbers, here
called style. A network Q must read the code off the image, so the generator has to make it show. Q has a body of its
own here, where the paper has it share the discriminator's.

What it finds need not be classes that people know. With the recipe field `invariance`, which is not in the paper, Q
also has to say the same of a real image and of the same one distorted (Ji, Henriques & Vedaldi 2019, "Invariant
information clustering", https://arxiv.org/abs/1807.06653): slant, size, place and weight are then no classes. No label
is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_gans import gan, nets

Terms = Mapping[str, Tensor]

HIDDEN = 128
"""Numbers in Q's hidden layer (appendix C.1)."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    codes: int = zoo.setting(10, "classes of the categorical code", least=2)
    style: int = zoo.setting(2, "continuous numbers of the code", least=1)
    # λ = 1 for a class, and less for continuous numbers, whose information is a differential entropy (section 6).
    information: float = zoo.setting(1.0, "λ, the weight of the information about the class", least=0)
    style_information: float = zoo.setting(0.1, "the weight of the information about the style", least=0)
    invariance: float = zoo.setting(0.0, "weight of the information that Q has of distorted images", least=0)
    onset: float = zoo.setting(0.2, "part of the run after which the information counts", above=0, most=1)


class InfoGAN(nn.Module):
    """G: z, class and style to image; D: image to logit of being real; Q: image to class and style."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        form = sample.form(zoo.Image)
        self.sample, self.latent, self.codes, self.style = sample, recipe.latent, recipe.codes, recipe.style
        narrow = max(recipe.width // 2, 1)
        self.embedding = nn.Embedding(recipe.codes, recipe.codes)
        self.generator = nets.generator(recipe.latent + recipe.codes + recipe.style, form, recipe.width)
        head = nn.Linear(nets.features(form, recipe.width), 1).apply(nets.initialise)
        self.discriminator = nn.Sequential(*nets.body(form, recipe.width), head)
        self.recogniser = nn.Sequential(
            *nets.body(form, narrow),
            nn.Linear(nets.features(form, narrow), HIDDEN, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, recipe.codes + recipe.style),
        )

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        z, style = torch.randn(count, self.latent, device=device), torch.rand(count, self.style, device=device)
        return z, torch.randint(self.codes, (count,), device=device), style

    def decode(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        """G(z, c), `style` uniform in [0, 1)."""
        inputs = torch.cat([z, self.embedding(code), 2 * style - 1], dim=1)
        return nets.unstretched(self.generator(inputs), self.sample.x)  # (b, c, h, w)

    def forward(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        """Generated images, (b, c, h, w) in [0, 1].

        z is standard normal, (b, latent); code is a class, int64 (b,); style is uniform in [0, 1), (b, style).
        """
        return self.decode(z, code, style)

    def discriminate(self, x: Tensor) -> Tensor:
        return self.discriminator(2 * x - 1)  # (b, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Q's logits of the class, (b, codes), and its guess of the style, (b, style)."""
        logits, style = self.recogniser(2 * x - 1).float().split([self.codes, self.style], dim=1)
        return logits, style


def information(
    infogan: InfoGAN, x: Tensor, code: Tensor, given: Tensor, done: Tensor, recipe: Recipe
) -> dict[str, Tensor]:
    """−λ L_I(G, Q) of images, but for the entropy of the code: −log Q(c|x) (eq. 5), the style Gaussian, deviation 1.

    λ is 0 until the onset, so that the code does not settle before there are images, and as long in growing.
    """
    logits, style = infogan.encode(x)
    part = (done / recipe.onset - 1).clamp(0, 1)
    return {
        "code": recipe.information * part * F.cross_entropy(logits, code),
        "style": recipe.style_information * part * (style - given).square().sum(1).mean() / 2,
    }


def distorted(x: Tensor) -> Tensor:
    """Each image with strokes thicker or thinner, turned by up to 20°, slanted, scaled, moved, and bent a little."""
    weight = 2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1
    thicker, thinner = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    x = x + weight.clamp(min=0) * (thicker - x) + (-0.7 * weight).clamp(min=0) * (thinner - x)
    turn, slant, wide, high, right, down = (2 * torch.rand(6, len(x), device=x.device) - 1).unbind()  # in [-1, 1)
    # An affine map from where a pixel is to where it comes from; 0.35 radians are 20°, offsets are in halves of a side.
    cos, sin, wide, high = (0.35 * turn).cos(), (0.35 * turn).sin(), 1 + 0.2 * wide, 1 + 0.2 * high
    rows = (cos * wide, 0.3 * slant - sin * high, 0.15 * right), (sin * wide, cos * high, 0.15 * down)
    maps = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (b, 2, 3)
    grid = F.affine_grid(maps, list(x.shape), align_corners=False)  # (b, h, w, 2)
    bends = 0.12 * torch.randn(len(x), 2, 5, 5, device=x.device)  # in halves of a side
    grid = grid + F.interpolate(bends, size=x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, align_corners=False)


def common(logits: Tensor, others: Tensor) -> Tensor:
    """I(c, c′) of the classes of each image and of its twin, in nats (Ji et al. 2019, eq. 3)."""
    joint = logits.softmax(1).T @ others.softmax(1) / len(logits)  # P(c, c′), eq. 2: (codes, codes)
    joint = ((joint + joint.T) / 2).clamp(min=1e-6)  # either image may come first; a logarithm of 0 is none
    return (joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log()).sum()


def recogniser_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Terms:
    """−λ L_I(G, Q), for Q (eq. 6), and what it should say of distorted images."""
    z, code, style = infogan.draw(len(batch.x), batch.x.device)
    made = infogan.decode(z, code, style).detach()
    terms = information(infogan, made, code, style, batch.progress, recipe)
    if recipe.invariance:
        twins = (infogan.encode(x)[0] for x in (batch.x, distorted(batch.x)))
        terms["invariance"] = -recipe.invariance * common(*twins)
    return terms


def generator_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Terms:
    """−log D(G(z, c)) − λ L_I(G, Q), for G (eq. 6)."""
    z, code, style = infogan.draw(len(batch.x), batch.x.device)
    made = infogan.decode(z, code, style)
    terms = information(infogan, made, code, style, batch.progress, recipe)
    adversarial = {"generator": F.softplus(-infogan.discriminate(made)).mean()}
    return adversarial | {f"g_{name}": term for name, term in terms.items()}


def mutual_information(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """log Q(c|G(z, c)) + H(c), whose mean is at most the information of image and class, log `codes` (eq. 4)."""
    z, code, given = infogan.draw(len(batch.x), batch.x.device)
    logits, _ = infogan.encode(infogan.decode(z, code, given))
    return math.log(infogan.codes) - F.cross_entropy(logits, code, reduction="none")


def finish(infogan: InfoGAN, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """Take the statistics of the generator, and those that Q has on images of the data."""
    kept = list(islice(batches, nets.STATISTICS))
    nets.take_statistics(infogan.generator, lambda batch: nets.fake(infogan, batch), kept)
    nets.take_statistics(infogan.recogniser, lambda batch: infogan.encode(batch.x), kept)


def tasks(infogan: InfoGAN) -> Mapping[str, zoo.Task]:
    image, z, code = infogan.sample.x, zoo.Noise((infogan.latent,)), zoo.Label(infogan.codes)
    style = zoo.Noise((infogan.style,), "uniform")
    read = {"logits": zoo.Vector((infogan.codes,)), "style": zoo.Vector((infogan.style,))}
    return {
        "encode": zoo.Task(infogan.encode, {"image": image}, read),
        "decode": zoo.Task(infogan.decode, {"z": z, "code": code, "style": style}, {"image": image}),
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
        zoo.Objective(gan.discriminator_loss, params=("discriminator",), optimiser=gan.adam),
        zoo.Objective(recogniser_loss, params=("recogniser",), optimiser=gan.generator_adam),
        zoo.Objective(generator_loss, params=("generator", "embedding"), optimiser=gan.generator_adam),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=finish,
    measures=(
        zoo.Measure("mutual_information", mutual_information, "nats", "of class and sample, bound by Q", "higher"),
    ),
    recipes={
        "digits": Recipe(
            data="digits", precision="fp32", latent=32, width=64, steps=6000, batch=100, decay="linear", ema=0.998
        ),
        "mnist": Recipe(
            data="mnist", width=48, invariance=1.0, onset=0.3, steps=8000, batch=100, decay="linear", ema=0.999
        ),
        "tiny": Recipe(data="digits", precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
