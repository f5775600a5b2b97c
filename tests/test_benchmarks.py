"""The scripts in benchmarks/ run on the code as it is, and compare what they say they compare."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import data, registry
from zoo.modules import build, mix
from zoo.training import phases, runs
from zoo.training.batches import Batches
from zoo.training.distributed import World
from zoo.training.loop import How, Running

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks"
sys.path.append(str(SCRIPTS))

import plain  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Data of the form that the recipes have, by the recipe's data set: 40 images of 28 × 28, and a short text."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(40):
        pixels = random.integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 100)
    return {"mnist": f"folder:{folder / 'images'}", "shakespeare": f"text:{folder / 'text.txt'}"}


@pytest.mark.parametrize("name", plain.LOOPS)
def test_a_plain_loop_is_the_trainer_step_by_step(name: str, own_data: dict[str, str], tmp_path: Path) -> None:
    """From the same weights, batches and noise both have the same losses, and then the same weights and EMA."""
    model, kind, _ = plain.LOOPS[name]
    _, recipe = registry.load_recipe(name)
    assert recipe == model.recipes[name.partition(".")[2]]
    # What a recipe may ask for and no plain loop does.
    assert (recipe.accumulate, recipe.flip, recipe.crop, recipe.leave_out, recipe.validation) == (1, False, 0, -1, 0)
    recipe = dataclasses.replace(recipe, data=own_data[recipe.data], batch=4, warmup=2, steps=3, precision="fp32")

    how = How(compiled=None, sharded=False, checkpoint_every=3, tensorboard=False, quiet=True)
    run = Running(name, model, recipe, tmp_path, CPU, World(), None, None, False, how)
    fresh = {key: value.clone() for key, value in run.module.state_dict().items()}
    run.train(lambda: None)
    lines = map(json.loads, (tmp_path / runs.METRICS).read_text().splitlines())
    terms = [list(line["terms"].values()) for line in lines if "terms" in line]

    train = data.load(recipe.data, "train", length=recipe.length)
    loop = kind(build(model, recipe, train.sample, name), recipe)
    batches = Batches(train, recipe.batch, recipe.seed, CPU)
    for step in range(recipe.steps):
        for number, phase in enumerate(loop.phases):
            torch.manual_seed(mix(recipe.seed, "step", step, number, 0))
            loss = phase(batches.train(step * len(loop.phases) + number, torch.zeros(())).x).item()
            several = len(terms[step]) - len(loop.phases) + 1  # terms of the first phase, or of the only one
            mine = terms[step][:several] if number == 0 else terms[step][several:]
            assert loss == pytest.approx(sum(mine), rel=1e-5 if step == 0 else 1e-3)

    moved = {key: (weight - fresh[key]).abs().mean() for key, weight in run.module.named_parameters()}
    for key, weight in loop.net.named_parameters():
        apart = (weight - run.module.get_parameter(key)).abs().mean()
        assert apart <= 0.02 * moved[key], key
    assert (loop.average is None) == (run.average is None)
    if run.average is not None:
        held = run.average.named()
        for (key, average), mine in zip(held, loop.average.parameters(), strict=True):
            assert (average - mine).abs().mean() <= 0.02 * moved[key], key


@pytest.mark.parametrize("name", plain.LOOPS)
def test_a_plain_loop_has_the_optimisers_and_the_schedule_of_the_recipe(name: str, own_data: dict[str, str]) -> None:
    model, kind, _ = plain.LOOPS[name]
    _, recipe = registry.load_recipe(name)
    sample = data.load(own_data[recipe.data], "train", length=recipe.length).sample
    module = build(model, recipe, sample, name)
    loop = kind(module, recipe)
    held = [
        phases.Phase(number, objective, module, recipe, CPU, World()).optimiser
        for number, objective in enumerate(model.objectives)
    ]
    assert groups(loop.optimisers) == groups(held)
    for step in range(0, recipe.steps, max(1, recipe.steps // 50)):
        assert plain.factor(step, recipe) == pytest.approx(phases.schedule(step, recipe))


def groups(optimisers: list[torch.optim.Optimizer]) -> list[Any]:
    """What each group of weights is moved by, and which weights these are."""
    return [
        (
            type(optimiser),
            [group.get("initial_lr", group["lr"]) for group in optimiser.param_groups],
            [(group["betas"], group["eps"], group["weight_decay"]) for group in optimiser.param_groups],
            [{id(weight) for weight in group["params"]} for group in optimiser.param_groups],
        )
        for optimiser in optimisers
    ]
