"""The VQ-VAE: its codebook, and which weights move in which half of a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from conftest import Shelf, raises
from zoo import data, registry
from zoo.core.errors import EvaluationError
from zoo.modules import build
from zoo.training import checkpoints


@pytest.fixture
def module() -> torch.nn.Module:
    model, recipe = registry.load_recipe("vq-vae.tiny")
    return build(model, recipe, zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)}), "vq-vae.tiny")


def test_the_nearest_vector_is_found(module: torch.nn.Module) -> None:
    z = torch.randn(5, 2, 2, 8, generator=torch.Generator().manual_seed(0))
    wanted = (z[..., None, :] - module.codebook).square().sum(-1).argmin(-1)
    assert torch.equal(module.distances(z).argmin(-1), wanted)


def test_the_codebook_becomes_the_means_of_what_is_nearest(module: torch.nn.Module) -> None:
    """On z in half as many clumps as there are vectors, each clump gets one, and each vector a clump."""
    generator = torch.Generator().manual_seed(0)
    middles = 5 * torch.randn(module.num_embeddings // 2, 8, generator=generator)
    for _ in range(100):
        z = (middles[:, None] + 0.01 * torch.randn(len(middles), 16, 8, generator=generator)).flatten(0, 1)
        module.learn(z, module.distances(z).argmin(-1), 0.9)
    away = torch.cdist(middles, module.codebook)
    assert away.min(1).values.max() < 0.05
    assert away.min(0).values.max() < 0.05


def test_a_vector_that_nothing_uses_becomes_a_z_far_from_the_others(module: torch.nn.Module) -> None:
    module.cluster_size.fill_(10)
    module.embed_sum.copy_(10 * module.codebook)
    module.cluster_size[3] = 0
    z = module.codebook[[0] * 50 + [1] * 50].clone()
    z[70] = 100.0
    before = module.codebook.clone()
    module.learn(z, torch.tensor([0] * 50 + [1] * 50), 0.999)
    assert torch.equal(module.codebook[3], torch.full((8,), 100.0))
    torch.testing.assert_close(module.codebook[[0, 2, 4]], before[[0, 2, 4]])


def test_each_half_of_a_run_moves_its_own_weights(tmp_path: Path) -> None:
    zoo.train("vq-vae.tiny", out=tmp_path / "run", release=False, quiet=True, checkpoint_every=20)
    first, last = (_module(tmp_path / "run", step) for step in ("20", "last"))
    start = build(*_tiny())
    moved = {
        half: {key.split(".")[0] for key in left if not torch.equal(left[key], right[key])}
        for half, left, right in (("first", start.state_dict(), first), ("second", first, last))
    }
    assert moved == {"first": {"encoder", "decoder", "codebook", "cluster_size", "embed_sum"}, "second": {"prior"}}


def _tiny() -> tuple[zoo.Model, zoo.Recipe, zoo.Sample, str]:
    model, recipe = registry.load_recipe("vq-vae.tiny")
    return model, recipe, zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)}), "vq-vae.tiny"


def _module(run: Path, which: str) -> dict[str, Tensor]:
    return {key[7:]: value for key, value in checkpoints.read(run, which).tensors.items() if key.startswith("module.")}


@pytest.mark.slow
def test_the_use_of_the_codebook_is_measured(shelf: Shelf) -> None:
    images = data.load("digits", "test").array[:, 0]
    with zoo.load(shelf.release("vq-vae")) as model:
        shares = np.bincount(model.encode(images).ravel(), minlength=16) / (4 * len(images))
    found = {
        measurement.name: measurement.value
        for measurement in zoo.evaluate(shelf.run("vq-vae"), only=["codebook"]).measurements
    }
    entropy = -sum(share * math.log(share) for share in shares if share)
    assert found == pytest.approx({"codebook_use": (shares > 0).mean(), "perplexity": math.exp(entropy)})
    with raises(EvaluationError, "grid of codes"):
        zoo.evaluate(shelf.run("vae"), only=["codebook"], quiet=True)
