"""What the models of this package share: networks from pictures to numbers and back, and a mixture over codes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(32, "numbers in a code", least=1)
    width: int = zoo.setting(32, "channels of the first convolution; the second has twice as many", least=1)
    blocks: int = zoo.setting(1, "residual blocks where the picture is smallest, in each network", least=0)


DIGITS: Mapping[str, Any] = {
    "data": "digits",
    "precision": "fp32",
    "width": 40,
    "blocks": 0,
    "steps": 1500,
    "batch": 100,
    "lr": 2e-3,
    "warmup": 100,
    "decay": "cosine",
}
"""Fields of a recipe for pictures of 8 by 8, under a minute on a CPU."""
MNIST: Mapping[str, Any] = {"data": "mnist", "width": 20, "lr": 2e-3, "warmup": 200, "decay": "cosine", "ema": 0.999}
"""Fields of a recipe for pictures of 28 by 28, but for its steps."""
TINY: Mapping[str, Any] = {"data": "digits", "precision": "fp32", "width": 4, "steps": 20, "batch": 32}
"""Fields of a recipe that takes a second."""


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
    """The upper left corner of pictures, (b, c, height, width)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height, : self.width]


class Codec(nn.Module):
    """E, a network from picture to code, and D, one from code to the logits of a picture."""

    def __init__(self, sample: zoo.Sample, latent: int, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.sample, self.latent, self.encoder, self.decoder = sample, latent, encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).float()  # (b, latent)

    def logits(self, code: Tensor) -> Tensor:
        return self.decoder(code).float()  # (b, c, h, w)

    def decode(self, code: Tensor) -> Tensor:
        return self.logits(code).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

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


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) ‖ p(z)) in nats (Kingma & Welling 2014, appendix B), (b,); p(z) is standard normal."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)


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
    """A layer without a bias, batch norm, and SiLU."""
    if isinstance(layer, nn.Linear):
        return layer, nn.BatchNorm1d(layer.out_features), nn.SiLU()
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    return layer, nn.BatchNorm2d(layer.out_channels), nn.SiLU()


def _grid(image: zoo.Image, recipe: Recipe) -> tuple[int, int, int]:
    """Channels, height and width of the smallest feature maps."""
    return 2 * recipe.width, -(-image.height // 4), -(-image.width // 4)


class Mixture(nn.Module):
    """Σ_k w_k N(mean_k, factor_k·factor_kᵀ) over codes, fitted to them after training.

    "Ex-post density estimation" (Ghosh et al. 2020, section 4, https://arxiv.org/abs/1903.12436).
    """

    ends: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, size: int, parts: int) -> None:
        super().__init__()
        self.register_buffer("ends", torch.linspace(0, 1, parts + 1)[1:])  # w_1, w_1 + w_2, …, 1
        self.register_buffer("means", torch.zeros(parts, size))
        self.register_buffer("factors", torch.eye(size).repeat(parts, 1, 1))

    def forward(self, noise: Tensor, pick: Tensor) -> Tensor:
        """Codes, (b, size), of standard normal noise of that shape and uniform numbers, (b, 1), which pick parts."""
        chosen = (pick >= self.ends[:-1]).sum(1)
        return self.means[chosen] + (self.factors[chosen] @ noise[:, :, None])[:, :, 0]

    def fit(self, codes: Tensor) -> None:
        """Fit it to codes, (n, size), or to some 20,000 of them, by expectation maximisation."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        found = codes[:: -(-len(codes) // 20_000)].detach().double().cpu().numpy()
        if len(found) == 1:  # a mean alone
            found = found.repeat(2, axis=0)
        parts = min(len(self.ends), len(found))
        mixture = GaussianMixture(
            parts, init_params="k-means++", random_state=0, reg_covar=max(1e-4 * found.var(), 1e-9)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough by then
            mixture.fit(found)
        self.ends.fill_(1)
        self.ends[: parts - 1] = torch.from_numpy(mixture.weights_.cumsum())[:-1]
        last = torch.arange(len(self.ends)).clamp(max=parts - 1)  # parts that there are no codes for repeat the last
        self.means.copy_(torch.from_numpy(mixture.means_)[last])
        self.factors.copy_(torch.linalg.cholesky(torch.from_numpy(mixture.covariances_))[last])
