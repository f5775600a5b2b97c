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
from zoo_autoencoders.reconstruction import from_codes
from zoo_autoregressive.gated import GatedPixelCNN


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    codes: int = zoo.setting(128, "vectors in the codebook: K", least=2)
    dimensions: int = zoo.setting(16, "numbers in a vector of the codebook", least=1)
    width: int = zoo.setting(64, "channels of the convolutions", least=1)
    # 0.25 and 0.99 are the paper's β (section 3.2) and γ (appendix A.1).
    commitment: float = zoo.setting(0.25, "weight β of the commitment term", least=0)
    memory: float = zoo.setting(0.99, "decay of the averages that the codebook is made of", least=0, most=1)
    prior_width: int = zoo.setting(64, "channels of each stack of the prior", least=1)
    prior_layers: int = zoo.setting(4, "layers of the prior", least=1)
    prior_lr: float = zoo.setting(1e-3, "peak learning rate of the prior", above=0)


class Residual(nn.Module):
    """x + convolutions(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class VQVAE(nn.Module):
    """An encoder to a grid of a quarter of the sides, a codebook, a decoder, and the prior p(codes).

    The codebook is learnt as moving averages (appendix A.1), which are buffers: no gradient reaches it.
    """

    codebook: Tensor
    """e: (codes, dimensions)."""
    uses: Tensor
    """N, how many z of a batch are nearest to each vector, averaged over batches: (codes,)."""
    sums: Tensor
    """m, the sum of these z, averaged alike: (codes, dimensions)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        image, width = sample.form(zoo.Image), recipe.width
        self.sample, self.codes, channels = sample, recipe.codes, image.channels
        self.grid = (-(-image.height // 4), -(-image.width // 4))
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 2, 1),
            Residual(width),
            Residual(width),
            nn.ReLU(),
            nn.Conv2d(width, recipe.dimensions, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(recipe.dimensions, width, 3, 1, 1),
            Residual(width),
            Residual(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, 2, 1),
        )
        self.prior = GatedPixelCNN(
            self.grid, recipe.codes, width=recipe.prior_width, layers=recipe.prior_layers, reach=3
        )
        self.register_buffer("codebook", torch.randn(recipe.codes, recipe.dimensions))
        self.register_buffer("uses", torch.zeros(recipe.codes))
        self.register_buffer("sums", torch.zeros(recipe.codes, recipe.dimensions))

    def vectors(self, x: Tensor) -> Tensor:
        """z_e(x), not quantised: (b, h, w, dimensions)."""
        return self.encoder(x).float().permute(0, 2, 3, 1)

    def distances(self, z: Tensor) -> Tensor:
        """‖z − e‖² to every vector of the codebook, but for ‖z‖²: (…, dimensions) to (…, codes)."""
        with torch.autocast(z.device.type, enabled=False):
            return self.codebook.square().sum(1) - 2 * z @ self.codebook.T

    def encode(self, x: Tensor) -> Tensor:
        """The nearest vectors (eq. 1): int64 (b, h, w)."""
        return self.distances(self.vectors(x)).argmin(-1)

    def image(self, z: Tensor) -> Tensor:
        """(b, h, w, dimensions) to the mean of p(x|z), not yet clipped."""
        _, height, width = self.sample.x.shape
        return self.decoder(z.permute(0, 3, 1, 2))[:, :, :height, :width].float()  # (b, c, h, w)

    def decode(self, codes: Tensor) -> Tensor:
        return self.image(F.embedding(codes, self.codebook)).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def quantise(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of z_e(x), (b, h, w, dimensions): its codes, int64 (b, h, w), their vectors e, and those as a function of z.

        The last has the values of e and the gradient of z: it passes straight through to the encoder (section 3.2).
        """
        codes = self.distances(z).argmin(-1)
        e = F.embedding(codes, self.codebook)
        return codes, e, z + (e - z).detach()

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, from float32 (b, c, h, w) in [0, 1] to the same form, not clipped to [0, 1].

        Gradients reach the encoder straight through the codes; the codebook and the prior get none.
        """
        return self.image(self.quantise(self.vectors(x))[2])

    def score(self, x: Tensor) -> Tensor:
        """−log p of the codes, in nats."""
        return self.prior.nll(self.encode(x))

    @torch.no_grad()
    def learn(self, z: Tensor, codes: Tensor, memory: float) -> None:
        """Move each vector towards the mean of the z that are nearest to it: z (n, dimensions), codes (n,).

        One that is used less than once a batch becomes one of the z (Dhariwal et al. 2020, section 3.1,
        https://arxiv.org/abs/2005.00341), drawn in proportion to the squared distance from its code, as k-means++
        draws its centres (Arthur & Vassilvitskii 2007).
        """
        with torch.autocast(z.device.type, enabled=False):
            chosen = F.one_hot(codes, self.codes).to(z.dtype)  # (n, codes)
            self.uses.lerp_(chosen.sum(0), 1 - memory)  # eq. 6
            self.sums.lerp_(chosen.T @ z, 1 - memory)  # eq. 7
            error = (z - F.embedding(codes, self.codebook)).square().sum(1)
            drawn = z[(-torch.rand_like(error).log() / error).argsort()]  # without replacement
            dead = self.uses < 1
            self.uses.masked_fill_(dead, 1)
            self.sums.copy_(torch.where(dead[:, None], drawn[(dead.cumsum(0) - 1) % len(z)], self.sums))
            self.codebook.copy_(self.sums / self.uses[:, None])  # eq. 8


def loss(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    """Eq. 3: ‖x − D(z)‖² + β‖z_e − sg[e]‖², means over numbers; its middle term is what the averages minimise."""
    z = vq_vae.vectors(batch.x)  # (b, h, w, dimensions)
    codes, e, through = vq_vae.quantise(z)
    image = vq_vae.image(through)
    if vq_vae.training:
        vq_vae.learn(z.detach().flatten(0, 2), codes.flatten(), recipe.memory)
    return {
        "reconstruction": F.mse_loss(image, batch.x),
        "commitment": recipe.commitment * F.mse_loss(z, e),
    }


def prior_loss(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"prior": prior_nll(vq_vae, batch, recipe).mean()}


def prior_nll(vq_vae: VQVAE, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    with torch.no_grad():
        codes = vq_vae.encode(batch.x)
    return vq_vae.prior.nll(codes)


def tasks(vq_vae: VQVAE) -> Mapping[str, zoo.Task]:
    image, codes = vq_vae.sample.x, zoo.Label(vq_vae.codes, vq_vae.grid)
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
        zoo.Objective(prior_loss, params=("prior",), optimiser=zoo.AdamW(lr="prior_lr"), during=(0.5, 1)),
    ),
    tasks=tasks,
    generate=generation,
    measures=(
        from_codes,
        zoo.Measure("prior_nll", prior_nll, "nats per image", "of an image's codes"),
    ),
    recipes={
        "digits": Recipe(
            data="digits", precision="fp32", codes=64, steps=3000, batch=100, warmup=50, decay="cosine", ema=0.99
        ),
        "mnist": Recipe(data="mnist", steps=16000, batch=64, warmup=200, decay="cosine", ema=0.999),
        "tiny": Recipe(
            data="digits",
            precision="fp32",
            codes=16,
            dimensions=8,
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
