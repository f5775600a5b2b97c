"""Several processes, started by torchrun on the CPU: the same loss curve as one, equal weights, one writer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from zoo.training import checkpoints, run_folder

pytestmark = pytest.mark.slow

PLUGIN = '''
"""Two models without noise and without batch statistics, and one that draws noise where it must not."""
from dataclasses import dataclass, replace

import torch
from torch import nn
import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    width: int = zoo.setting(16, "hidden numbers", ge=1)


class Plain(nn.Module):
    def __init__(self, recipe, sample):
        super().__init__()
        self.sample = sample
        size = sample.x.channels * sample.x.height * sample.x.width
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(size, recipe.width), nn.Tanh(), nn.Linear(recipe.width, size))
        self.layers = nn.ModuleList([nn.Linear(size, size)])
        self.scale = nn.Parameter(torch.tensor(1.0))

    def reconstruct(self, x):
        scale = 1 if self.scale is None else self.scale
        return (scale * self.layers[0](self.net(x))).sigmoid().view_as(x)


def squares(plain, batch, recipe):
    return {"error": (plain.reconstruct(batch.x) - batch.x).square().flatten(1).sum(1).mean()}


def plain_tasks(plain):
    return {"reconstruct": zoo.Task(plain.reconstruct, {"image": plain.sample.x}, {"reconstruction": plain.sample.x})}


class Critic(nn.Module):
    """A Wasserstein critic against a generator that starts from the sample's own index instead of noise."""

    def __init__(self, recipe, sample):
        super().__init__()
        self.sample, self.size = sample, sample.x.height * sample.x.width
        self.generator = nn.Sequential(nn.Linear(8, recipe.width), nn.Tanh(), nn.Linear(recipe.width, self.size))
        self.critic = nn.Sequential(nn.Linear(self.size, recipe.width), nn.Tanh(), nn.Linear(recipe.width, 1))

    def decode(self, z):
        return self.generator(z).sigmoid().view(-1, *self.sample.x.shape)

    def fake(self, index):
        return self.decode(torch.sin(index[:, None] * torch.arange(1, 9)))


def critic_loss(net, batch, recipe):
    """Wasserstein distance with a gradient penalty (Gulrajani et al. 2017, eq. 3)."""
    real, fake = batch.x.flatten(1), net.fake(batch.index).flatten(1).detach()
    between = ((real + fake) / 2).requires_grad_()
    (gradient,) = torch.autograd.grad(net.critic(between).sum(), between, create_graph=True)
    penalty = (gradient.norm(dim=1) - 1).square().mean()
    return {"distance": net.critic(fake).mean() - net.critic(real).mean(), "penalty": 10 * penalty}


def distance(net, batch, recipe):
    return {"distance": critic_loss(net, batch, recipe)["distance"]}


def penalty(net, batch, recipe):
    return {"penalty": critic_loss(net, batch, recipe)["penalty"]}


def momentum(groups):
    return torch.optim.SGD(groups, momentum=0.9)


def generator_loss(net, batch, recipe):
    return {"generator": -net.critic(net.fake(batch.index).flatten(1)).mean()}


def critic_tasks(net):
    return {"decode": zoo.Task(net.decode, {"z": zoo.Noise((8,))}, {"image": net.sample.x})}


def drift(plain, recipe):
    """A projection that no two processes agree on."""
    import os

    plain.layers[0].bias.add_(0.1 * int(os.environ.get("RANK", "0")))


card = zoo.Card(title="Test", summary="A model of the tests.", paper="https://example.org", citation="A 2026")
recipes = {"tiny": Recipe(steps=20, batch=32, precision="fp32")}
plain = zoo.Model(card=card, build=Plain, objectives=(zoo.Objective(squares),), tasks=plain_tasks, recipes=recipes)
drifting = replace(plain, objectives=(zoo.Objective(squares, after=drift),))


def held(recipe, sample):
    """The net is frozen, and the layer after it, which a split model splits by itself, is not."""
    plain = Plain(recipe, sample)
    plain.scale = None  # no scalar can be split
    plain.net.requires_grad_(False)
    return plain


def held_layer(recipe, sample):
    critic = Critic(recipe, sample)
    critic.critic[0].requires_grad_(False)
    return critic


