"""Plain hand-written training loops for three networks of the zoo: the baseline of benchmarks/training.py.

    ZOO_DATA_DIR=DIR python benchmarks/plain.py vae.mnist [--steps N] [--device cuda]

Each loop has the network, data, batch, loss, schedule, clipping, EMA and optimisers of the recipe, in float32, and
torch's defaults for everything else. tests/benchmark/test_benchmarks.py checks that losses and weights equal those of
the trainer. At intervals a loop prints a line of JSON with the step, the losses and the seconds.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import gzip
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from measure import data_dir
from zoo_autoencoders.vae import vae
from zoo_autoregressive.chargpt import chargpt
from zoo_gans.dcgan import dcgan

began = time.perf_counter()


class Loop:
    """A network with its optimisers. Each phase is a function that makes one step on a batch and returns the loss."""

    phases: Sequence[Callable[[Tensor], Tensor]]

    def __init__(self, net: nn.Module, recipe: Any) -> None:
        self.net: Any = net.train()
        self.recipe = recipe
        self.optimisers: list[torch.optim.Optimizer] = []
        self.schedulers: list[torch.optim.lr_scheduler.LambdaLR] = []
        self.average = copy.deepcopy(net) if recipe.ema else None
        self.averaged = 0

    def adamw(self, net: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> int:
        """Add an optimiser with its schedule, and return its index. Biases and norms have no weight decay."""
        groups = [
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimisers.append(torch.optim.AdamW(groups, lr=lr, betas=betas))
        self.schedulers.append(
            torch.optim.lr_scheduler.LambdaLR(self.optimisers[-1], lambda step: factor(step, self.recipe))
        )
        return len(self.optimisers) - 1

    def descend(self, number: int, loss: Tensor) -> None:
        """Make one step of an optimiser."""
        self.optimisers[number].zero_grad()
        loss.backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimisers[number].step()
        self.schedulers[number].step()

    @torch.no_grad()
    def update_average(self) -> None:
        """Update the EMA weights, once a step."""
        if self.average is not None:
            decay = min(self.recipe.ema, (1 + self.averaged) / (10 + self.averaged))
            for average, weight in zip(self.average.parameters(), self.net.parameters(), strict=True):
                average.lerp_(weight, 1 - decay)
            self.averaged += 1


class VAE(Loop):
    """vae.mnist."""

    def __init__(self, net: Any, recipe: Any) -> None:
        super().__init__(net, recipe)
        self.adamw(net, recipe.lr, (0.9, 0.999), 0.05)
        self.phases = (self.step,)

    def step(self, images: Tensor) -> Tensor:
        x = torch.bernoulli(images)
        mean, logvar = self.net.posterior(x)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        reconstruction = F.binary_cross_entropy_with_logits(self.net.logits(z), x, reduction="sum") / len(x)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()
        loss = reconstruction + kl
        self.descend(0, loss)
        self.update_average()
        return loss


class DCGAN(Loop):
    """dcgan.mnist."""

    def __init__(self, net: Any, recipe: Any) -> None:
        super().__init__(net, recipe)
        self.d = self.adamw(net.discriminator, recipe.lr, (0.5, 0.999), 0.0)
        self.g = self.adamw(net.generator, recipe.generator_lr, (0.5, 0.999), 0.0)
        self.phases = (self.discriminator, self.generator)

    def discriminator(self, real: Tensor) -> Tensor:
        real_logits = self.net.discriminate(real)
        with torch.no_grad():
            fake = self.net.decode(torch.randn(len(real), self.recipe.latent, device=real.device))
        loss = F.softplus(-real_logits).mean() + F.softplus(self.net.discriminate(fake)).mean()
        self.descend(self.d, loss)
        return loss

    def generator(self, real: Tensor) -> Tensor:
        fake = self.net.decode(torch.randn(len(real), self.recipe.latent, device=real.device))
        loss = F.softplus(-self.net.discriminate(fake)).mean()
        self.descend(self.g, loss)
        self.update_average()
        return loss


class CharGPT(Loop):
    """chargpt.shakespeare."""

    def __init__(self, net: Any, recipe: Any) -> None:
        super().__init__(net, recipe)
        self.adamw(net, recipe.lr, (0.9, 0.99), 0.1)
        self.phases = (self.step,)

    def step(self, tokens: Tensor) -> Tensor:
        logits = self.net(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        self.descend(0, loss)
        self.update_average()
        return loss


def factor(step: int, recipe: Any) -> float:
    """Return the factor on the learning rate: linear warm-up, then constant, linear or cosine decay to 0."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[recipe.decay]


def mnist(folder: Path) -> Tensor:
    """Load MNIST's training images: float32 (60000, 1, 28, 28) in [0, 1]."""
    with gzip.open(folder / "mnist" / "train-images-idx3-ubyte.gz") as file:
        content = np.frombuffer(file.read(), np.uint8, offset=16)
    return torch.from_numpy(content.reshape(-1, 1, 28, 28).astype("float32") / 255)


def mnist_batches(folder: Path, recipe: Any, device: str) -> tuple[zoo.Sample, Iterator[Tensor]]:
    """Return the form of MNIST, and batches, float32 (b, 1, 28, 28), with each image once an epoch."""
    images = mnist(folder).to(device)

    def batches() -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(images), device=device)
            for index in order[: len(order) // recipe.batch * recipe.batch].split(recipe.batch):
                yield images[index]

    return zoo.Sample(zoo.Image(1, 28, 28), {"label": zoo.Label(10)}), batches()


def text_batches(folder: Path, recipe: Any, device: str) -> tuple[zoo.Sample, Iterator[Tensor]]:
    """Return the form of the text, and batches of random windows, int64 (b, length)."""
    text = (folder / "tinyshakespeare" / "input.txt").read_text("utf-8")
    vocabulary = "".join(sorted(set(text)))
    index_of = {character: index for index, character in enumerate(vocabulary)}
    data = torch.tensor([index_of[character] for character in text[: len(text) * 9 // 10]], device=device)
    length = recipe.data.options.get("length", zoo.TextOptions().length)
    window = torch.arange(length, device=device)

    def batches() -> Iterator[Tensor]:
        while True:
            yield data[torch.randint(len(data) - length + 1, (recipe.batch, 1), device=device) + window]

    return zoo.Sample(zoo.Text(vocabulary, length)), batches()


LOOPS = {
    "vae.mnist": (vae, VAE, mnist_batches),
    "dcgan.mnist": (dcgan, DCGAN, mnist_batches),
    "chargpt.shakespeare": (chargpt, CharGPT, text_batches),
}
"""The model, the loop and the data of each recipe."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=LOOPS)
    parser.add_argument("--steps", type=int, help="training steps (default: the recipe's)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # otherwise torch's convolutions use TF32 on CUDA
    model, kind, data = LOOPS[args.name]
    recipe = model.recipes[args.name.partition(".")[2]]
    recipe = dataclasses.replace(recipe, steps=args.steps or recipe.steps)
    try:
        sample, batches = data(data_dir(), recipe, args.device)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} does not exist. ZOO_DATA_DIR names the folder that holds it.") from error
    loop = kind(model.build(recipe, sample).to(args.device), recipe)
    for step in range(1, recipe.steps + 1):
        x = next(batches)
        losses = [phase(x) for phase in loop.phases]
        if step % max(1, recipe.steps // 500) == 0:  # about 500 lines in a whole run
            line = {"step": step, "losses": [loss.item() for loss in losses], "seconds": time.perf_counter() - began}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
