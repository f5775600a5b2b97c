"""pythae's convolutional VAE for MNIST, in pythae's own trainer and as a model of the zoo.

    ZOO_DATA_DIR=DIR python benchmarks/pythae_vae.py      trains it with pythae's trainer and its defaults

The zoo model has the same encoder, decoder, loss, batch size and learning rate. Chadebec, Vincent & Allassonnière
2022, "Pythae: unifying generative autoencoders in Python", https://arxiv.org/abs/2206.08309. Needs pythae 0.1.2.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

try:
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback
except ModuleNotFoundError as error:
    raise SystemExit(
        f"No module named {error.name!r}: this needs an environment with pythae 0.1.2. "
        "Run: python -m venv DIR; DIR/bin/pip install -c constraints.txt pythae==0.1.2 -e '.[cpu,train]'"
    ) from error
from torch import Tensor, nn

import zoo
from measure import data_dir
from plain import mnist

LATENT = 16  # as in the examples of pythae's documentation


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    pass


def network() -> VAE:
    """Build pythae's VAE, with a Gaussian p(x|z) of unit variance, its default."""
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT)
    return VAE(config, Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config))


class Wrapped(nn.Module):
    """pythae's VAE with the interface that zoo needs."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.vae = sample, network()

    def decode(self, z: Tensor) -> Tensor:
        return self.vae.decoder(z).reconstruction


def loss(module: Wrapped, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    out = module.vae({"data": batch.x})
    return {"reconstruction": out.recon_loss, "kl": out.reg_loss}


def tasks(module: Wrapped) -> Mapping[str, zoo.Task]:
    return {"decode": zoo.Task(module.decode, {"z": zoo.Noise((LATENT,))}, {"image": module.sample.x})}


DEFAULTS = BaseTrainerConfig()
BATCH, LR = DEFAULTS.per_device_train_batch_size, DEFAULTS.learning_rate

model = zoo.Model(
    card=zoo.Card(
        title="pythae's VAE",
        summary="The network that pythae trains on MNIST.",
        paper="https://arxiv.org/abs/2206.08309",
        citation="Chadebec et al. 2022",
    ),
    build=Wrapped,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    recipes={"mnist": Recipe(data=zoo.use("mnist"), batch=BATCH, lr=LR, steps=500)},
)


class Tell(TrainingCallback):  # type: ignore[misc]
    """Prints each step with its time in seconds, as zoo does in a run of 500 steps."""

    def __init__(self) -> None:
        self.step, self.began = 0, time.perf_counter()

    def on_train_step_end(self, training_config: BaseTrainerConfig, **rest: Any) -> None:
        self.step += 1
        print(json.dumps({"step": self.step, "seconds": time.perf_counter() - self.began}), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TrainingPipeline(model=network(), training_config=BaseTrainerConfig(output_dir=folder))(
            train_data=mnist(data_dir()).numpy(), callbacks=[Tell()]
        )
