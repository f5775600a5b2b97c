"""DDIM, as the loop of releases of formats 1 and 2, and as a sampler that is a task: both against the papers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import step_plugin
import zoo
from conftest import STEPWISE, plugged, raises
from spoil import edit
from zoo.contract.generation import DDIM
from zoo.contract.generation_plan import Plan
from zoo.core import philox
from zoo.core.errors import ReleaseError, SettingError
from zoo.modules.torch_backend import TorchBackend
from zoo.release import MANIFEST, parse, read
from zoo.sampling import ddim, generation, loop

GOLDEN = Path(__file__).parents[1] / "golden"
ALPHAS = step_plugin.ALPHAS
WAYS = ("task", "loop")
Sample = Callable[[NDArray[np.int64], int, Any, int, float], NDArray[Any]]
"""The samples of indices, a seed, labels, steps and η."""


@pytest.fixture
def net(stepwise: Mapping[str, Path], tmp_path: Path) -> Iterator[Any]:
    with plugged(tmp_path, **STEPWISE):
        yield zoo.load_module(stepwise["mist"])


def sampler(way: str, net: Any) -> Sample:
    """What a network of mist, by torch, makes by its task `step`; or by `predict` alone, and the old loop."""
    x = zoo.Vector((1, 8, 8))
    if way == "task":
        tasks, value = dict(step_plugin.eps_tasks(net)), step_plugin.mist.generate
    else:
        inputs = {"x": x, "time": zoo.Label(len(ALPHAS)), "label": zoo.Label(10)}
        tasks = {"predict": zoo.Task(lambda *given: net.predict(*given), inputs, {"noise": x})}
        value = DDIM("predict", ALPHAS, 10)
    plan, run = Plan(value, tasks, net.sample), TorchBackend.of_module(net, tasks).run  # type: ignore[arg-type]
    assert plan.problem() == ""

    def sample(indices: NDArray[np.int64], seed: int, labels: Any, steps: int, eta: float) -> NDArray[Any]:
        if way == "task":
            return loop.iterate(
                run, plan, indices, seed, generation.asked_of(plan, indices, label=labels, eta=eta), steps
            )
        return ddim.iterate(run, plan, indices, seed, {"label": np.array(labels)}, steps, eta)

    return sample


@pytest.mark.parametrize(("times", "steps"), [(20, 20), (20, 1), (1000, 50), (1000, 999), (7, 3)])
def test_the_times_begin_at_the_last_and_are_spread_evenly(times: int, steps: int) -> None:
    asked: list[int] = []

    def run(task: str, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        assert feeds["time"].dtype == np.int64
        asked.extend(feeds["time"][:1])
        return {"noise": np.zeros_like(feeds["x"])}

    alphas = tuple(0.999 * (1 - k / times) + 1e-4 for k in range(times))
    x = zoo.Vector((1, 2, 2))
    task = zoo.Task(print, {"x": x, "time": zoo.Label(times)}, {"noise": x})
    plan = Plan(DDIM("p", alphas, steps), {"p": task}, zoo.Sample(zoo.Image(1, 2, 2)))
    assert plan.problem() == ""
    generation.generate(run, plan, n=1, seed=0)
    assert len(asked) == steps
    assert asked[0] == times - 1
    gaps = {earlier - later for earlier, later in zip(asked, [*asked[1:], -1], strict=True)}
    assert gaps <= {times // steps, -(-times // steps)}


@pytest.mark.parametrize("way", WAYS)
def test_all_steps_with_all_noise_are_those_of_ddpm(way: str, net: Any) -> None:
    """η = 1 over every time is ancestral sampling (Ho et al. 2020, eq. 6 and 7), computed here from β in float64."""
    alphas = np.array(ALPHAS)
    before = np.array([1.0, *alphas[:-1]])
    betas = 1 - alphas / before
    indices, labels = np.array([2, 3]), torch.tensor([2, 3])
    x = philox.draw("normal", (1, 8, 8), 5, indices).astype(np.float64)
    for k, t in enumerate(reversed(range(len(alphas)))):
        with torch.no_grad():
            epsilon = net.predict(torch.from_numpy(x).float(), torch.full((2,), t), labels).numpy()
        x0 = np.clip((x - np.sqrt(1 - alphas[t]) * epsilon) / np.sqrt(alphas[t]), -1, 1)
        mean = np.sqrt(before[t]) * betas[t] * x0 + np.sqrt(1 - betas[t]) * (1 - before[t]) * x
        variance = (1 - before[t]) / (1 - alphas[t]) * betas[t]
        x = mean / (1 - alphas[t]) + np.sqrt(variance) * philox.draw("normal", (1, 8, 8), 5, indices, 1, k)
    made = sampler(way, net)(indices, 5, [2, 3], len(alphas), 1.0)
    np.testing.assert_allclose(made, (x + 1) / 2, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("steps", "eta"), [(1, 0.0), (7, 0.0), (20, 0.5)])
def test_without_noise_a_perfect_model_finds_the_sample(way: str, steps: int, eta: float, net: Any) -> None:
    """Where ε is exact, every number of steps ends at x₀."""
    target, alphas = torch.linspace(-1, 1, 64).view(1, 1, 8, 8), torch.tensor(ALPHAS)

    def predict(x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        alpha = alphas[time][:, None, None, None]
        return (x - alpha.sqrt() * target) / (1 - alpha).sqrt()

    net.predict = predict
    found = sampler(way, net)(np.arange(2), 1, [0, 0], steps, eta)
    np.testing.assert_allclose(found, np.repeat((target.numpy() + 1) / 2, 2, 0), atol=1e-4)


@pytest.mark.parametrize(("steps", "eta"), [(1, 0.0), (3, 0.0), (7, 0.5), (20, 1.0)])
def test_the_sampler_as_a_task_gives_what_the_loop_gave(steps: int, eta: float, net: Any) -> None:
    indices = np.arange(2**32 - 3, 2**32)
    new, old = (sampler(way, net)(indices, 2**64 - 1, [1, 2, 3], steps, eta) for way in WAYS)
    np.testing.assert_allclose(new, old, atol=1e-5)


# Manifests of formats 1 and 2


@pytest.fixture(params=["ddpm.1", "ddpm.2"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / request.param / "release", tmp_path / "release"))


def test_they_generate_by_the_old_loop(release: Path) -> None:
    with zoo.load(release) as model:
        assert isinstance(model.release.generation, DDIM)
        assert model.release.plan is not None
        assert [*model.release.plan.options] == ["steps", "eta"]
        assert not np.array_equal(model.generate(2, steps=3), model.generate(2, steps=3, eta=1.0))
        for value, says in ((1.5, "eta is 1.5"), (float("nan"), "eta is nan"), ("1", "eta = '1' is not a number")):
            with raises(SettingError, says):
                model.generate(1, eta=value)
        with raises(SettingError, "steps = 0 is out of range"):
            model.generate(1, steps=0)


WRONG: list[tuple[Callable[[list[float]], dict[str, Any]], str]] = [
    (lambda alphas: {"steps": 0}, "steps that are not 1 to as many as its alphas"),
    (lambda alphas: {"steps": len(alphas) + 1}, "steps that are not 1 to as many as its alphas"),
    (lambda alphas: {"steps": 2.5}, "steps is 2.5, and should be an integer"),
    (lambda alphas: {"eta": 2}, "an eta that is not 0 to 1"),
    (lambda alphas: {"eta": -0.5}, "an eta that is not 0 to 1"),
    (lambda alphas: {"eta": "1"}, "eta is '1', and should be a number"),
    (lambda alphas: {"alphas": []}, "steps that are not 1 to as many as its alphas"),
    (lambda alphas: {"alphas": alphas[:-1], "steps": 1}, "it takes x, of shape [1, 8, 8], and time, of "),
    (lambda alphas: {"alphas": alphas[::-1]}, "do not fall"),
    (lambda alphas: {"alphas": [1.0, *alphas[1:]]}, "do not fall, or are not between"),
    (lambda alphas: {"alphas": [*alphas[:-1], 0.0]}, "do not fall, or are not between"),
    (lambda alphas: {"alphas": [*alphas[:-1], 1]}, "do not fall"),
    (lambda alphas: {"alphas": "abc"}, "alphas is 'abc', and should be a tuple of numbers"),
    (lambda alphas: {"alphas": [float("nan")] * 20}, "NaN is no number"),
    (lambda alphas: {"task": "decode"}, "generation uses task 'decode', which is not there"),
    (lambda alphas: {"kind": "autoregressive"}, "has the fields"),
]


@pytest.mark.parametrize("place", range(len(WRONG)))
def test_a_manifest_that_is_wrong(place: int, release: Path) -> None:
    change, says = WRONG[place]
    edit(release, lambda manifest: manifest["generation"].update(change(manifest["generation"]["alphas"])))
    with raises(ReleaseError, says):
        read(release)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("x", {"kind": "noise", "shape": [1, 8, 8], "distribution": "normal"}, "it takes x, of shape"),
        ("noise", {"kind": "vector", "shape": [64], "dtype": "float32"}, "and gives noise"),
    ],
)
def test_a_task_that_does_not_fit(key: str, value: Any, says: str, release: Path) -> None:
    manifest = json.loads((release / MANIFEST).read_text())
    entry = manifest["tasks"][manifest["generation"]["task"]]
    entry["inputs" if key in entry["inputs"] else "outputs"][key] = value
    with raises(ReleaseError, str(release), says):
        parse(release, manifest)
