"""Optimisers, schedules and phases that a plugin brings: what they compute, and that a resume is exact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import optimiser_plugin
import zoo
from conftest import plugged, raises
from zoo import data, registry
from zoo.core.errors import PluginError, ZooError
from zoo.training import checkpoints, run_folder, state_tree
from zoo.training.distributed import World
from zoo.training.phases import Phase, of_objectives

CPU = torch.device("cpu")
MODELS = ("of_sgd", "of_rmsprop", "of_lion", "of_muon", "of_schedule", "lazy")


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    names = (*MODELS, "lazy_adam")
    with plugged(tmp_path_factory.mktemp("site"), **{name: f"optimiser_plugin:{name}" for name in names}):
        yield


def train(name: str, run: Path, **options: Any) -> checkpoints.Checkpoint:
    zoo.train(f"{name}.tiny", out=run, release=False, quiet=True, checkpoint_every=7, **options)
    return checkpoints.read(run)


def rates(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]
    return [line["lr"] for line in lines if "terms" in line]


@pytest.mark.parametrize("name", MODELS)
def test_resume_is_exact(name: str, tmp_path: Path) -> None:
    """From the checkpoint of step 14, of 20: weights, and all that the optimisers hold, numbers included."""
    whole = train(name, tmp_path / "run", set={"ema": 0.9})
    checkpoints.path_of(tmp_path / "run", 20).unlink()
    resumed = train(name, tmp_path / "run", resume=True, set={"ema": 0.9})
    assert whole.tensors.keys() == resumed.tensors.keys()
    assert all(torch.equal(whole.tensors[key], resumed.tensors[key]) for key in whole.tensors)
    assert whole.state.optimisers == resumed.state.optimisers
    assert any(key.startswith("optimiser.0.") for key in whole.tensors)


def test_numbers_of_a_group_are_in_the_checkpoint(tmp_path: Path) -> None:
    held = train("of_lion", tmp_path / "run").state.optimisers
    groups = state_tree.unflatten(held[0], dict.fromkeys(_names(held[0]), torch.zeros(())))["param_groups"]
    assert [group["count"] for group in groups] == [20, 20]
    assert groups[0]["betas"] == (0.9, 0.99)


def _names(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "tensor":
                yield value
            else:
                yield from _names(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _names(item)


def test_objectives_may_depend_on_the_recipe_and_the_module(tmp_path: Path) -> None:
    groups = [
        dict(train("of_sgd", tmp_path / str(value), set={"momentum": value}).state.optimisers[0]["dict"])
        for value in (0.5, 0.0)
    ]
    first = [dict(group["param_groups"][0]["dict"])["momentum"] for group in groups]
    assert first == [0.5, 0.0]
    assert groups[1]["state"] != groups[0]["state"]  # without momentum SGD has no state


def test_a_schedule_covers_its_part_of_the_run(tmp_path: Path) -> None:
    """From step 5 to step 15 of 20: up to the peak, 1e-2, in the middle, and down again."""
    train("of_schedule", tmp_path / "run")
    done = [step / 10 for step in range(10)]
    expected = [0.0] * 5 + [1e-2 * optimiser_plugin.triangle(t) for t in done] + [0.0] * 5
    assert rates(tmp_path / "run") == pytest.approx(expected, abs=1e-9)


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, 1))
        self.b = nn.Parameter(torch.zeros(1))


def first(line: Line, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    return {"first": (line.w * batch.x.mean() + line.b).square().mean()}


def second(line: Line, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    return {"second": line.w.square().mean()}


def batch() -> zoo.Batch:
    return zoo.Batch(torch.ones(4, 1, 2, 2), {}, torch.arange(4), torch.zeros(()))


def test_each_group_has_its_own_learning_rate_scaled_by_one_factor() -> None:
    """Groups of a plugin with other learning rates keep their ratio through warm-up."""
    recipe = zoo.Recipe(steps=10, warmup=4, lr=0.1, precision="fp32")

    def optimiser(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        assert [len(group["params"]) for group in groups] == [1, 1]
        assert [group["lr"] for group in groups] == [0.1, 0.1]
        assert groups[1]["weight_decay"] == 0.0
        assert "weight_decay" not in groups[0]
        groups[0]["lr"] *= 5
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=0.01)

    phase = Phase(0, zoo.Objective(first, optimiser=optimiser), Line(), recipe, CPU, World())
    for step, factor in enumerate((0.25, 0.5, 0.75, 1.0, 1.0)):
        phase.move(lambda _: batch(), step)
        assert [group["lr"] for group in phase.optimiser.param_groups] == pytest.approx([0.5 * factor, 0.1 * factor])
        assert phase.rate(step) == pytest.approx(0.1 * factor)
    assert [group["weight_decay"] for group in phase.optimiser.param_groups] == [0.01, 0.0]


def test_a_shared_optimiser_takes_the_steps_of_both_phases() -> None:
    """As if both gradients had gone, one after the other, through one SGD with momentum."""
    recipe = zoo.Recipe(steps=8, lr=0.1, precision="fp32")

    def optimiser(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, momentum=0.9)

    ours, plain = Line(), Line()
    objectives = (zoo.Objective(first, optimiser=optimiser), zoo.Objective(second, shares="first", every=2))
    phases = of_objectives(objectives, ours, recipe, CPU, World())
    assert phases[0].optimiser is phases[1].optimiser
    sgd = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    for step in range(8):
        for phase, loss in zip(phases, (first, second), strict=True):
            if phase.due(step):
                phase.move(lambda _: batch(), step)
                sgd.zero_grad()
                sum(loss(plain, batch(), recipe).values()).backward()  # type: ignore[union-attr]
                sgd.step()
    assert float(ours.w.detach()) != 1.0
    assert torch.allclose(ours.w, plain.w, rtol=1e-6, atol=0)
    assert torch.allclose(ours.b, plain.b, rtol=1e-6, atol=0)


def test_a_run_with_a_shared_optimiser_holds_it_once(tmp_path: Path) -> None:
    held = train("lazy", tmp_path / "run")
    assert len(held.state.optimisers) == 2
    counts = [dict(group["dict"]).get("count") for group in dict(held.state.optimisers[0]["dict"])["param_groups"]]
    assert counts == [25, 25]  # 20 steps, and 5 of the penalty


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of what it meets on the way
def test_a_shared_optimiser_beside_a_loss_that_is_compiled() -> None:
    model = registry.load("lazy_adam")
    sample = data.load("digits", "train").sample
    recipe = model.recipes["tiny"]
    weights = []
    for options in (None, {"backend": "eager"}):
        torch.manual_seed(0)
        net = model.build(recipe, sample)
        x = zoo.Batch(torch.rand(8, *sample.x.shape), {}, torch.arange(8), torch.zeros(()))
        phases = of_objectives(model.phases(recipe, net), net, recipe, CPU, World(), options)
        for step in range(3):
            for phase in phases:
                if phase.due(step):
                    phase.move(lambda _, x=x: x, step)  # type: ignore[misc]
        weights.append(net.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, msg=name)


def test_a_schedule_that_breaks_later_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def schedule(t: float) -> float:
        return -1.0 if 0.5 < t < 0.5625 else 1.0  # between the points that are tried before step 0

    objective = zoo.Objective(first, schedule=schedule)
    phase = Phase(0, objective, Line(), zoo.Recipe(steps=100, precision="fp32"), CPU, World())
    phase.move(lambda _: batch(), 50)
    with raises(PluginError, "The phase 'first' stopped at step 52: the schedule 'schedule' gives -1.0 at t = 0.52"):
        phase.move(lambda _: batch(), 52)


def test_a_checkpoint_of_another_optimiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("of_lion", tmp_path / "run", set={"steps": 20})
    checkpoints.path_of(tmp_path / "run", 20).unlink()
    monkeypatch.setattr(optimiser_plugin, "of_lion", optimiser_plugin.lazy)
    registry.forget()
    with raises(ZooError, "does not fit the installed plugin: it has 1 optimisers, and the plugin has 2"):
        train("of_lion", tmp_path / "run", resume=True)
    registry.forget()


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": torch.ones(1), "a": {"b": torch.zeros(2)}, 3: {"x": None, "y": True}},
        {"list": [1, 2.5, "text"], "tuple": (1, (2, torch.arange(3)))},
        {"not finite": [float("inf"), float("-inf")], "nested": {0: {1: {"deep": torch.tensor(1.5)}}}},
        {},
    ],
)
def test_a_state_dict_comes_back_as_it_was(value: dict[Any, Any]) -> None:
    tree, tensors = state_tree.flatten(value)
    again = state_tree.unflatten(json.loads(json.dumps(tree)), tensors)
    assert repr(again) == repr(value)  # tensors by their values


@pytest.mark.parametrize("value", [{"f": print}, {"x": {1.5: 0}}, {"bytes": b"x"}, {"set": {1}}])
def test_what_no_checkpoint_holds(value: dict[Any, Any]) -> None:
    with pytest.raises(TypeError, match="state_dict"):
        state_tree.flatten(value)
