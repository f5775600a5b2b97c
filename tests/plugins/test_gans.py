"""What the GANs promise beyond what every model does: their losses' values, clipped and normalised critics, labels."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from conftest import RELEASED, Trained, raises
from zoo import registry
from zoo.core.errors import PluginError
from zoo.hub.resolve import find
from zoo.plugin import Batch
from zoo.release import read
from zoo.training import checkpoints
from zoo_gans import cgan, gan, infogan, lsgan, nets, sngan, wgan, wgan_gp

SAMPLE = zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)})
GANS = ("gan", "dcgan", "lsgan", "wgan", "wgan-gp", "sngan", "cgan", "infogan", "bigan")


def images(value: float = 0.5, count: int = 6) -> Batch:
    labels = torch.arange(count) % 10
    return Batch(
        x=torch.full((count, 1, 8, 8), value), fields={"label": labels}, index=labels, progress=torch.zeros(())
    )


class Mean(nn.Module):
    """A critic that gives `slope` times the mean of an image in [-1, 1]."""

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x.flatten(1).mean(1, keepdim=True)


class Even(nn.Module):
    """A generator of images that are 0.5 (which is 0 in [-1, 1]) everywhere."""

    def forward(self, z: Tensor) -> Tensor:
        return 0 * z[:, :1, None, None].expand(-1, 1, 8, 8)


def pair(critic: nn.Module) -> nets.GAN:
    return nets.GAN(SAMPLE, 3, Even(), critic)


@pytest.mark.parametrize(
    ("losses", "discriminator", "generator"),
    [
        (gan, [math.log1p(math.exp(-1)), math.log(2)], math.log(2)),
        (lsgan, [0.0, 0.0], 0.5),
        (sngan, [0.0, 1.0], 0.0),
        (wgan, [-1.0], 0.0),
    ],
)
def test_losses_have_the_values_of_their_equations(
    losses: object, discriminator: list[float], generator: float
) -> None:
    """A real image is 1 everywhere and rated 1, a generated one 0.5 and rated 0."""
    model, batch, recipe = pair(Mean()), images(1.0), zoo.Recipe()
    rate = losses.critic_loss if hasattr(losses, "critic_loss") else losses.discriminator_loss  # type: ignore[attr-defined]
    found = [term.item() for term in rate(model, batch, recipe).values()]
    assert found == pytest.approx(discriminator, abs=1e-6)
    (term,) = losses.generator_loss(model, batch, recipe).values()  # type: ignore[attr-defined]
    assert term.item() == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_the_gradient_penalty_is_that_of_the_slope(slope: float) -> None:
    """Of a linear critic the slope is known: `slope` / 8 for the mean of 64 pixels, as images in [-1, 1]."""
    terms = wgan_gp.critic_loss(pair(Mean(8 * slope)), images(), wgan_gp.Recipe(penalty=10.0))
    assert terms["penalty"].item() == pytest.approx(10 * (slope - 1) ** 2, abs=1e-5)


def test_clipped_weights_stay_within_their_bound(trained: Trained) -> None:
    held = trained("wgan").tensors
    weights = [held[f"module.{name}"] for name in _critic("wgan")]
    largest = max(weight.abs().max().item() for weight in weights)
    assert largest == pytest.approx(wgan.Recipe().bound)
    free = trained("dcgan").tensors
    assert max(free[f"module.{name}"].abs().max().item() for name in _critic("dcgan")) > 0.5


def _critic(model: str) -> list[str]:
    names = registry.load(model).build(registry.load(model).recipes["tiny"], SAMPLE).named_parameters()
    return [name for name, _ in names if name.startswith("discriminator")]


def test_normalised_weights_have_a_largest_singular_value_of_1(trained: Trained) -> None:
    model = registry.load("sngan")
    module = model.build(model.recipes["tiny"], SAMPLE).eval()
    checkpoints.load_module(checkpoints.weights(trained("sngan")), module)
    layers = [layer for layer in module.discriminator if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 4
    for layer in layers:
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        assert values[0].item() == pytest.approx(1, abs=0.2)  # a power iteration each step, of few steps
        plain = torch.linalg.svdvals(layer.parametrizations.weight.original.flatten(1))  # type: ignore[union-attr,operator]
        assert values[0].item() != pytest.approx(plain[0].item(), abs=1e-4)


@pytest.mark.parametrize("name", [name for name in GANS if f"{name}.mnist" in RELEASED])
def test_what_judges_is_not_released(name: str) -> None:
    release = read(find(f"{name}.mnist"))
    left_out = release.manifest["left_out"]
    assert any(tensor.startswith("discriminator") for tensor in left_out)
    assert not any(
        tensor.startswith(("generator", "embedding", "encoder")) and "tracked" not in tensor for tensor in left_out
    )


@pytest.mark.parametrize("name", ["cgan", "infogan"])
def test_a_label_makes_another_sample_and_the_same_one_the_same(name: str) -> None:
    with zoo.load(f"{name}.mnist") as model:
        (label,) = model.release.plan.labels()  # infogan finds its classes itself, and calls them codes
        threes, fours = (model.generate(4, seed=1, **{label: value}) for value in (3, 4))
        each = model.generate(12, seed=1)
        alone = model.generate(1, seed=1, first=4, **{label: 4})
    assert np.abs(threes.astype(int) - fours).max() > 1
    assert np.abs(each[3].astype(int) - threes[3]).max() <= 1  # sample 3 has label 3 if none is asked for
    assert np.abs(each[4].astype(int) - alone[0]).max() <= 1


def test_a_conditional_gan_needs_labels(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.fromarray(np.full((8, 8), 80 * number, np.uint8)).save(tmp_path / f"{number}.png")
    with raises(PluginError, "cgan.tiny", "it needs labels", "0 classes"):
        zoo.train("cgan.tiny", data=f"folder:{tmp_path}", out=tmp_path / "run", set={"batch": 2}, quiet=True)


def test_the_projection_rates_a_image_by_its_label() -> None:
    """D(x, y) − D(x, y′) is (v_y − v_y′)·φ(x), and nothing else."""
    module = cgan.CGAN(cgan.cgan.recipes["tiny"], SAMPLE).eval()
    x = torch.rand(5, 1, 8, 8)
    label, other = torch.arange(5), torch.arange(5) + 3
    features, vectors = module.discriminator["body"](2 * x - 1), module.discriminator["embedding"].weight
    difference = module.discriminate(x, label) - module.discriminate(x, other)
    torch.testing.assert_close(difference, ((vectors[label] - vectors[other]) * features).sum(1), atol=1e-6, rtol=1e-5)


class Reader:
    """Stands where InfoGAN's Q does: its logits, and 0.5 for each style."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits, torch.full((len(x), 2), 0.5)


