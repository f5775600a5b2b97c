"""Sparse autoencoder.

Olshausen & Field 1996, "Emergence of simple-cell receptive field properties by learning a sparse code for natural
images", https://doi.org/10.1038/381607a0, with an encoder in place of their search for the code. The dictionary is
spectrally normalised (Miyato et al. 2018, https://arxiv.org/abs/1802.05957): without a bound on it, the code could
shrink to nothing and the dictionary make up for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    atoms: int = zoo.setting(128, "images in the dictionary", ge=1)
    sparsity: float = zoo.setting(0.05, "λ, the weight of |code| in the loss", ge=0)
    centred: bool = zoo.setting(True, "start from grey instead of black")


class SparseAutoencoder(nn.Module):
    """x ≈ code · dictionary + bias, the code at least 0 and mostly 0."""

    scale: Tensor

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.atoms = sample, recipe.atoms
        pixels = math.prod(sample.x.shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, recipe.atoms), nn.ReLU())
        self.dictionary = spectral_norm(nn.Linear(recipe.atoms, pixels))
        nn.init.constant_(self.dictionary.bias, 0.5 if recipe.centred else 0.0)
        self.register_buffer("scale", torch.ones(recipe.atoms))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)  # (b, atoms)

    def mix(self, code: Tensor) -> Tensor:
        return self.dictionary(code).unflatten(1, self.sample.x.shape)  # (b, c, h, w)

    def decode(self, code: Tensor) -> Tensor:
        return self.mix(code).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def draw(self, u: Tensor) -> Tensor:
        """An image for uniform noise: the prior behind |code| is exponential, so code = −scale · log(1 − u)."""
        return self.decode(-self.scale * (1 - u).log())


def loss(sae: SparseAutoencoder, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x))‖² + λ|E(x)| (eq. 2 to 4), mean over images."""
    code = sae.encode(batch.x)
    error = (sae.mix(code) - batch.x).square().flatten(1).sum(1)
    return {"reconstruction": error.mean(), "sparsity": recipe.sparsity * code.sum(1).mean()}


def mse(sae: SparseAutoencoder, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    return (sae.reconstruct(batch.x) - batch.x).square().flatten(1).mean(1)


def fit_scale(sae: SparseAutoencoder, batches: Iterable[zoo.Batch], recipe: Recipe) -> None:
    """The likeliest scale of an exponential prior is the mean of the codes."""
    sae.scale.copy_(torch.cat([sae.encode(batch.x) for batch in batches]).mean(0))


def tasks(sae: SparseAutoencoder) -> Mapping[str, zoo.Task]:
    image, code = sae.sample.x, zoo.Vector((sae.atoms,))
    return {
        "encode": zoo.Task(sae.encode, {"image": image}, {"code": code}),
        "decode": zoo.Task(sae.decode, {"code": code}, {"image": image}),
        "reconstruct": zoo.Task(sae.reconstruct, {"image": image}, {"reconstruction": image}),
        "draw": zoo.Task(sae.draw, {"u": zoo.Noise((sae.atoms,), "uniform")}, {"image": image}),
    }


sparse = zoo.Model(
    card=zoo.Card(
        title="Sparse autoencoder",
        summary="A dictionary of images of which each image uses a few: features that can be looked at.",
        paper="https://doi.org/10.1038/381607a0",
        citation="Olshausen & Field 1996",
    ),
    build=SparseAutoencoder,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("draw"),
    metrics=(zoo.Metric("code_error", mse, "per pixel, on [0, 1]", "reconstruction of test images from their codes"),),
    finish=fit_scale,
    recipes={
        "digits": Recipe(data=zoo.use("digits"), steps=2000, batch=100, decay="cosine"),
        "tiny": Recipe(data=zoo.use("digits"), atoms=16, steps=20, batch=32),
    },
)
