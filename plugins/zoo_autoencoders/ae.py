"""Dense autoencoder.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks",
https://doi.org/10.1126/science.1127647. Here the network is trained end to end on the squared error, with a penalty
on ‖z‖² that keeps latents near the origin. After training, a Gaussian mixture is fitted to the latents: samples are
decoded from it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

import zoo
from zoo_autoencoders.mixture import FittedPrior, Mixture, fit_prior
from zoo_autoencoders.nets import Codec
from zoo_autoencoders.reconstruction import reconstruction_error, squared_error


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    hidden: tuple[int, ...] = zoo.setting((256, 64), "sizes of the hidden layers, from image to latent", ge=1)
    latent: int = zoo.setting(32, "dimensions of z", ge=1)
    penalty: float = zoo.setting(1e-3, "λ, the weight of ‖E(x)‖² in the loss", ge=0)
    components: int = zoo.setting(30, "Gaussians in the mixture that is fitted to the latents", ge=1)


class Autoencoder(Codec, FittedPrior):
    """E: image to latent; D: latent to image; and a Gaussian mixture over latents, fitted after training."""

    def __init__(
        self, sample: zoo.Sample, latent: int, encoder: nn.Module, decoder: nn.Module, components: int
    ) -> None:
        super().__init__(sample, latent, encoder, decoder)
        self.prior = Mixture(latent, components)

    def latents_of(self, batch: zoo.Batch) -> Tensor:
        return self.encode(batch.x)


def dense(recipe: Recipe, sample: zoo.Sample) -> Autoencoder:
    image = sample.form(zoo.Image)
    sizes = (math.prod(image.shape), *recipe.hidden, recipe.latent)
    encoder = nn.Sequential(nn.Flatten(), *_layers(sizes))
    decoder = nn.Sequential(*_layers(sizes[::-1]), nn.Unflatten(1, image.shape))
    return Autoencoder(sample, recipe.latent, encoder, decoder, recipe.components)


def _layers(sizes: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


def loss(ae: Autoencoder, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(E(x))‖² + λ‖E(x)‖², each summed over one image and averaged over the batch."""
    z = ae.encode(batch.x)
    error = squared_error(ae.decode(z), batch.x)
    return {"reconstruction": error.mean(), "penalty": recipe.penalty * z.square().sum(1).mean()}


def tasks(ae: Autoencoder) -> Mapping[str, zoo.Task]:
    image, z = ae.sample.x, zoo.Vector((ae.latent,))
    return {
        "encode": zoo.Task(ae.encode, {"image": image}, {"z": z}),
        "decode": zoo.Task(ae.decode, {"z": z}, {"image": image}),
        "reconstruct": zoo.Task(ae.reconstruct, {"image": image}, {"reconstruction": image}),
        "score": zoo.Task(ae.score, {"image": image}, {"score": zoo.Score()}),
        "draw": ae.draw_task(),
    }


ae = zoo.Model(
    card=zoo.Card(
        title="Autoencoder",
        summary="A dense encoder and decoder with a short latent between: compression, features, a simple generator.",
        paper="https://doi.org/10.1126/science.1127647",
        citation="Hinton & Salakhutdinov 2006",
    ),
    build=dense,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("draw"),
    metrics=(reconstruction_error,),
    finish=fit_prior,
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            hidden=(256, 128),
            latent=16,
            steps=3000,
            batch=100,
            lr=2e-3,
            decay="cosine",
        ),
        "mnist": Recipe(data=zoo.use("mnist"), steps=9400, batch=128, lr=1e-3, warmup=100, decay="cosine"),
        "tiny": Recipe(
            data=zoo.use("digits"), precision="fp32", hidden=(16,), latent=4, components=3, steps=20, batch=32
        ),
    },
)
