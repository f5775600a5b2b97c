"""Convolutional autoencoder.

Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction",
https://doi.org/10.1007/978-3-642-21735-7_7. Here the network is trained end to end, and strided convolutions replace
max-pooling. The loss, the penalty and the mixture over latents are those of the dense autoencoder (ae.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import zoo
from zoo_autoencoders import nets
from zoo_autoencoders.ae import Autoencoder, ae


@dataclass(frozen=True, kw_only=True)
class Recipe(nets.Recipe):
    penalty: float = zoo.setting(1e-3, "λ, the weight of ‖E(x)‖² in the loss", ge=0)
    components: int = zoo.setting(30, "Gaussians in the mixture that is fitted to the latents", ge=1)


def convolutional(recipe: Recipe, sample: zoo.Sample) -> Autoencoder:
    image = sample.form(zoo.Image)
    encoder, decoder = nets.encoder(image, recipe.latent, recipe), nets.decoder(image, recipe.latent, recipe)
    return Autoencoder(sample, recipe.latent, encoder, decoder, recipe.components)


digits, mnist, tiny = nets.bases(Recipe)

conv_ae = replace(
    ae,
    card=zoo.Card(
        title="Convolutional autoencoder",
        summary="Convolutions, and a short latent between: compression, features, a simple generator.",
        paper="https://doi.org/10.1007/978-3-642-21735-7_7",
        citation="Masci et al. 2011",
    ),
    build=convolutional,
    recipes={
        "digits": replace(digits, latent=16),
        "mnist": replace(mnist, steps=14000),
        "tiny": replace(tiny, latent=4, lr=1e-2, components=3),
    },
)
