"""A Gaussian mixture that is fitted to the training data's latents and sampled for new latents."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

import zoo


class Mixture(nn.Module):
    """p(z) = Σ_k w_k N(mean_k, L_k L_kᵀ), fitted to latents after training.

    This is "ex-post density estimation" (Ghosh et al. 2020, "From variational to deterministic autoencoders",
    section 4, https://arxiv.org/abs/1903.12436).
    """

    ends: Tensor
    """Cumulative weights, w_1, w_1 + w_2, …, 1: (components,)."""
    means: Tensor
    """(components, size)."""
    cholesky: Tensor
    """L, the Cholesky factors of the covariances, lower triangular: (components, size, size)."""

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        self.register_buffer("ends", torch.linspace(0, 1, components + 1)[1:])
        self.register_buffer("means", torch.zeros(components, size))
        self.register_buffer("cholesky", torch.eye(size).repeat(components, 1, 1))

    def forward(self, noise: Tensor, u: Tensor) -> Tensor:
        """Sample latents, (b, size), from standard normal noise, (b, size), and uniform u, (b, 1).

        u selects the component k by inverse transform sampling; z = mean_k + L_k noise.
        """
        k = (u >= self.ends[:-1]).sum(1)  # (b, components - 1) → (b,)
        return self.means[k] + (self.cholesky[k] @ noise[:, :, None])[:, :, 0]

    def fit(self, latents: Tensor) -> None:
        """Fit the mixture to latents, (n, size), or to some 20,000 of them, by expectation maximisation."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        z = latents[:: -(-len(latents) // 20_000)].detach().double().cpu().numpy()
        if len(z) == 1:  # scikit-learn needs two samples
            z = z.repeat(2, axis=0)
        components = min(len(self.ends), len(z))
        mixture = GaussianMixture(
            components, init_params="k-means++", random_state=0, reg_covar=max(1e-4 * z.var(), 1e-9)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the fit is good enough after max_iter iterations
            mixture.fit(z)
        self.ends.fill_(1)
        self.ends[: components - 1] = torch.from_numpy(mixture.weights_.cumsum())[:-1]
        # With fewer latents than components, the surplus components repeat the last one and have weight 0.
        k = torch.arange(len(self.ends)).clamp(max=components - 1)
        self.means.copy_(torch.from_numpy(mixture.means_)[k])
        self.cholesky.copy_(torch.linalg.cholesky(torch.from_numpy(mixture.covariances_))[k])


class FittedPrior(nn.Module):
    """A decoder with a :class:`Mixture`, `prior`, over its latents: the base of the autoencoders and of GLO."""

    sample: zoo.Sample
    latent: int
    prior: Mixture

    def latents_of(self, batch: zoo.Batch) -> Tensor:
        """The latents of a batch of the training data: (b, latent)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """(b, latent) → images in [0, 1], (b, c, h, w)."""
        raise NotImplementedError

    def draw(self, noise: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Sample latents from the mixture and decode them: images (b, c, h, w) and latents (b, latent)."""
        z = self.prior(noise, u)
        return self.decode(z), z

    def draw_task(self) -> zoo.Task:
        """The task ``draw``, for :class:`zoo.OneShot`."""
        inputs = {"noise": zoo.Noise((self.latent,)), "u": zoo.Noise((1,), "uniform")}
        return zoo.Task(self.draw, inputs, {"image": self.sample.x, "z": zoo.Vector((self.latent,))})


def fit_prior(module: FittedPrior, batches: Iterable[zoo.Batch], recipe: zoo.Recipe) -> None:
    """Fit the mixture to the latents of the training data."""
    module.prior.fit(torch.cat([module.latents_of(batch) for batch in batches]))
