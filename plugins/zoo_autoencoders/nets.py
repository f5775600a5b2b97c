"""What the models of this package share: networks from images to numbers and back, and the base of their recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(32, "numbers in a code", least=1)
    width: int = zoo.setting(32, "channels of the first convolution; the second has twice as many", least=1)
    blocks: int = zoo.setting(1, "residual blocks where the image is smallest, in each network", least=0)


R = TypeVar("R", bound=Recipe)


def extend(base: Recipe, kind: type[R]) -> R:
    """A recipe of another class with the fields of `base`; those that are the class's own have their defaults."""
    return kind(**{field.name: getattr(base, field.name) for field in fields(base)})


def bases(kind: type[R]) -> tuple[R, R, R]:
    """:data:`DIGITS`, :data:`MNIST` and :data:`TINY` as recipes of a model's own class."""
    return extend(DIGITS, kind), extend(MNIST, kind), extend(TINY, kind)


DIGITS = Recipe(
    data="digits", precision="fp32", width=40, blocks=0, steps=1500, batch=100, lr=2e-3, warmup=100, decay="cosine"
)
"""For images of 8 by 8, under a minute on a CPU: fp32 is quicker for small networks, and wide layers without residual
blocks keep the ONNX graphs small beside the weights."""
MNIST = Recipe(data="mnist", width=20, lr=2e-3, warmup=200, decay="cosine", ema=0.999)
"""For images of 28 by 28, but for the steps. The width keeps a release at 3 MB or so."""
TINY = Recipe(data="digits", precision="fp32", width=4, steps=20, batch=32)
"""Takes a second: for tests."""


class Residual(nn.Module):
    """SiLU(x + F(x)), F two convolutions (He et al. 2016, eq. 1, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *block(nn.Conv2d(channels, channels, 3, 1, 1, bias=False)),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(x + self.residual(x))


class Crop(nn.Module):
    """The upper left corner of images, (b, c, height, width)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height, : self.width]


class Codec(nn.Module):
    """E, `encoder`: images (b, c, h, w) to latents (b, latent); and D, `decoder`: latents to logits of pixels."""

    def __init__(self, sample: zoo.Sample, latent: int, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.sample, self.latent, self.encoder, self.decoder = sample, latent, encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).float()  # (b, latent)

    def logits(self, code: Tensor) -> Tensor:
        return self.decoder(code).float()  # (b, c, h, w)

    def decode(self, code: Tensor) -> Tensor:
        """(b, latent) to images in [0, 1], (b, c, h, w)."""
        return self.logits(code).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction: float32 (b, c, h, w) in [0, 1] to the same."""
        return self.reconstruct(x)

    def score(self, x: Tensor) -> Tensor:
        """The mean squared error of the reconstruction, (b,)."""
        return (self.reconstruct(x) - x).square().mean((1, 2, 3))


class Variational(Codec):
    """A codec whose encoder gives q(z|x), a Gaussian, as its mean and its log variance; the mean is the code."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x).float().chunk(2, dim=1)  # each (b, latent); the KL needs more than bfloat16
        return mean, logvar

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]


def codec(recipe: Recipe, sample: zoo.Sample) -> Codec:
    """Both networks by convolutions."""
    image, latent = sample.form(zoo.Image), recipe.latent
    return Codec(sample, latent, encoder(image, latent, recipe), decoder(image, latent, recipe))


def tasks(codec: Codec) -> Mapping[str, zoo.Task]:
    """The tasks of a codec whose codes are meant to be standard normal, so that they may be drawn."""
    image = codec.sample.x
    return {
        "encode": zoo.Task(codec.encode, {"image": image}, {"z": zoo.Vector((codec.latent,))}),
        "decode": zoo.Task(codec.decode, {"z": zoo.Noise((codec.latent,))}, {"image": image}),
        "reconstruct": zoo.Task(codec.reconstruct, {"image": image}, {"reconstruction": image}),
        "score": zoo.Task(codec.score, {"image": image}, {"score": zoo.Score()}),
    }


def encoder(image: zoo.Image, outputs: int, recipe: Recipe, planes: int = 0) -> nn.Sequential:
    """(b, c + planes, h, w) to (b, outputs): two convolutions that halve the sides, residual blocks, a dense layer."""
    first, (channels, height, width) = recipe.width, _grid(image, recipe)
    return nn.Sequential(
        *block(nn.Conv2d(image.channels + planes, first, 3, 2, 1, bias=False)),
        *block(nn.Conv2d(first, channels, 3, 2, 1, bias=False)),
        *(Residual(channels) for _ in range(recipe.blocks)),
        nn.Flatten(),
        *block(nn.Linear(channels * height * width, 8 * first, bias=False)),
        nn.Linear(8 * first, outputs),
    )


def decoder(image: zoo.Image, inputs: int, recipe: Recipe) -> nn.Sequential:
    """(b, inputs) to (b, c, h, w), the encoder mirrored; its numbers are of any size, such as logits."""
    first, (channels, height, width) = recipe.width, _grid(image, recipe)
    cells = channels * height * width
    return nn.Sequential(
        *block(nn.Linear(inputs, 8 * first, bias=False)),
        *block(nn.Linear(8 * first, cells, bias=False)),
        nn.Unflatten(1, (channels, height, width)),
        *(Residual(channels) for _ in range(recipe.blocks)),
        *block(nn.ConvTranspose2d(channels, first, 4, 2, 1, bias=False)),
        nn.ConvTranspose2d(first, image.channels, 4, 2, 1),
        Crop(image.height, image.width),
    )


def block(layer: nn.Module) -> tuple[nn.Module, ...]:
    """A layer without a bias, which batch norm would take off again, batch norm, and SiLU.

    On MNIST a convolutional VAE of plain layers had a negative ELBO of 105.4 nats after 10 epochs; with these, a
    schedule and bfloat16 it had 93.0 after 5.
    """
    if isinstance(layer, nn.Linear):
        return layer, nn.BatchNorm1d(layer.out_features), nn.SiLU()
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    return layer, nn.BatchNorm2d(layer.out_channels), nn.SiLU()


def _grid(image: zoo.Image, recipe: Recipe) -> tuple[int, int, int]:
    """Channels, height and width of the smallest feature maps."""
    return 2 * recipe.width, -(-image.height // 4), -(-image.width // 4)
