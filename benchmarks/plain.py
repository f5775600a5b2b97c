"""The plainest loops that train three networks of the zoo, by hand: what benchmarks/training.py compares with.

    ZOO_DATA_DIR=DIR python benchmarks/plain.py vae.mnist [--device cuda]

Each has the network, data, batch, loss, schedule, clipping and optimiser of the recipe, in float32, and torch's own
defaults for everything else. Now and then it prints a line of JSON with the step, the loss and the seconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.files import expand
from zoo_autoencoders.vae import VAE, vae
from zoo_autoregressive.chargpt import CharGPT, chargpt
from zoo_gans.dcgan import DCGAN, dcgan

began = time.perf_counter()


def plain_vae(folder: Path, device: str) -> None:
    recipe = vae.recipes["mnist"]
    images = mnist(folder).to(device)
    net = VAE(recipe, zoo.Sample(zoo.Image(1, 28, 28), classes=10)).to(device).train()
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, recipe))
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema)
    )
    step = 0
    while step < recipe.steps:
        order = torch.randperm(len(images), device=device)
        for index in order[: len(order) // recipe.batch * recipe.batch].split(recipe.batch):
            x = torch.bernoulli(images[index])
            mean, logvar = net.posterior(x)
            z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
            reconstruction = F.binary_cross_entropy_with_logits(net.logits(z), x, reduction="sum") / len(x)
            kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()
            loss = reconstruction + kl
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            scheduler.step()
            average.update_parameters(net)
            step += 1
            tell(step, loss, recipe)
            if step == recipe.steps:
                break


def plain_dcgan(folder: Path, device: str) -> None:
    recipe = dcgan.recipes["mnist"]
    images = mnist(folder).to(device)
    net = DCGAN(recipe, zoo.Sample(zoo.Image(1, 28, 28), classes=10)).to(device).train()
    betas = (0.5, 0.999)
    optimiser_d = torch.optim.AdamW(net.discriminator.parameters(), lr=recipe.lr, betas=betas, weight_decay=0.0)
    optimiser_g = torch.optim.AdamW(net.generator.parameters(), lr=recipe.lr, betas=betas, weight_decay=0.0)
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / recipe.steps)
        for optimiser in (optimiser_d, optimiser_g)
    ]
    step = 0
    while step < recipe.steps:
        order = torch.randperm(len(images), device=device)
        for index in order[: len(order) // recipe.batch * recipe.batch].split(recipe.batch):
            real = images[index]
            with torch.no_grad():
                fake = net.decode(torch.randn(recipe.batch, recipe.latent, device=device))
            loss_d = F.softplus(-net.discriminate(real)).mean() + F.softplus(net.discriminate(fake)).mean()
            optimiser_d.zero_grad()
            loss_d.backward()
            optimiser_d.step()
            fake = net.decode(torch.randn(recipe.batch, recipe.latent, device=device))
            loss_g = F.softplus(-net.discriminate(fake)).mean()
            optimiser_g.zero_grad()
            loss_g.backward()
            optimiser_g.step()
            for scheduler in schedulers:
                scheduler.step()
            step += 1
            tell(step, loss_d, recipe)
            if step == recipe.steps:
                break


def plain_chargpt(folder: Path, device: str) -> None:
    recipe = chargpt.recipes["shakespeare"]
    text = (folder / "tinyshakespeare" / "input.txt").read_text("utf-8")
    vocabulary = "".join(sorted(set(text)))
    index_of = {character: index for index, character in enumerate(vocabulary)}
    data = torch.tensor([index_of[character] for character in text[: len(text) * 9 // 10]], device=device)
    net = CharGPT(recipe, zoo.Sample(zoo.Text(vocabulary, recipe.length))).to(device).train()
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, recipe))
    window = torch.arange(recipe.length, device=device)
    for step in range(1, recipe.steps + 1):
        starts = torch.randint(len(data) - recipe.length + 1, (recipe.batch, 1), device=device)
        tokens = data[starts + window]  # (b, length)
        logits = net(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimiser.step()
        scheduler.step()
        tell(step, loss, recipe)


def mnist(folder: Path) -> Tensor:
    """float32 (60000, 1, 28, 28) in [0, 1]."""
    with gzip.open(folder / "mnist" / "train-images-idx3-ubyte.gz") as file:
        content = np.frombuffer(file.read(), np.uint8, offset=16)
    return torch.from_numpy(content.reshape(-1, 1, 28, 28).astype("float32") / 255)


def cosine(step: int, recipe: zoo.Recipe) -> float:
    """The factor on the learning rate: linear warm-up, then cosine decay to 0."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / (recipe.steps - recipe.warmup)))


def tell(step: int, loss: Tensor, recipe: zoo.Recipe) -> None:
    """Print about 500 lines in a whole run."""
    if step % max(1, recipe.steps // 500) == 0:
        line = {"step": step, "loss": loss.item(), "seconds": time.perf_counter() - began}
        print(json.dumps(line), flush=True)


LOOPS = {"vae.mnist": plain_vae, "dcgan.mnist": plain_dcgan, "chargpt.shakespeare": plain_chargpt}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=LOOPS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # on CUDA torch's convolutions are not float32 otherwise
    LOOPS[arguments.name](expand(os.environ["ZOO_DATA_DIR"]), arguments.device)
