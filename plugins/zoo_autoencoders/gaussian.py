"""Diagonal Gaussians: the reparameterisation trick, and the KL divergence from the standard normal."""

from __future__ import annotations

from torch import Tensor


def reparameterise(mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mean + σ ⊙ noise (Kingma & Welling 2014, section 2.4, https://arxiv.org/abs/1312.6114): all (b, latent).

    The caller draws the standard normal noise, so that gradients reach `mean` and `logvar` through z.
    """
    return mean + noise * (0.5 * logvar).exp()


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) ‖ p(z)) in nats (Kingma & Welling 2014, appendix B), (b,); p(z) is standard normal."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)
