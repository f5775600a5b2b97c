"""A model's own metrics: checked before the first step, well defined where one fails, and never another's value."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import zoo
from conftest import patch_registry, raises
from zoo import data, registry
from zoo.cli import cli
from zoo.contract import names
from zoo.contract.metric import Measurement
from zoo.core.errors import NotFoundError, PluginError, SettingError
from zoo.evaluation import measurements_file
from zoo.evaluation.metric_groups import GROUPS, chosen
from zoo.modules import build
from zoo.plugin import Batch
from zoo.release import read
from zoo.training import checkpoints, metric_values, own_metrics, run_folder
from zoo.training.batches import Batches
from zoo_export import writer

Fn = Callable[[Any, zoo.Batch, Any], Any]
Patch = Callable[..., zoo.Model]


def error(ae: Any, batch: zoo.Batch, recipe: Any) -> Tensor:
    return (ae.reconstruct(batch.x) - batch.x).abs().flatten(1).mean(1)


def own(name: str, fn: Fn, **more: Any) -> zoo.Metric:
    return zoo.Metric(name, fn, "per pixel", "of the tests", **more)


@pytest.fixture
def declares(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """The autoencoder declares these metrics and two tasks, and has no `finish` unless it is asked for."""
    load = registry.load

    def tasks(ae: Any) -> Mapping[str, zoo.Task]:
        every = load("ae").tasks(ae)
        return {name: every[name] for name in ("encode", "reconstruct")}

    def patch(*metrics: zoo.Metric, finish: Any = None) -> zoo.Model:
        ae = load("ae")
        finish = ae.finish if finish == "its own" else finish
        changed = dataclasses.replace(ae, metrics=metrics, finish=finish, tasks=tasks, generate=None)
        patch_registry(monkeypatch, load=lambda name: changed)
        return changed

    return patch


def train(run: Path, **options: Any) -> zoo.Model:
    return zoo.train("ae.tiny", out=run, **{"quiet": True, **options})  # type: ignore[return-value]


def released(run: Path) -> dict[str, Measurement]:
    """What a release of a run's last checkpoint would say."""
    about, model, *_ = run_folder.model_of(run)
    return {
        measurement.name: measurement for measurement in writer._measurements(run, about, model, checkpoints.read(run))
    }


def lines(run: Path) -> list[Mapping[str, Any]]:
    found = [json.loads(line) for line in (run / run_folder.METRICS).read_text("utf-8").splitlines()]
    return [line for line in found if "metrics" in line]


# Before the first step

WRONG: list[tuple[Fn, tuple[str, ...]]] = [
    (lambda ae, batch, recipe: error(ae, batch, recipe).mean(), ("gave () for a batch of 5", "one value per sample")),
    (lambda ae, batch, recipe: error(ae, batch, recipe)[:, None], ("gave (5, 1) for a batch of 5",)),
    (lambda ae, batch, recipe: error(ae, batch, recipe)[1:], ("gave (4,) for a batch of 5",)),
    (lambda ae, batch, recipe: error(ae, batch, recipe) * 1j, ("gave (5,) of torch.complex64",)),
    (lambda ae, batch, recipe: error(ae, batch, recipe).tolist(), ("gave list for a batch of 5",)),
    (lambda ae, batch, recipe: {"mse": error(ae, batch, recipe)}, ("gave dict for a batch of 5",)),
    (lambda ae, batch, recipe: None, ("gave NoneType",)),
]
FAILS: list[tuple[Fn, tuple[str, ...]]] = [
    (lambda ae, batch, recipe: ae.no_such_part(batch.x), ("fails: AttributeError", "no_such_part")),
    (lambda ae, batch, recipe: torch.full((len(batch.x),), math.nan), ("is not a number (NaN) before the first",)),
]


