"""Vector-quantised variational autoencoder, with a gated PixelCNN as the prior over its codes.

Van den Oord, Vinyals & Kavukcuoglu 2017, "Neural discrete representation learning", https://arxiv.org/abs/1711.00937.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo_autoencoders.reconstruction import reconstruction_error
from zoo_autoregressive.gated import GatedPixelCNN


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    num_embeddings: int = zoo.setting(128, "vectors in the codebook: K", ge=2)
    embedding_dim: int = zoo.setting(16, "dimensions of a vector of the codebook", ge=1)
    width: int = zoo.setting(64, "channels of the convolutions", ge=1)
    # 0.25 and 0.99 are the paper's β (section 3.2) and γ (appendix A.1).
    commitment: float = zoo.setting(0.25, "weight β of the commitment term", ge=0)
    ema_decay: float = zoo.setting(0.99, "decay of the moving averages that the codebook is made of", ge=0, le=1)
    prior_width: int = zoo.setting(64, "channels of each stack of the prior", ge=1)
    prior_layers: int = zoo.setting(4, "layers of the prior", ge=1)
    prior_lr: float = zoo.setting(1e-3, "peak learning rate of the prior", gt=0)


class Residual(nn.Module):
    """x + convolutions(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class VQVAE(nn.Module):
    """An encoder that downsamples by 4, a codebook, a decoder, and the prior p(codes).

    The codebook is learnt by exponential moving averages (appendix A.1). These are buffers: the codebook has no
    gradient.
    """

    codebook: Tensor
    """e: (num_embeddings, embedding_dim)."""
    cluster_size: Tensor
    """N, the number of a batch's z_e assigned to each vector, averaged over batches: (num_embeddings,)."""
    embed_sum: Tensor
    """m, the sum of these z_e, averaged over batches: (num_embeddings, embedding_dim)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        image, width = sample.form(zoo.Image), recipe.width
        self.sample, self.num_embeddings, channels = sample, recipe.num_embeddings, image.channels
        self.grid = (-(-image.height // 4), -(-image.width // 4))
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 2, 1),
            Residual(width),
            Residual(width),
            nn.ReLU(),
            nn.Conv2d(width, recipe.embedding_dim, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(recipe.embedding_dim, width, 3, 1, 1),
            Residual(width),
            Residual(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, 2, 1),
        )
        self.prior = GatedPixelCNN(
            self.grid, recipe.num_embeddings, width=recipe.prior_width, layers=recipe.prior_layers, reach=3
        )
        self.register_buffer("codebook", torch.randn(recipe.num_embeddings, recipe.embedding_dim))
        self.register_buffer("cluster_size", torch.zeros(recipe.num_embeddings))
        self.register_buffer("embed_sum", torch.zeros(recipe.num_embeddings, recipe.embedding_dim))

    def vectors(self, x: Tensor) -> Tensor:
        """z_e(x), the encoder's output before quantisation: (b, h, w, embedding_dim)."""
        return self.encoder(x).float().permute(0, 2, 3, 1)  # (b, embedding_dim, h, w) → (b, h, w, embedding_dim)

    def distances(self, z: Tensor) -> Tensor:
        """‖z − e‖² − ‖z‖² for each vector e of the codebook: (…, embedding_dim) → (…, num_embeddings)."""
        with torch.autocast(z.device.type, enabled=False):
            return self.codebook.square().sum(1) - 2 * z @ self.codebook.T

    def encode(self, x: Tensor) -> Tensor:
        """The indices of the nearest codebook vectors (eq. 1): int64 (b, h, w)."""
        return self.distances(self.vectors(x)).argmin(-1)

    def image(self, z: Tensor) -> Tensor:
        """The mean of p(x|z), not yet clipped: (b, h, w, embedding_dim) → (b, c, height, width)."""
        _, height, width = self.sample.x.shape
        return self.decoder(z.permute(0, 3, 1, 2))[:, :, :height, :width].float()  # (b, c, h, w)

    def decode(self, codes: Tensor) -> Tensor:
        return self.image(F.embedding(codes, self.codebook)).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def quantise(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise z_e(x), (b, h, w, embedding_dim): the codes, int64 (b, h, w), their vectors e, and z_q.

        z_q has the values of e and the gradient of z: the straight-through estimator (section 3.2).
        """
        codes = self.distances(z).argmin(-1)
        e = F.embedding(codes, self.codebook)
        return codes, e, z + (e - z).detach()  # z + sg[e − z]

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct float32 images: (b, c, h, w) in [0, 1] → the same shape, not clipped to [0, 1].

        Gradients reach the encoder by the straight-through estimator. The codebook and the prior get no gradient.
        """
        return self.image(self.quantise(self.vectors(x))[2])

    def score(self, x: Tensor) -> Tensor:
        """−log p(codes) in nats, (b,)."""
        return self.prior.nll(self.encode(x))

    @torch.no_grad()
    def learn(self, z: Tensor, codes: Tensor, decay: float) -> None:
        """Update the codebook (appendix A.1) from z, (n, embedding_dim), and its codes, (n,).

        Each vector moves towards the mean of the z assigned to it. A vector with fewer than one assignment per batch
        is reset to one of the z (Dhariwal et al. 2020, section 3.1, https://arxiv.org/abs/2005.00341). That z is
        sampled with probability proportional to its squared quantisation error, as k-means++ samples its centres
        (Arthur & Vassilvitskii 2007).
        """
        with torch.autocast(z.device.type, enabled=False):
            one_hot = F.one_hot(codes, self.num_embeddings).to(z.dtype)  # (n, num_embeddings)
            self.cluster_size.lerp_(one_hot.sum(0), 1 - decay)  # eq. 6
            self.embed_sum.lerp_(one_hot.T @ z, 1 - decay)  # eq. 7
            error = (z - F.embedding(codes, self.codebook)).square().sum(1)  # (n,)
            # Exponential variates with rate `error`, sorted: a weighted sample without replacement.
            drawn = z[(-torch.rand_like(error).log() / error).argsort()]  # (n, embedding_dim)
            dead = self.cluster_size < 1  # (num_embeddings,)
            self.cluster_size.masked_fill_(dead, 1)
            self.embed_sum.copy_(torch.where(dead[:, None], drawn[(dead.cumsum(0) - 1) % len(z)], self.embed_sum))
            self.codebook.copy_(self.embed_sum / self.cluster_size[:, None])  # eq. 8


def loss(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """‖x − D(z_q)‖² + β‖z_e − sg[e]‖², as mean squared errors (eq. 3); the EMA replaces the middle term of eq. 3."""
    z = vq_vae.vectors(batch.x)  # (b, h, w, embedding_dim)
    codes, e, z_q = vq_vae.quantise(z)
    recon = vq_vae.image(z_q)
    if vq_vae.training:
        vq_vae.learn(z.detach().flatten(0, 2), codes.flatten(), recipe.ema_decay)
    return {
        "reconstruction": F.mse_loss(recon, batch.x),
        "commitment": recipe.commitment * F.mse_loss(z, e),
    }


def prior_loss(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"prior": prior_nll(vq_vae, batch, recipe).mean()}


def prior_nll(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    with torch.no_grad():
        codes = vq_vae.encode(batch.x)
    return vq_vae.prior.nll(codes)


def tasks(vq_vae: VQVAE) -> Mapping[str, zoo.Task]:
    image, codes = vq_vae.sample.x, zoo.Label(vq_vae.num_embeddings, vq_vae.grid)
    return {
        "encode": zoo.Task(vq_vae.encode, {"image": image}, {"codes": codes}),
        "decode": zoo.Task(vq_vae.decode, {"codes": codes}, {"image": image}),
        "reconstruct": zoo.Task(vq_vae.reconstruct, {"image": image}, {"reconstruction": image}),
        "score": zoo.Task(vq_vae.score, {"image": image}, {"score": zoo.Score()}),
        "step": vq_vae.prior.step_task(),
    }


def generation(vq_vae: VQVAE) -> zoo.Chain:
    return zoo.Chain(zoo.Autoregressive("step", vq_vae.grid), "decode")


vq_vae = zoo.Model(
    card=zoo.Card(
        title="VQ-VAE",
        summary="Images as a small grid of codes from a learnt codebook, and a PixelCNN that draws new grids.",
        paper="https://arxiv.org/abs/1711.00937",
        citation="van den Oord, Vinyals & Kavukcuoglu 2017",
    ),
    build=VQVAE,
    objectives=(
        zoo.Objective(loss, params=("encoder", "decoder"), during=(0, 0.5)),
        zoo.Objective(prior_loss, params=("prior",), lr="prior_lr", during=(0.5, 1)),
    ),
    tasks=tasks,
    generate=generation,
    metrics=(
        reconstruction_error,
        zoo.Metric("prior_nll", prior_nll, "nats per image", "of an image's codes"),
    ),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            num_embeddings=64,
            steps=3000,
            batch=100,
            warmup=50,
            decay="cosine",
            ema=0.99,
        ),
        "mnist": Recipe(data=zoo.use("mnist"), steps=16000, batch=64, warmup=200, decay="cosine", ema=0.999),
        "tiny": Recipe(
            data=zoo.use("digits"),
            precision="fp32",
            num_embeddings=16,
            embedding_dim=8,
            width=16,
            prior_width=8,
            prior_layers=1,
            steps=40,
            batch=32,
            lr=3e-3,
            prior_lr=1e-2,
        ),
    },
)
