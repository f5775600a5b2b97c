"""Conditional variational autoencoder.

Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative models",
https://papers.nips.cc/paper/5775, with a label for what is given, and p(z|label) standard normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

import zoo
from zoo_autoencoders import nets, vae
from zoo_autoencoders.gaussian import divergence


class CVAE(nn.Module):
    """q(z|x, label) and p(x|z, label): the label comes as planes of the image and as numbers beside z."""

    def __init__(self, recipe: nets.Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        image, self.classes = sample.form(zoo.Image), sample.classes
        if self.classes < 2:
            raise ValueError(f"it needs labels, and this data has {self.classes} classes")
        self.sample, self.latent = sample, recipe.latent
        self.encoder = nets.encoder(image, 2 * recipe.latent, recipe, planes=self.classes)
        self.decoder = nets.decoder(image, recipe.latent + self.classes, recipe)

    def posterior(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        planes = self._hot(label)[:, :, None, None].expand(-1, -1, *x.shape[2:])  # (b, classes, h, w)
        mean, logvar = self.encoder(torch.cat([x, planes], 1)).float().chunk(2, dim=1)  # each (b, latent)
        return mean, logvar

    def logits(self, z: Tensor, label: Tensor) -> Tensor:
        return self.decoder(torch.cat([z, self._hot(label)], 1)).float()  # (b, c, h, w)

    def encode(self, x: Tensor, label: Tensor) -> Tensor:
        """The mean of q(z|x, label)."""
        return self.posterior(x, label)[0]

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        """The mean of p(x|z, label)."""
        return self.logits(z, label).sigmoid()

    def reconstruct(self, x: Tensor, label: Tensor) -> Tensor:
        return self.decode(self.encode(x, label), label)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The reconstruction: float32 (b, c, h, w) in [0, 1] and int64 (b,) to images of the same form."""
        return self.reconstruct(x, label)

    def classify(self, x: Tensor) -> Tensor:
        """The ELBO's terms of each label in nats, (b, classes), at the mean z: by Bayes' rule logits of p(label|x)."""
        images = x[:, None].expand(-1, self.classes, -1, -1, -1).flatten(0, 1)  # (b·classes, c, h, w)
        every = torch.arange(self.classes, device=x.device)
        given = Given(self, every.expand(x.shape[0], -1).flatten())
        mean, logvar = given.posterior(images)
        return (given.log_likelihood(images, mean) - divergence(mean, logvar)).unflatten(0, (-1, self.classes))

    def score(self, x: Tensor) -> Tensor:
        """−log p(x) in nats, (b,), where these terms stand for each log p(x|label), and labels are equally likely."""
        return math.log(self.classes) - self.classify(x).logsumexp(1)

    def _hot(self, label: Tensor) -> Tensor:
        return (label[:, None] == torch.arange(self.classes, device=label.device)).float()  # (b, classes)


@dataclass(frozen=True)
class Given:
    """A CVAE whose labels are given: what the objectives and measures of a VAE ask for."""

    cvae: CVAE
    label: Tensor

    def observe(self, images: Tensor) -> Tensor:
        return torch.bernoulli(images)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cvae.posterior(x, self.label)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return vae.log_bernoulli(x, self.cvae.logits(z, self.label)).flatten(1).sum(1)


def loss(cvae: CVAE, batch: zoo.Batch, recipe: nets.Recipe) -> Mapping[str, Tensor]:
    """−log p(x|z, label) + KL(q(z|x, label) ‖ p(z)), in nats an image (eq. 4)."""
    reconstruction, kl = vae.bound(Given(cvae, batch.labels), batch.x)
    return {"reconstruction": reconstruction.mean(), "kl": kl.mean()}


def negative_elbo(cvae: CVAE, batch: zoo.Batch, recipe: nets.Recipe) -> Tensor:
    reconstruction, kl = vae.bound(Given(cvae, batch.labels), batch.x)
    return reconstruction + kl


def tasks(cvae: CVAE) -> Mapping[str, zoo.Task]:
    image, z, label = cvae.sample.x, zoo.Vector((cvae.latent,)), zoo.Label(cvae.classes)
    return {
        "encode": zoo.Task(cvae.encode, {"image": image, "label": label}, {"z": z}),
        "decode": zoo.Task(cvae.decode, {"z": zoo.Noise((cvae.latent,)), "label": label}, {"image": image}),
        "reconstruct": zoo.Task(cvae.reconstruct, {"image": image, "label": label}, {"reconstruction": image}),
        "classify": zoo.Task(cvae.classify, {"image": image}, {"logits": zoo.Vector((cvae.classes,))}),
        "score": zoo.Task(cvae.score, {"image": image}, {"score": zoo.Score()}),
    }


cvae = zoo.Model(
    card=zoo.Card(
        title="Conditional variational autoencoder",
        summary="A VAE that is told the label: samples of the class asked for, and styles that go from one to another.",
        paper="https://papers.nips.cc/paper/5775",
        citation="Sohn, Lee & Yan 2015",
    ),
    build=CVAE,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    measures=(
        zoo.Measure(
            "negative_elbo", negative_elbo, "nats per image", "label given, one z an image; dynamically binarised"
        ),
    ),
    recipes={
        "digits": replace(nets.DIGITS, width=48, latent=8),
        "mnist": replace(nets.MNIST, steps=20000),
        "tiny": replace(nets.TINY, latent=2, lr=1e-2),
    },
)