@pytest.mark.parametrize(("fn", "words"), [*WRONG, *FAILS])
@pytest.mark.parametrize("limit", [None, 100])
def test_a_wrong_metric_is_refused_before_the_first_step(
    fn: Fn, words: tuple[str, ...], limit: int | None, declares: Patch, tmp_path: Path
) -> None:
    """A slow one too, which is not taken during training."""
    declares(own("good", error), own("wrong", fn, limit=limit))
    with raises(PluginError, "ae.tiny cannot be measured: The metric 'wrong'", *words):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def few_of(dataset: data.DataSplit) -> Batch:
    return next(iter(Batches(dataset, 100, 0, torch.device("cpu")).in_order(5)))


def test_what_finish_fits_may_be_missing_before_the_first_step(declares: Patch) -> None:
    """Such a model may fail or give NaN on the fresh module, but the form of what it gives is checked."""
    recipe = registry.load("ae").recipes["tiny"]
    digits = data.load("digits", "test")
    for fn, _ in FAILS:
        model = declares(own("unfitted", fn), finish="its own")
        module = build(model, recipe, digits.sample, "ae.tiny").eval()
        own_metrics.check("ae.tiny", model, module, few_of(digits), recipe, digits.sample)
    for fn, words in WRONG:
        model = declares(own("wrong", fn), finish="its own")
        with raises(PluginError, "The metric 'wrong'", *words):
            own_metrics.check("ae.tiny", model, module, few_of(digits), recipe, digits.sample)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.float16, torch.float64])
def test_any_real_number_is_a_value(kind: torch.dtype, declares: Patch) -> None:
    model = declares(own("bright", lambda ae, batch, recipe: (batch.x.mean((1, 2, 3)) > 0.3).to(kind)))
    recipe, digits = model.recipes["tiny"], data.load("digits", "test")
    module = build(model, recipe, digits.sample, "ae.tiny").eval()
    state = torch.get_rng_state()
    values, failed = metric_values.take(
        model.metrics, module, Batches(digits, 100, 0, torch.device("cpu")), recipe, len(digits)
    )
    assert not failed
    bright = (digits.array.astype(np.float32) / np.float32(255)).mean((1, 2, 3)) > 0.3
    assert np.array_equal(values["bright"], bright)
    assert metric_values.means(values) == {"bright": bright.mean()}
    assert torch.equal(torch.get_rng_state(), state)


def test_a_last_batch_of_another_form_is_found(declares: Patch) -> None:
    """A metric that is right for 100 samples and wrong for the 97 of the last batch."""
    model = declares(own("odd", lambda ae, batch, recipe: torch.zeros(100 if len(batch.x) != 5 else 5)))
    recipe, digits = model.recipes["tiny"], data.load("digits", "test")
    module = build(model, recipe, digits.sample, "ae.tiny").eval()
    values, failed = metric_values.take(
        model.metrics, module, Batches(digits, 100, 0, torch.device("cpu")), recipe, len(digits)
    )
    assert not values
    assert "gave (100,) for a batch of 97" in str(failed["odd"])


def test_training_and_evaluation_take_the_same_value(declares: Patch, tmp_path: Path) -> None:
    declares(own("error", error))
    train(tmp_path / "run", release=False)
    (measurement,) = zoo.evaluate(tmp_path / "run", only=["own"], quiet=True).measurements
    assert measurement.value == lines(tmp_path / "run")[-1]["metrics"]["error"]


# Where one fails while a run goes on


def at(steps: set[int], fails: Callable[[], Tensor]) -> tuple[Fn, Any]:
    """The error, but at some checkpoints of a run what `fails` gives; and the `finish` that tells the checkpoint."""
    seen = {"checkpoint": 0}

    def finish(ae: nn.Module, batches: Any, recipe: Any) -> None:
        seen["checkpoint"] += 1

    def fn(ae: Any, batch: zoo.Batch, recipe: Any) -> Tensor:
        return fails() * error(ae, batch, recipe) if seen["checkpoint"] in steps else error(ae, batch, recipe)

    return fn, finish


