"""InfoGAN: a GAN that learns classes and styles without labels.

Chen, Duan, Houthooft, Schulman, Sutskever & Abbeel 2016, "InfoGAN: interpretable representation learning by information
maximizing generative adversarial nets", https://arxiv.org/abs/1606.03657. Part of the generator's input is a code c: a
categorical class and a few continuous values, here called style. A network Q predicts the code from the image, so the
generator has to make the code visible. Q has its own body; in the paper it shares the discriminator's.

The learnt classes need not be the data's classes. The recipe field `invariance`, which is not in the paper, adds a
loss: Q has to assign the same class to a real image and to a distorted copy (Ji, Henriques & Vedaldi 2019, "Invariant
information clustering", https://arxiv.org/abs/1807.06653). Then slant, size, position and stroke width cannot become
classes. No label is used.
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
"""Units of Q's hidden layer (appendix C.1)."""


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    codes: int = zoo.setting(10, "classes of the categorical code", ge=2)
    style: int = zoo.setting(2, "continuous dimensions of the code", ge=1)
    # λ = 1 for the class, and less for continuous codes, since their entropy is a differential entropy (section 6).
    information: float = zoo.setting(1.0, "λ, the weight of the information about the class", ge=0)
    style_information: float = zoo.setting(0.1, "the weight of the information about the style", ge=0)
    invariance: float = zoo.setting(0.0, "weight of the information that Q has of distorted images", ge=0)
    onset: float = zoo.setting(0.2, "fraction of the run after which the information counts", gt=0, le=1)


class InfoGAN(nn.Module):
    """G: (z, class, style) → image; D: image → the logit of being real; Q: image → (class, style)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        form = sample.form(zoo.Image)
        self.sample, self.latent, self.codes, self.style = sample, recipe.latent, recipe.codes, recipe.style
        narrow = max(recipe.width // 2, 1)
        self.embedding = nn.Embedding(recipe.codes, recipe.codes)
        self.generator = nets.generator(recipe.latent + recipe.codes + recipe.style, form, recipe.width)
        head = nn.Linear(nets.features(form, recipe.width), 1).apply(nets.initialise)
        self.discriminator = nn.Sequential(*nets.body(form, recipe.width), head)
        self.q_network = nn.Sequential(
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
        """G(z, c) of a class `code` and a `style` in [0, 1)."""
        inputs = torch.cat([z, self.embedding(code), 2 * style - 1], dim=1)  # (b, latent + codes + style)
        return nets.unstretched(self.generator(inputs), self.sample.x)  # (b, c, h, w)

    def forward(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        """Generate images, (b, c, h, w) in [0, 1].

        z is standard normal noise, (b, latent); code is a class, int64 (b,); style is uniform in [0, 1), (b, style).
        """
        return self.decode(z, code, style)

    def discriminate(self, x: Tensor) -> Tensor:
        return self.discriminator(2 * x - 1)  # (b, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Q(c|x): logits of the class, (b, codes), and the mean of the style, (b, style)."""
        logits, style = self.q_network(2 * x - 1).float().split([self.codes, self.style], dim=1)
        return logits, style


def information(
    infogan: InfoGAN, x: Tensor, code: Tensor, given: Tensor, done: Tensor, recipe: Recipe
) -> dict[str, Tensor]:
    """−λ L_I(G, Q) up to the constant H(c): −λ log Q(c|x) (eq. 5), with Q(style|x) Gaussian of unit variance.

    λ is 0 until the onset, and grows linearly for as long again, so that the code is not fixed before G makes images.
    """
    logits, style = infogan.encode(x)
    warmup = (done / recipe.onset - 1).clamp(0, 1)
    return {
        "code": recipe.information * warmup * F.cross_entropy(logits, code),
        "style": recipe.style_information * warmup * (style - given).square().sum(1).mean() / 2,
    }