def test_information_is_what_the_q_network_knows() -> None:
    """No more than chance for even logits; all of it, log 10, for those that are right and sure."""
    x, code, done = torch.zeros(4, 1, 8, 8), torch.arange(4), torch.tensor(0.9)
    style, recipe = torch.full((4, 2), 0.5), infogan.Recipe(information=2.0, style_information=0.1, onset=0.4)
    nothing = infogan.information(Reader(torch.zeros(4, 10)), x, code, style + 1, done, recipe)  # type: ignore[arg-type]
    assert nothing["code"].item() == pytest.approx(2 * math.log(10))
    assert nothing["style"].item() == pytest.approx(0.1)
    early = infogan.information(Reader(torch.zeros(4, 10)), x, code, style, torch.tensor(0.6), recipe)  # type: ignore[arg-type]
    assert early["code"].item() == pytest.approx(math.log(10))
    sure = infogan.information(Reader(100 * torch.eye(10)[code]), x, code, style, done, recipe)  # type: ignore[arg-type]
    assert [term.item() for term in sure.values()] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_what_twins_have_in_common_is_their_information() -> None:
    """log 4 for four classes that agree, 0 for one class only, and for those of strangers."""
    sure = 100 * torch.eye(4).repeat(5, 1)
    assert infogan.paired_information(sure, sure).item() == pytest.approx(math.log(4), abs=1e-3)
    assert infogan.paired_information(sure[:1], sure[:1]).item() == pytest.approx(0, abs=1e-4)
    left, right = torch.arange(16) // 4, torch.arange(16) % 4
    assert infogan.paired_information(sure[left], sure[right]).item() == pytest.approx(0, abs=1e-4)


def test_distorted_images_are_the_same_thing_elsewhere() -> None:
    torch.manual_seed(0)
    x = torch.zeros(50, 1, 28, 28)
    x[:, :, 10:18, 10:18] = 1
    other = infogan.distorted(x)
    assert other.shape == x.shape
    assert ((other.sum((1, 2, 3)) / 64).log().abs() < 1.2).all()
    assert (other - x).abs().amax((1, 2, 3)).min() > 0.1


def test_the_score_of_a_bigan_is_its_reconstruction_error() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    with zoo.load("bigan.mnist") as model:
        back = model.reconstruct(x).astype(float)
        scores = model.score(x)
        again = model.decode(model.encode(x)).astype(float)
    assert np.abs(back - again).max() <= 1
    assert scores == pytest.approx(np.abs(back - x).sum((1, 2)) / 255, abs=28 * 28 * 0.5 / 255)


def test_statistics_are_the_mean_over_what_a_network_was_given() -> None:
    norm = nn.BatchNorm1d(2).eval()
    inputs = [torch.randn(50, 2) + place for place in range(3)]
    batches = [SimpleNamespace(x=x) for x in (*inputs, torch.zeros(1, 2))]  # the last, of one, has no variance
    nets.take_statistics(norm, lambda batch: norm(batch.x), batches)  # type: ignore[arg-type]
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in inputs]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in inputs]).mean(0))
    assert norm.momentum == 0.1
    assert not norm.training


def test_the_statistics_of_a_release_are_those_of_the_averaged_generator(tmp_path: Path) -> None:
    """A channel of fresh samples before its norm has the mean that the norm takes off."""
    run = zoo.train("dcgan.tiny", out=tmp_path / "run", set={"ema": 0.9}, release=False, quiet=True)
    model = registry.load("dcgan")
    module = model.build(model.recipes["tiny"], SAMPLE).eval()
    checkpoints.load_module(checkpoints.weights(checkpoints.read(run.folder)), module)  # what a release is made of
    generator = module.generator
    torch.manual_seed(0)
    with torch.no_grad():
        before = generator[:2](torch.randn(4000, 8))
    deviation = generator[2].running_var.sqrt()
    assert ((before.mean((0, 2, 3)) - generator[2].running_mean).abs() < 0.1 * deviation).all()
    assert (before.var((0, 2, 3)).sqrt() / deviation - 1).abs().max() < 0.1


@pytest.mark.parametrize("name", ["dcgan", "infogan", "bigan"])
def test_a_last_batch_of_one_image_is_no_trouble(name: str, tmp_path: Path) -> None:
    changes = {"batch": 100, "validation": 99, "steps": 1}  # of 1,500 digits: 14 batches, and one image
    assert zoo.train(f"{name}.tiny", out=tmp_path / "run", set=changes, release=False, quiet=True).steps == 1


def test_a_gan_without_hidden_layers() -> None:
    built = gan.build(gan.Recipe(data=zoo.use("digits"), hidden=(), latent=4), SAMPLE)
    assert built.discriminate(built.decode(torch.randn(3, 4))).shape == (3, 1)