def broken() -> Tensor:
    raise ValueError("no\nluck")


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (lambda: torch.tensor(math.nan), "error is not finite for 297 of 297 samples"),
        (lambda: torch.tensor(math.inf), "error is not finite for 297 of 297 samples"),
        (broken, "The metric 'error' fails: ValueError: no luck"),
    ],
)
def test_a_metric_that_cannot_be_taken_has_no_value_there(
    fails: Callable[[], Tensor], says: str, declares: Patch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on, other metrics are kept, and the checkpoint is not the best."""
    fn, finish = at({2, 4}, fails)
    declares(own("error", fn), own("other", error), finish=finish)
    train(tmp_path / "run", checkpoint_every=5, release=False, quiet=False)
    found = lines(tmp_path / "run")
    assert [set(line["metrics"]) for line in found] == [{"error", "other"}, {"other"}, {"error", "other"}, {"other"}]
    said = capsys.readouterr().err
    for step in (10, 20):
        assert f"step {step}: {says}. It has no value at this checkpoint." in said
    assert "NaN" not in (tmp_path / "run" / run_folder.METRICS).read_text("utf-8")
    values = {line["step"]: line["metrics"].get("error", math.inf) for line in found}
    assert checkpoints.best(tmp_path / "run") == min(values, key=lambda step: values[step])
    assert measurements_file.failed(tmp_path / "run", 20).keys() == {"error"}


def test_a_run_stops_early_by_a_metric_that_has_no_value(declares: Patch, tmp_path: Path) -> None:
    """A checkpoint without a value is not better; the best of those with one is released."""
    fn, finish = at({2, 3, 4}, lambda: torch.tensor(math.nan))
    declares(own("error", fn), finish=finish)
    settings = {"steps": 40, "validation": 100, "early_stop": "error", "patience": 2}
    run = zoo.train("ae.tiny", set=settings, out=tmp_path / "run", checkpoint_every=5, release=False, quiet=True)
    assert run.steps == 15
    assert checkpoints.read(tmp_path / "run", "best").state.step == 5


def test_a_run_without_a_best_checkpoint_says_so(declares: Patch, tmp_path: Path) -> None:
    fn, finish = at({1, 2, 3, 4}, lambda: torch.tensor(math.nan))
    declares(own("error", fn), finish=finish)
    settings = {"validation": 100, "early_stop": "error", "patience": 2}
    with raises(NotFoundError, "has no best checkpoint", "early_stop", "--checkpoint last"):
        train(tmp_path / "run", set=settings, checkpoint_every=5)
    assert checkpoints.steps(tmp_path / "run") == [5, 10]


def test_the_first_metric_chooses_even_if_it_is_slow(declares: Patch, tmp_path: Path) -> None:
    """It is taken at each checkpoint on its own limit of samples; another slow one is not."""
    first = own("slow", error, limit=10)
    declares(first, own("error", error), own("slower", error, better="higher", limit=5))
    train(tmp_path / "run", checkpoint_every=10, release=False)
    assert [[*line["metrics"]] for line in lines(tmp_path / "run")] == [["slow", "error"]] * 2
    state = checkpoints.read(tmp_path / "run").state
    assert state.score == state.metrics["slow"] != state.metrics["error"]
    (taken,) = zoo.evaluate(tmp_path / "run", only=["slow"], quiet=True).measurements
    assert taken.value == state.metrics["slow"]
    (tmp_path / "run" / measurements_file.FILE).unlink()
    assert [*released(tmp_path / "run")] == ["slow", "error"]
    assert released(tmp_path / "run")["slow"].protocol.endswith("; 10 test samples of digits")
    assert released(tmp_path / "run")["error"].protocol.endswith("; 297 test samples of digits")
    with raises(SettingError, "early_stop = 'slower' is not computed at checkpoints", "There are: slow, error"):
        train(tmp_path / "other", set={"validation": 100, "early_stop": "slower"})


# What a release says


def test_a_metric_that_fails_at_the_end_has_no_other_value_in_the_release(
    declares: Patch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the one that was watched during training, nor an older one; until it is taken again."""
    works = {"now": True}

    def fn(ae: Any, batch: zoo.Batch, recipe: Any) -> Tensor:
        return error(ae, batch, recipe) if works["now"] else broken()

    declares(own("error", fn), own("other", error))
    run = zoo.train("ae.tiny", out=tmp_path / "run", release=False, quiet=True)
    assert released(run.folder).keys() == {"error", "other"}
    works["now"] = False
    found = zoo.evaluate(run.folder, only=["own"], quiet=True)
    assert "ValueError: no luck" in found.left_out["error"]
    assert released(run.folder).keys() == {"other"}
    assert "ValueError" in measurements_file.failed(run.folder, run.steps)["error"]
    works["now"] = True
    (again,) = zoo.evaluate(run.folder, only=["error"], quiet=True).measurements
    assert released(run.folder)["error"] == again
    assert measurements_file.failed(run.folder, run.steps) == {}

    def fails_at_the_end(ae: Any, batch: zoo.Batch, recipe: Any) -> Tensor:
        return error(ae, batch, recipe) if checkpoints.steps(tmp_path / "late") != [10, 20] else broken()

    declares(own("error", fails_at_the_end), own("other", error))
    late = zoo.train("ae.tiny", out=tmp_path / "late", checkpoint_every=10)
    assert "error" in checkpoints.read(late.folder).state.metrics
    assert late.release is not None
    assert [entry["name"] for entry in read(late.release).manifest["metrics"]] == ["other"]
    assert "error has no value in the release: The metric 'error' fails: ValueError" in capsys.readouterr().err


def test_values_on_validation_samples_are_said_to_be(declares: Patch, tmp_path: Path) -> None:
    declares(own("error", error))
    train(tmp_path / "run", set={"validation": 100}, release=False)
    (tmp_path / "run" / measurements_file.FILE).unlink()
    assert released(tmp_path / "run")["error"].protocol.endswith("; 100 validation samples of digits")


def test_a_models_own_metrics_stand_first(declares: Patch, tmp_path: Path) -> None:
    """In its plugin's order, whatever was taken first: in the file, the manifest, the card and what zoo info says."""
    declares(own("error", error), own("slow", error, limit=10), own("other", error))
    run = zoo.train("ae.tiny", out=tmp_path / "run", quiet=True)
    assert run.release is not None
    assert [measurement.name for measurement in run.measurements] == ["error", "other"]
    assert [entry["name"] for entry in read(run.release).manifest["metrics"]] == ["error", "other"]
    for only in ("ssim", "knn", "slow", "other", "mse", "error"):
        zoo.evaluate(run.folder, only=[only], quiet=True)
    order = ["error", "slow", "other", "mse", "ssim", "knn"]
    assert [measurement.name for measurement in measurements_file.read(run.folder, run.steps)] == order
    assert [*released(run.folder)] == order
    folder = zoo.export(run.folder, tmp_path / "release", quiet=True)
    card = (folder / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (\w+) \| [\d.]", card, re.M) == order
    about = json.loads(CliRunner().invoke(cli, ["info", str(folder), "--json"]).stdout)
    assert [*about["metrics"]] == order
    found = zoo.evaluate(folder, only=["knn", "own"], quiet=True)
    assert [measurement.name for measurement in found.measurements] == ["error", "slow", "other", "knn"]


@pytest.mark.parametrize("name", names.ZOO_METRICS)
def test_no_own_metric_has_the_name_of_one_of_zoos(name: str) -> None:
    with raises(PluginError, f"Metric: the name '{name}' is that of one of zoo's own metrics", f"'own_{name}'"):
        own(name, error)
    with raises(PluginError, f"SetMetric: the name '{name}' is that of one of zoo's own metrics"):
        zoo.SetMetric(name, lambda generated, test: 0.0, "", "")


def test_the_names_of_zoos_metrics_are_those_of_its_groups() -> None:
    assert {key: group.names for key, group in GROUPS.items()} == names.METRICS
    declared = {metric.name for name in registry.plugins() for metric in registry.load(name).metrics}
    assert len(declared) > 10
    assert not declared & {*names.ZOO_METRICS}


def test_a_metric_may_have_the_name_of_a_group() -> None:
    assert chosen(["generation"], ("generation",)) == {"generation"}
    assert chosen(["own"], ("generation",)) == {"generation"}
