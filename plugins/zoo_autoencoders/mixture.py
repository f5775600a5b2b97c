"""A mixture of Gaussians that is fitted to the latents of the training data, from which new ones are drawn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

import zoo


class Mixture(nn.Module):
    """Σ_k w_k N(mean_k, factor_k·factor_kᵀ) over codes, fitted to them after training.

    "Ex-post density estimation" (Ghosh et al. 2020, section 4, https://arxiv.org/abs/1903.12436).
    """

    ends: Tensor
    """w_1, w_1 + w_2, …, 1: (parts,)."""
    means: Tensor
    """(parts, size)."""
    factors: Tensor
    """Lower triangular, the Cholesky factors of the covariances: (parts, size, size)."""

    def __init__(self, size: int, parts: int) -> None:
        super().__init__()
        self.register_buffer("ends", torch.linspace(0, 1, parts + 1)[1:])
        self.register_buffer("means", torch.zeros(parts, size))
        self.register_buffer("factors", torch.eye(size).repeat(parts, 1, 1))

    def forward(self, noise: Tensor, pick: Tensor) -> Tensor:
        """Codes, (b, size), of standard normal noise of that shape and uniform numbers, (b, 1), which pick parts."""
        chosen = (pick >= self.ends[:-1]).sum(1)  # (b, parts - 1) to (b,): the part in whose stretch of [0, 1) it is
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


class FittedPrior(nn.Module):
    """A decoder of latents with a :class:`Mixture` over them, `prior`: what the autoencoders and GLO are drawn by."""

    sample: zoo.Sample
    latent: int
    prior: Mixture

    def codes_of(self, batch: zoo.Batch) -> Tensor:
        """The latents of a batch of the training data: (b, latent)."""
        raise NotImplementedError

    def decode(self, code: Tensor) -> Tensor:
        """(b, latent) to images in [0, 1], (b, c, h, w)."""
        raise NotImplementedError

    def draw(self, noise: Tensor, pick: Tensor) -> tuple[Tensor, Tensor]:
        """An image and its code, of the mixture, for standard normal noise and a uniform number that picks a part."""
        code = self.prior(noise, pick)
        return self.decode(code), code

    def draw_task(self) -> zoo.Task:
        """The task ``draw``, of :class:`zoo.OneShot`."""
        inputs = {"noise": zoo.Noise((self.latent,)), "pick": zoo.Noise((1,), "uniform")}
        return zoo.Task(self.draw, inputs, {"image": self.sample.x, "code": zoo.Vector((self.latent,))})


def fit_prior(module: FittedPrior, batches: Iterable[zoo.Batch], recipe: zoo.Recipe) -> None:
    """Fit the mixture to the codes of the training data."""
    module.prior.fit(torch.cat([module.codes_of(batch) for batch in batches]))