frozen = replace(plain, build=held)
critic = zoo.Model(
    card=card,
    build=Critic,
    objectives=(
        zoo.Objective(critic_loss, params=("critic",)),
        zoo.Objective(generator_loss, params=("generator",), every=2),
    ),
    tasks=critic_tasks,
    generate=zoo.OneShot("decode"),
    recipes=recipes,
)
frozen_critic = replace(critic, build=held_layer)
lazy = replace(
    critic,
    objectives=(
        zoo.Objective(distance, params=("critic",), optimiser=momentum, schedule=lambda t: 1 - t),
        zoo.Objective(penalty, shares="distance", every=4),
        zoo.Objective(generator_loss, params=("generator",), every=2),
    ),
)


def unscaled(recipe, sample):
    plain = Plain(recipe, sample)
    plain.scale = None
    return plain


declared = replace(plain, build=unscaled, frozen=("net",), objectives=(zoo.Objective(squares, optimiser=momentum),))
'''


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution of the models above, as if it were installed."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "equal_models.py").write_text(PLUGIN)
    about = folder / "equal_models-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: equal-models\nVersion: 1.0\n")
    names = "\n".join(
        f"{name} = equal_models:{name}"
        for name in ("plain", "critic", "drifting", "frozen", "frozen_critic", "lazy", "declared")
    )
    (about / "entry_points.txt").write_text(f"[zoo.models]\n{names}\n")
    return folder


Train = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def train(plugins: Path, tmp_path: Path) -> Train:
    """Runs ``zoo train`` in a number of processes, in the test's folder."""

    def run(processes: int, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(processes, *arguments),
            cwd=tmp_path,
            env=environment(plugins),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert expect is None or done.returncode == expect, done.stderr
        return done

    return run


def command(processes: int, *arguments: str) -> list[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *(torchrun if processes > 1 else ()), "-m", "zoo", "train", *arguments]


def environment(plugins: Path) -> Mapping[str, str]:
    path = os.pathsep.join(filter(None, [str(plugins), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def curve(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]
    return [line["terms"] for line in lines if "terms" in line]


def close(left: Path, right: Path) -> None:
    """The same loss curve and the same weights, within what float32 sums in another order may differ."""
    assert len(curve(left)) == len(curve(right)) == 20
    for one, other in zip(curve(left), curve(right), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)
    one, other = (checkpoints.read(run).tensors for run in (left, right))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("model", ["plain", "critic", "lazy"])
def test_two_processes_learn_as_one(model: str, train: Train, tmp_path: Path) -> None:
    """One phase, and two with a gradient penalty: half of the batch in each process, or all of it in one."""
    train(1, f"{model}.tiny", "-o", "one", "--no-release")
    train(2, f"{model}.tiny", "-o", "two", "--no-release")
    close(tmp_path / "one", tmp_path / "two")


def test_two_processes_draw_what_two_micro_batches_draw(train: Train, tmp_path: Path) -> None:
    """A micro-batch has its own noise, whoever computes it; only the running statistics of BatchNorm differ."""
    options = ("vae.tiny", "--no-release", "--precision", "fp32")
    train(2, *options, "-o", "two")
    train(1, *options, "-o", "parts", "--set", "accumulate=2")
    for one, other in zip(curve(tmp_path / "two"), curve(tmp_path / "parts"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("model", ["vae", "dcgan"])
def test_two_processes_train_and_release(model: str, train: Train, tmp_path: Path) -> None:
    """That the processes hold the same bits is checked at each checkpoint; it is the first one that writes."""
    done = train(2, f"{model}.tiny", "-o", "run", "--set", "ema=0.9")
    assert "in 2 processes" in done.stderr
    assert "BatchNorm uses the statistics of each process's own micro-batch" in done.stderr
    assert done.stdout.count("Trained") == 1
    assert (tmp_path / "run" / "release" / "manifest.json").is_file()
    assert len(curve(tmp_path / "run")) == 20


@pytest.mark.parametrize(
    ("model", "option", "part"),
    [
        ("frozen", "--no-release", "net."),
        ("frozen", "--shard", "net."),
        ("frozen_critic", "--no-release", "critic.0."),
        ("declared", "--no-release", "net."),
        ("declared", "--shard", "net."),
    ],
)
def test_frozen_weights_stay_frozen_in_two_processes(
    model: str, option: str, part: str, train: Train, tmp_path: Path
) -> None:
    settings = ("--no-release", "--set", "ema=0.9", "--set", "clip=0.1")
    train(1, f"{model}.tiny", "-o", "one", *settings)
    train(2, f"{model}.tiny", "-o", "two", *settings, option)
    close(tmp_path / "one", tmp_path / "two")
    one, two = (checkpoints.read(tmp_path / run).tensors for run in ("one", "two"))
    fresh = [name for name in one if name.startswith((f"module.{part}", f"ema.{part}"))]
    assert fresh
    assert all(torch.equal(one[name], two[name]) for name in fresh)
    assert all(torch.equal(two[name.replace("ema.", "module.")], two[name]) for name in fresh)
    moments = 1 if model == "declared" else 3
    assert sum(name.startswith("optimiser.") for name in one) == moments * sum(
        name.startswith("module.") and name not in fresh for name in one
    )


def test_processes_that_drift_apart_are_stopped(train: Train, tmp_path: Path) -> None:
    done = train(2, "drifting.tiny", "-o", "run", expect=1)
    assert "Error: The processes hold different weights" in done.stderr
    assert not checkpoints.steps(tmp_path / "run")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param((), id="plain"),
        pytest.param(("--set", "ema=0.9", "--set", "clip=0.1"), id="ema"),
    ],
)
def test_split_weights_learn_as_whole_ones(settings: tuple[str, ...], train: Train, tmp_path: Path) -> None:
    options = ("chargpt.tiny", "--precision", "fp32", "--no-release", *settings)
    train(1, *options, "-o", "one")
    train(2, *options, "-o", "two", "--shard")
    close(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("model", ["chargpt", "declared"])
def test_split_weights_go_on_where_they_stopped(model: str, train: Train, tmp_path: Path) -> None:
    options = (f"{model}.tiny", "--shard", "--no-release", "--set", "ema=0.9", "--checkpoint-every", "8")
    train(2, *options, "-o", "whole")
    train(2, *options, "-o", "cut")
    checkpoints.path_of(tmp_path / "cut", 20).unlink()
    train(2, *options, "-o", "cut", "--resume")
    left, right = (checkpoints.read(tmp_path / run).tensors for run in ("whole", "cut"))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_scalar_weight_cannot_be_split(train: Train) -> None:
    done = train(2, "plain.tiny", "--shard", expect=1)
    assert "--shard cannot split this model: ValueError: fully_shard doesn't support scalar" in done.stderr
    assert "Leave --shard out." in done.stderr


def test_a_model_with_several_phases_is_not_split(train: Train) -> None:
    done = train(2, "dcgan.tiny", "--shard", expect=1)
    assert "Error: --shard is for models with one phase, and this one has 2. Omit --shard." in done.stderr
    assert "(process 1) --shard is for models with one phase" in done.stderr or "SIGTERM" in done.stderr


def test_two_processes_are_stopped_and_go_on(plugins: Path, train: Train, tmp_path: Path) -> None:
    """SIGTERM to torchrun reaches both; they agree on the step, write its checkpoint, and go on from it exactly."""
    options = ("critic.tiny", "--set", "steps=800", "--no-release", "--checkpoint-every", "800")
    train(2, *options, "-o", "whole")
    with subprocess.Popen(
        command(2, *options, "-o", "cut"),
        cwd=tmp_path,
        env=environment(plugins),
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        metrics = tmp_path / "cut" / run_folder.METRICS
        while training.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
            time.sleep(0.01)
        training.send_signal(signal.SIGTERM)
        _, said = training.communicate()
    assert re.search(r"Error: Terminated at step \d+\. The checkpoint is", said), said
    (step,) = checkpoints.steps(tmp_path / "cut")
    assert 0 < step < 800
    train(2, *options, "-o", "cut", "--resume")
    left, right = (checkpoints.read(tmp_path / run).tensors for run in ("whole", "cut"))
    assert all(torch.equal(left[name], right[name]) for name in left)
