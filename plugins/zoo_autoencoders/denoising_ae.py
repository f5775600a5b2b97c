"""Denoising autoencoder.

Vincent, Larochelle, Bengio & Manzagol 2008, "Extracting and composing robust features with denoising autoencoders",
https://doi.org/10.1145/1390156.1390294: the autoencoder reconstructs the clean image from a corrupted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.reconstruction import squared_error


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    noise: Literal["gaussian", "masking", "salt-and-pepper"] = zoo.setting("gaussian", "how images are corrupted")
    level: float = zoo.setting(
        0.5, "gaussian: the deviation; else the fraction of pixels made 0, or 0 or 1", gt=0, le=1
    )


def corrupt(images: Tensor, noise: str, level: float) -> Tensor:
    """Sample x̃ ~ q(x̃|x): images, (b, c, h, w) in [0, 1], with noise on every pixel or on a fraction of them.

    Images with Gaussian noise are clipped to [0, 1]. Masking and salt-and-pepper noise set all channels of a pixel at
    once. Masking is the paper's corruption (section 2.3); the others are from Vincent et al. 2010, section 3.3
    (https://jmlr.org/papers/v11/vincent10a.html).
    """
    if noise == "gaussian":
        return (images + level * torch.randn_like(images)).clamp(0, 1)
    corrupted = torch.rand_like(images[:, :1]) < level  # (b, 1, h, w)
    value = torch.bernoulli(torch.full_like(images[:, :1], 0.5)) if noise == "salt-and-pepper" else 0.0
    return torch.where(corrupted, value, images)


def loss(ae: nets.Codec, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x̃))‖², summed over pixels (eq. 5, with the squared error)."""
    denoised = ae.reconstruct(corrupt(batch.x, recipe.noise, recipe.level))
    return {"reconstruction": squared_error(denoised, batch.x).mean()}


def psnr_denoised(ae: nets.Codec, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """The PSNR, 10 log10(1 / MSE) in dB, of each image after corruption and denoising: (b,)."""
    denoised = ae.reconstruct(corrupt(batch.x, recipe.noise, recipe.level))
    return -10 * (denoised - batch.x).square().mean((1, 2, 3)).log10()


def tasks(ae: nets.Codec) -> Mapping[str, zoo.Task]:
    image, z = ae.sample.x, zoo.Vector((ae.latent,))
    return {
        "encode": zoo.Task(ae.encode, {"image": image}, {"z": z}),
        "decode": zoo.Task(ae.decode, {"z": z}, {"image": image}),
        "denoise": zoo.Task(ae.reconstruct, {"image": image}, {"denoised": image}),
        "score": zoo.Task(ae.score, {"image": image}, {"score": zoo.Score()}),
    }


digits, mnist, tiny = nets.bases(Recipe)

denoising_ae = zoo.Model(
    card=zoo.Card(
        title="Denoising autoencoder",
        summary="Takes the noise out of an image, and learns a latent on the way that noise changes little.",
        paper="https://doi.org/10.1145/1390156.1390294",
        citation="Vincent et al. 2008",
    ),
    build=nets.codec,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    metrics=(
        zoo.Metric("psnr_denoised", psnr_denoised, "dB", "the recipe's noise on test images, taken out", "higher"),
    ),
    recipes={
        "digits": replace(digits, level=0.25),
        "mnist": replace(mnist, latent=64, steps=14000),
        "tiny": replace(tiny, latent=4, lr=1e-2),
    },
)
