"""The GANs' shared parts: DCGAN's networks, the generator-discriminator pair, and its tasks.

The networks are those of Radford, Metz & Chintala 2016 (https://arxiv.org/abs/1511.06434), with three stages that
double or halve the image's sides. The networks' images are in [-1, 1] (tanh); a module's `decode` rescales them to
[0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import zoo

STATISTICS = 64
"""Batches on which the released weights' BatchNorm statistics are computed."""


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    # Radford et al. use 2e-4 for both (section 4). G has a larger rate here, as in InfoGAN (1e-3, appendix C).
    lr: float = zoo.setting(2e-4, "peak learning rate of D", gt=0)
    generator_lr: float = zoo.setting(5e-4, "peak learning rate of G", gt=0)
    latent: int = zoo.setting(64, "dimensions of z", ge=1)
    width: int = zoo.setting(32, "channels of the largest feature maps; the next have twice as many", ge=1)


class GAN(nn.Module):
    """A generator G: z → image, and a discriminator D: image → a logit or an unbounded score."""

    def __init__(self, sample: zoo.Sample, latent: int, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.sample, self.latent = sample, latent
        self.generator, self.discriminator = generator, discriminator

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, ...]:
        """Sample the inputs of `decode`."""
        return (torch.randn(count, self.latent, device=device),)

    def decode(self, z: Tensor) -> Tensor:
        return unstretched(self.generator(z), self.sample.x)  # (b, c, h, w)

    def forward(self, z: Tensor) -> Tensor:
        """Generate images, (b, c, h, w) in [0, 1], from standard normal noise, (b, latent)."""
        return self.decode(z)

    def discriminate(self, x: Tensor) -> Tensor:
        return self.discriminator(2 * x - 1)  # (b, 1)


def fake(gan: Any, batch: zoo.Batch) -> Tensor:
    """Generate as many images as the batch has, G(z)."""
    return gan.decode(*gan.draw(len(batch.x), batch.x.device))


def unstretched(x: Tensor, form: Any) -> Tensor:
    """Crop and rescale a generator's output, in [-1, 1] and up to 7 pixels too large, to images in [0, 1]."""
    return (x[:, :, : form.height, : form.width] + 1) / 2


def grid(form: zoo.Image, width: int) -> tuple[int, int, int]:
    """Channels, height and width of the smallest feature maps: three stages halve or double the sides."""
    return 4 * width, -(-form.height // 8), -(-form.width // 8)


def generator(inputs: int, form: zoo.Image, width: int) -> nn.Sequential:
    """G: (b, inputs) → images in [-1, 1]."""
    channels, height, side = grid(form, width)
    layers: list[nn.Module] = [
        nn.Linear(inputs, channels * height * side, bias=False),
        nn.Unflatten(1, (channels, height, side)),  # → (b, 4 width, h / 8, w / 8)
    ]
    for stage in (4 * width, 2 * width):
        layers += [nn.BatchNorm2d(stage), nn.ReLU(), nn.ConvTranspose2d(stage, stage // 2, 4, 2, 1, bias=False)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, form.channels, 4, 2, 1), nn.Tanh()]
    return nn.Sequential(*layers).apply(initialise)


def body(form: zoo.Image, width: int, norm: Literal["batch", "spectral", "none"] = "batch") -> tuple[nn.Module, ...]:
    """The layers of D but the last: images in [-1, 1] → (b, :func:`features`), with normalisation `norm`.

    The third convolution's receptive field covers a whole small image. With two convolutions, generated digits had
    correct strokes but wrong shapes.
    """
    layers: list[nn.Module] = []
    inputs = form.channels
    for outputs in (width, 2 * width, 4 * width):
        normed = norm == "batch" and bool(layers)  # not in the first layer (section 3)
        layer = nn.Conv2d(inputs, outputs, 5, 2, 2, bias=not normed)
        if norm == "spectral":
            spectral_norm(layer)  # invariant to the scale of the initial weights
        else:
            initialise(layer)
        layers += [layer, *([nn.BatchNorm2d(outputs).apply(initialise)] if normed else []), nn.LeakyReLU(0.2)]
        inputs = outputs
    return (*layers, nn.Flatten())


def features(form: zoo.Image, width: int) -> int:
    """The number of features that :func:`body` outputs."""
    return math.prod(grid(form, width))


def initialise(layer: nn.Module) -> None:
    """Initialise weights from N(0, 0.02²) (section 4)."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def take_statistics(net: nn.Module, call: Callable[[Any], object], batches: Iterable[zoo.Batch]) -> None:
    """Recompute the running statistics of each BatchNorm as the mean over at most 64 batches.

    A release has EMA weights, which the running statistics of training do not match ("precise BatchNorm", Wu & Johnson
    2021, section 3, https://arxiv.org/abs/2105.07576).
    """
    norms = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative mean over all calls
        norm.train()
    for batch in islice(batches, STATISTICS):
        if len(batch.x) > 1:  # one image has no variance
            call(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def finish(gan: Any, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """Recompute the BatchNorm statistics of the generator."""
    take_statistics(gan.generator, lambda batch: fake(gan, batch), batches)


def tasks(gan: GAN) -> Mapping[str, zoo.Task]:
    return {"decode": zoo.Task(gan.decode, {"z": zoo.Noise((gan.latent,))}, {"image": gan.sample.x})}