def distorted(x: Tensor) -> Tensor:
    """Distort each image at random: stroke width, rotation of up to 20°, shear, scale, shift and a small warp."""
    weight = 2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1
    thicker, thinner = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    x = x + weight.clamp(min=0) * (thicker - x) + (-0.7 * weight).clamp(min=0) * (thinner - x)
    turn, slant, wide, high, right, down = (2 * torch.rand(6, len(x), device=x.device) - 1).unbind()  # in [-1, 1)
    # The affine map from output to source coordinates; 0.35 radians = 20°, shifts are in units of half a side.
    cos, sin, wide, high = (0.35 * turn).cos(), (0.35 * turn).sin(), 1 + 0.2 * wide, 1 + 0.2 * high
    rows = (cos * wide, 0.3 * slant - sin * high, 0.15 * right), (sin * wide, cos * high, 0.15 * down)
    maps = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (b, 2, 3)
    grid = F.affine_grid(maps, list(x.shape), align_corners=False)  # (b, h, w, 2)
    bends = 0.12 * torch.randn(len(x), 2, 5, 5, device=x.device)  # in units of half a side
    grid = grid + F.interpolate(bends, size=x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, align_corners=False)


def paired_information(logits: Tensor, others: Tensor) -> Tensor:
    """I(c, c′), the mutual information of the classes of each image and its copy, in nats (Ji et al. 2019, eq. 3)."""
    joint = logits.softmax(1).T @ others.softmax(1) / len(logits)  # P(c, c′), eq. 2: (codes, codes)
    joint = ((joint + joint.T) / 2).clamp(min=1e-6)  # symmetric; clamped for the logarithm
    return (joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log()).sum()


def q_network_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Terms:
    """−λ L_I(G, Q) for Q (eq. 6), and the invariance term on real images."""
    z, code, style = infogan.draw(len(batch.x), batch.x.device)
    fake = infogan.decode(z, code, style).detach()
    terms = information(infogan, fake, code, style, batch.progress, recipe)
    if recipe.invariance:
        logits = (infogan.encode(x)[0] for x in (batch.x, distorted(batch.x)))
        terms["invariance"] = -recipe.invariance * paired_information(*logits)
    return terms


def generator_loss(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Terms:
    """−log D(G(z, c)) − λ L_I(G, Q) for G (eq. 6)."""
    z, code, style = infogan.draw(len(batch.x), batch.x.device)
    fake = infogan.decode(z, code, style)
    terms = information(infogan, fake, code, style, batch.progress, recipe)
    adversarial = {"generator": F.softplus(-infogan.discriminate(fake)).mean()}
    return adversarial | {f"g_{name}": term for name, term in terms.items()}


def mutual_information(infogan: InfoGAN, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """log Q(c|G(z, c)) + H(c), (b,): its mean is a lower bound of I(c; G(z, c)) ≤ log `codes` (eq. 4)."""
    z, code, style = infogan.draw(len(batch.x), batch.x.device)
    logits, _ = infogan.encode(infogan.decode(z, code, style))
    return math.log(infogan.codes) - F.cross_entropy(logits, code, reduction="none")


def finish(infogan: InfoGAN, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """Recompute the BatchNorm statistics of the generator, and those of Q on real images."""
    batches = list(islice(batches, nets.STATISTICS))
    nets.take_statistics(infogan.generator, lambda batch: nets.fake(infogan, batch), batches)
    nets.take_statistics(infogan.q_network, lambda batch: infogan.encode(batch.x), batches)


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
        summary="A GAN with a code that it must make visible: it finds classes and styles without labels.",
        paper="https://arxiv.org/abs/1606.03657",
        citation="Chen et al. 2016",
    ),
    build=InfoGAN,
    objectives=(
        zoo.Objective(gan.discriminator_loss, params=("discriminator",), optimiser=gan.adam),
        zoo.Objective(q_network_loss, params=("q_network",), lr="generator_lr", optimiser=gan.adam),
        zoo.Objective(generator_loss, params=("generator", "embedding"), lr="generator_lr", optimiser=gan.adam),
    ),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    finish=finish,
    metrics=(
        zoo.Metric("mutual_information", mutual_information, "nats", "of class and sample, bound by Q", "higher"),
    ),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            latent=32,
            width=64,
            steps=6000,
            batch=100,
            decay="linear",
            ema=0.998,
        ),
        "mnist": Recipe(
            data=zoo.use("mnist"), width=48, invariance=1.0, onset=0.3, steps=8000, batch=100, decay="linear", ema=0.999
        ),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", latent=8, width=4, steps=20, batch=32),
    },
)
