"""Conditional variational autoencoder.

Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative models",
https://papers.nips.cc/paper/5775. Here the condition is the class label, and p(z|label) is standard normal.
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
    """q(z|x, label) and p(x|z, label): one-hot labels are concatenated to x as channels, and to z as dimensions."""

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
        """Reconstruct float32 images, (b, c, h, w) in [0, 1], given their int64 labels, (b,)."""
        return self.reconstruct(x, label)

    def classify(self, x: Tensor) -> Tensor:
        """The ELBO's terms at the mean z for each label in nats, (b, classes): by Bayes' rule logits of p(label|x)."""
        images = x[:, None].expand(-1, self.classes, -1, -1, -1).flatten(0, 1)  # (b·classes, c, h, w)
        labels = torch.arange(self.classes, device=x.device)
        given = Given(self, labels.expand(x.shape[0], -1).flatten())  # labels (b·classes,)
        mean, logvar = given.posterior(images)
        return (given.log_likelihood(images, mean) - divergence(mean, logvar)).unflatten(0, (-1, self.classes))

    def score(self, x: Tensor) -> Tensor:
        """−log p(x) in nats, (b,): a uniform prior over labels, log p(x|label) approximated by the ELBO's terms."""
        return math.log(self.classes) - self.classify(x).logsumexp(1)

    def _hot(self, label: Tensor) -> Tensor:
        return (label[:, None] == torch.arange(self.classes, device=label.device)).float()  # (b, classes)


@dataclass(frozen=True)
class Given:
    """A CVAE with fixed labels, so that a VAE's losses and metrics apply to it (:class:`vae.Observed`)."""

    cvae: CVAE
    label: Tensor

    def observe(self, images: Tensor) -> Tensor:
        return torch.bernoulli(images)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cvae.posterior(x, self.label)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return vae.log_bernoulli(x, self.cvae.logits(z, self.label)).flatten(1).sum(1)


def loss(cvae: CVAE, batch: zoo.Batch, recipe: nets.Recipe) -> Mapping[str, Tensor]:
    """−log p(x|z, label) + KL(q(z|x, label) ‖ p(z)), in nats per image (eq. 4)."""
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
        summary="A VAE with class labels: samples of a chosen class, and styles that carry over to other classes.",
        paper="https://papers.nips.cc/paper/5775",
        citation="Sohn, Lee & Yan 2015",
    ),
    build=CVAE,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    metrics=(
        zoo.Metric(
            "negative_elbo", negative_elbo, "nats per image", "label given, one z per image; dynamically binarised"
        ),
    ),
    recipes={
        "digits": replace(nets.DIGITS, width=48, latent=8),
        "mnist": replace(nets.MNIST, steps=20000),
        "tiny": replace(nets.TINY, latent=2, lr=1e-2),
    },
)
