"""The gated PixelCNN: what each token depends on, and that one at a time gives what whole grids give."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

import zoo
from conftest import raises
from zoo import registry
from zoo.contract.generation_plan import Plan
from zoo.core.errors import PluginError
from zoo.hub.resolve import find
from zoo.modules import build
from zoo.modules.torch_backend import TorchBackend
from zoo.release import read
from zoo.runtime.example_inputs import example
from zoo.sampling import autoregressive as tokens_of
from zoo.sampling import generation, loop
from zoo.training import checkpoints
from zoo_autoregressive.gated import GatedPixelCNN
from zoo_export import onnx_graph

ROWS, COLUMNS, CLASSES = 6, 5, 4


@pytest.fixture(scope="module")
def net() -> GatedPixelCNN:
    torch.manual_seed(0)
    return GatedPixelCNN((ROWS, COLUMNS), CLASSES, width=8, layers=3, reach=2, labels=10).eval()


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    return torch.randint(CLASSES, (3, ROWS, COLUMNS), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_one_token_at_a_time_gives_the_logits_of_the_whole_grid(net: GatedPixelCNN, tokens: Tensor) -> None:
    """Of several grids that are at different positions, as a batch may have them."""
    label = torch.tensor([0, 7, 7])
    whole = net(tokens, label).flatten(2)  # (b, classes, cells)
    assert not torch.allclose(whole, net(tokens, label + 1).flatten(2), atol=1e-3)
    specs = [spec for name, spec in net.step_task().inputs.items() if name not in ("token", "label")]
    lags = (0, 2, 7)
    states = [torch.zeros((len(lags), *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in specs]
    fresh = [state.clone() for state in states]
    seen, cells = 0, ROWS * COLUMNS
    for turn in range(cells + max(lags)):
        positions = [turn - lag for lag in lags]
        token = torch.stack([tokens[row].flatten()[p - 1 if 0 < p < cells else 3] for row, p in enumerate(positions)])
        for row, position in enumerate(positions):
            if position <= 0:
                for state, start in zip(states, fresh, strict=True):
                    state[row] = start[row]
        logits, *states = net.step(token, *states, label)
        for row, position in enumerate(positions):
            if 0 <= position < cells:
                torch.testing.assert_close(logits[row], whole[row, :, position], rtol=0, atol=1e-5)
                seen += 1
    assert seen == len(lags) * cells


def test_onnx_runtime_gives_the_logits_of_the_whole_grid() -> None:
    release = read(find("pixelcnn.mnist"))
    module = zoo.load_module(release.folder)
    grid = torch.randint(module.classes, (3, 28, 28), generator=torch.Generator().manual_seed(1))
    whole = module(grid).detach().flatten(2).numpy()
    before = [np.zeros(3, np.int64), *grid.flatten(1).T.numpy()[:-1]]
    with zoo.load(release.folder) as model:
        start = loop.begin(release.plan, np.arange(3), 0, {})
        steps = list(tokens_of.read(model.backend.run, release.plan, start, before))
    assert len(steps) == 28 * 28
    for position, (_, outputs) in enumerate(steps):
        np.testing.assert_allclose(outputs["logits"], whole[:, :, position], rtol=0, atol=1e-5)


@pytest.mark.parametrize("place", [0, 7, COLUMNS * ROWS - 2])
def test_a_token_depends_on_those_before_it_alone(net: GatedPixelCNN, tokens: Tensor, place: int) -> None:
    x = net.embedding(tokens).detach().requires_grad_()
    logits = _of_embedded(net, x).flatten(2)
    (slope,) = torch.autograd.grad(logits[:, :, place].sum(), x)
    depends = slope.abs().sum(-1).flatten(1).sum(0) > 0
    assert not depends[place:].any()
    near = [place - 1, place - COLUMNS - 1, place - COLUMNS, place - COLUMNS + 1]
    row = place // COLUMNS
    assert all(depends[cell] for cell in near if cell >= 0 and abs(cell // COLUMNS - row) <= 1)


def _of_embedded(net: GatedPixelCNN, x: Tensor) -> Tensor:
    """The logits of a grid that is embedded already, (b, rows, columns, inner)."""
    held = net.embedding
    try:
        net.embedding = _Given(x)
        return net(torch.zeros(x.shape[:-1], dtype=torch.long))
    finally:
        net.embedding = held


class _Given(torch.nn.Module):
    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x

    def forward(self, tokens: Tensor) -> Tensor:
        return self.x


@torch.no_grad()
def test_its_probabilities_of_all_grids_sum_to_one() -> None:
    torch.manual_seed(0)
    small = GatedPixelCNN((2, 3), 2, width=4, layers=2, reach=1).eval()
    every = torch.cartesian_prod(*[torch.arange(2)] * 6).view(-1, 2, 3)
    assert (-small.nll(every).double()).exp().sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("levels", [2, 17])
def test_images_come_back_from_their_tokens(levels: int) -> None:
    model, recipe = registry.load_recipe("pixelcnn.tiny")
    module = build(model, dataclasses.replace(recipe, levels=levels), zoo.Sample(zoo.Image(1, 8, 8)), "pixelcnn.tiny")
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    again = module.decode(module.encode(x))
    assert (again - x).abs().max() <= 0.5 / (levels - 1) + 1e-6
    assert torch.equal(module.encode(again), module.encode(x))


@pytest.mark.slow
def test_a_model_with_labels_draws_by_them(tmp_path: Path) -> None:
    changes = {"conditional": True}
    run = zoo.train("pixelcnn.tiny", set=changes, out=tmp_path / "run", release=False, quiet=True)
    model, recipe = registry.load_recipe("pixelcnn.tiny")
    sample = zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)})
    net = build(model, dataclasses.replace(recipe, **changes), sample, "pixelcnn.tiny")
    checkpoints.load_module(checkpoints.weights(checkpoints.read(run.folder)), net)
    tasks = model.tasks(net)
    plan, backend = Plan(model.generation(net), tasks, sample), TorchBackend.of_module(net, tasks)
    drawn = generation.generate(backend.run, plan, n=8, seed=0, label=3)
    assert np.array_equal(drawn[3], generation.generate(backend.run, plan, n=8, seed=0)[3])
    assert not np.array_equal(drawn, generation.generate(backend.run, plan, n=8, seed=0, label=4))
    x = torch.from_numpy(drawn)[:, None] / 255
    threes, fours = (net.score(x, torch.full((8,), label)) for label in (3, 4))  # (b,)
    assert threes.shape == (8,)
    assert not torch.equal(threes, fours)
    session = onnxruntime.InferenceSession(onnx_graph.trace(net, tasks["step"], "step").SerializeToString())
    feeds = {name: example(spec, 3, stream) for stream, (name, spec) in enumerate(tasks["step"].inputs.items())}
    feeds["position"] = np.array([0, 9, 63])
    wanted = backend.run("step", feeds)
    for name, found in zip(wanted, session.run(None, feeds), strict=True):
        np.testing.assert_allclose(found, wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "sample", "words"),
    [
        ({}, zoo.Sample(zoo.Image(3, 8, 8)), ["grey images", "3 channels"]),
        ({"conditional": True}, zoo.Sample(zoo.Image(1, 8, 8)), ["labels", "none"]),
    ],
)
def test_data_that_do_not_fit_are_refused(settings: dict[str, bool], sample: zoo.Sample, words: list[str]) -> None:
    model, recipe = registry.load_recipe("pixelcnn.tiny")
    with raises(PluginError, *words):
        build(model, dataclasses.replace(recipe, **settings), sample, "pixelcnn.tiny")
