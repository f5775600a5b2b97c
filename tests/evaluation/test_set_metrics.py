"""Metrics of a set of generated samples: of images, of labels, of text; in training, in evaluation and in releases."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import zoo
from conftest import contents, patch_registry, raises
from zoo import data, registry
from zoo.cli import cli
from zoo.core.errors import EvaluationError, ExportError, SettingError
from zoo.evaluation import measurements_file
from zoo.evaluation.evaluated_model import Budget
from zoo.release import read
from zoo.training import checkpoints, run_folder
from zoo_export import losses, writer

ROOT = Path(__file__).parents[2]
Declare = Callable[..., zoo.Model]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Gives a model other metrics."""
    load = registry.load

    def patch(name: str, *metrics: zoo.Metric | zoo.SetMetric) -> zoo.Model:
        changed = dataclasses.replace(load(name), metrics=metrics)
        patch_registry(monkeypatch, load=lambda asked: changed if asked == name else load(asked))
        return changed

    return patch


def mmd_of_the_docs() -> zoo.SetMetric:
    """The example of docs/how-to/metric.md."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "metric.md").read_text("utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    metric = names["metric"]
    assert isinstance(metric, zoo.SetMetric)
    return dataclasses.replace(metric, samples=100)


def followed(generated: np.ndarray, test: Mapping[str, Any]) -> float:
    """The fraction of images that are nearest to the mean image of their label."""
    labels = np.unique(test["label"])
    means = np.stack([test["x"][test["label"] == label].mean(0) for label in labels])
    distances = np.square(generated[:, None] / 255 - means[None] / 255).sum((2, 3))
    return float((labels[distances.argmin(1)] == test["label"]).mean())


FOLLOWED = zoo.SetMetric("followed", followed, "fraction", "nearest mean of the test images", "higher", samples=600)


def bleu(generated: list[str], test: Mapping[str, Any], order: int = 4) -> float:
    """BLEU of characters against all test windows (Papineni et al. 2002), with add-one counts; equal lengths."""

    def grams(text: str, n: int) -> Counter[str]:
        return Counter(text[i : i + n] for i in range(len(text) - n + 1))

    logs = []
    for n in range(1, order + 1):
        most: Counter[str] = Counter()
        for text in test["x"]:
            most |= grams(text, n)
        counts = [grams(text, n) for text in generated]
        matched = sum(sum((count & most).values()) for count in counts)
        logs.append(np.log((matched + 1) / (sum(sum(count.values()) for count in counts) + 1)))
    return float(np.exp(np.mean(logs)))


def lines(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / run_folder.METRICS).read_text("utf-8").splitlines()]
    return [line for line in found if "metrics" in line]


@pytest.mark.slow
def test_a_set_of_images_from_training_to_a_release(
    declare: Declare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It chooses the best checkpoint, has an interval over seeds, stands first, and a release gives the same."""
    mmd = mmd_of_the_docs()
    declare("cvae", mmd, FOLLOWED, *registry.load("cvae").metrics)
    run = zoo.train("cvae.tiny", out=tmp_path / "run", set={"steps": 40}, checkpoint_every=10)
    said = capsys.readouterr().err
    assert len(re.findall(r"step \d+: mmd, of 100 generated samples, took \d+ s", said)) == 4
    watched = {line["step"]: line["metrics"] for line in lines(run.folder)}
    assert all([*metrics] == ["mmd", "negative_elbo"] for metrics in watched.values())
    assert checkpoints.best(run.folder) == min(watched, key=lambda step: watched[step]["mmd"])
    assert len({metrics["mmd"] for metrics in watched.values()}) == 4

    test = data.load("digits", "test")
    assert run.release is not None
    by_hand = []
    with zoo.load(run.release) as model:
        for seed in range(3):
            images = model.generate(100, seed=seed, label=test.labels[:100].tolist())
            by_hand.append(mmd.fn(images, {"x": test.array[:100, 0]}))
    assert watched[40]["mmd"] == pytest.approx(by_hand[0], rel=0.02)  # torch and ONNX differ by a level here and there
    first, second, third = run.measurements
    assert [first.name, second.name, third.name] == ["mmd", "followed", "negative_elbo"]
    assert first.value == pytest.approx(np.mean(by_hand), rel=0.02)
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    assert first.interval == "95% over 3 seeds (Student's t)"
    assert first.protocol == (
        f"{mmd.protocol}; 100 generated samples (seeds 0 to 2), the first 100 of 297 test samples of digits"
    )
    assert (first.count, second.count) == (100, 297)

    manifest = read(run.release).manifest
    assert [entry["name"] for entry in manifest["metrics"]] == ["mmd", "followed", "negative_elbo"]
    assert manifest["metrics"][0] == first.to_json()
    card = (run.release / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (\w+) \| [\d.]", card, re.M) == ["mmd", "followed", "negative_elbo"]
    about = json.loads(CliRunner().invoke(cli, ["info", str(run.release), "--json"]).stdout)
    assert [*about["metrics"]] == ["mmd", "followed", "negative_elbo"]
    before = contents(run.release)
    again = zoo.evaluate(run.release, only=["own"], samples=50, quiet=True)
    assert contents(run.release) == before
    assert again.measurements[0].count == 50
    assert "50 generated samples (seeds 0 to 2), the first 50 of 297" in again.measurements[0].protocol


@pytest.mark.slow
def test_each_sample_is_of_the_label_of_its_test_sample(declare: Declare, tmp_path: Path) -> None:
    seen: list[tuple[np.ndarray, dict[str, Any]]] = []

    def keep(generated: np.ndarray, test: Mapping[str, Any]) -> float:
        seen.append((generated, dict(test)))
        return followed(generated, test)

    declare("cvae", dataclasses.replace(FOLLOWED, fn=keep))
    settings = {"steps": 300, "latent": 4}
    run = zoo.train("cvae.tiny", out=tmp_path / "run", set=settings, release=False, quiet=True)
    test = data.load("digits", "test")
    generated, fields = seen[-1]
    assert fields.keys() == {"x", "label"}
    assert (generated.shape, generated.dtype) == ((297, 8, 8), np.uint8)
    assert np.array_equal(fields["x"], test.array[:, 0])
    assert fields["x"].dtype == np.uint8
    assert test.labels is not None
    assert np.array_equal(fields["label"], test.labels)
    assert run.measurements[0].value > 0.8  # by chance 0.1, and as much for labels in the order of their index
    assert run.measurements[0].better == "higher"
    assert checkpoints.best(run.folder) == max(lines(run.folder), key=lambda line: line["metrics"]["followed"])["step"]


def test_a_set_of_texts(declare: Declare, tmp_path: Path) -> None:
    """Characters of a trained model follow each other as those of the test split do, more than an untrained one's."""
    metric = zoo.SetMetric("char_bleu", bleu, "at most 1", "of characters, n = 1 to 4", "higher", samples=20)
    declare("chargpt", metric)
    short = zoo.train("chargpt.tiny", out=tmp_path / "short", set={"steps": 1}, release=False, quiet=True)
    settings = {"steps": 150, "lr": 1e-2}
    long = zoo.train("chargpt.tiny", out=tmp_path / "long", set=settings, release=False, quiet=True)
    left, right = (next(m for m in run.measurements if m.name == "char_bleu").value for run in (short, long))
    assert 2 * left < right
    texts = ["ab", "abc"]
    assert bleu(texts, {"x": texts}, 2) == 1
    assert bleu(texts, {"x": ["xy"]}, 1) == pytest.approx(1 / 6)


def test_early_stopping_by_a_metric_of_a_set(declare: Declare, tmp_path: Path) -> None:
    """On validation samples; it must be the first to be taken at checkpoints."""
    counts = []

    def rising(generated: np.ndarray, test: Mapping[str, Any]) -> float:
        counts.append((len(generated), len(test["x"]), len(test["label"])))
        return float(len(set(counts))) + (len(counts) if len(generated) > 5 else 0)

    metric = zoo.SetMetric("rising", rising, "", "", samples=40)
    declare("cvae", metric)
    settings = {"validation": 30, "early_stop": "rising", "patience": 2, "steps": 40}
    run = zoo.train("cvae.tiny", out=tmp_path / "run", set=settings, checkpoint_every=5, release=False, quiet=True)
    assert run.steps == 15
    assert counts[2:5] == [(30, 30, 30)] * 3  # after two tries on five samples
    assert lines(run.folder)[0]["split"] == "validation"
    declare("cvae", *registry.load("cvae").metrics[1:], zoo.Metric("m", lambda *_: 0, "", ""), metric)
    with raises(SettingError, "early_stop = 'rising' is not computed at checkpoints", "There are: m"):
        zoo.train("cvae.tiny", out=tmp_path / "other", set=settings, quiet=True)


def test_a_run_that_is_cut_off_in_it_resumes_to_the_same_bits(declare: Declare, tmp_path: Path) -> None:
    calls = []

    def cut(generated: np.ndarray, test: Mapping[str, Any]) -> float:
        calls.append(len(generated))
        if len(generated) == 60 and calls.count(60) == 3:
            raise KeyboardInterrupt
        return followed(generated, test)

    settings = {"out": tmp_path / "cut", "checkpoint_every": 5, "release": False, "quiet": True}
    declare("cvae", dataclasses.replace(FOLLOWED, samples=60))
    whole = zoo.train("cvae.tiny", **settings | {"out": tmp_path / "whole"})
    declare("cvae", dataclasses.replace(FOLLOWED, fn=cut, samples=60))
    with pytest.raises(KeyboardInterrupt):
        zoo.train("cvae.tiny", **settings)
    assert checkpoints.steps(tmp_path / "cut") == [5, 10]
    resumed = zoo.train("cvae.tiny", **settings, resume=True)
    left, right = (checkpoints.read(run.folder) for run in (whole, resumed))
    assert left.state.metrics == right.state.metrics
    assert left.tensors.keys() == right.tensors.keys()
    assert all(torch.equal(left.tensors[key], right.tensors[key]) for key in left.tensors)
    values = [[(line["step"], line["metrics"]) for line in lines(run.folder)] for run in (whole, resumed)]
    assert values[0] == values[1]


def test_a_metric_of_a_set_that_fails_later(
    declare: Declare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no value there, the run goes on, and neither the release nor an evaluation has one."""

    def fails(generated: np.ndarray, test: Mapping[str, Any]) -> float:
        return 0.0 if len(generated) == 5 else float("nan")

    declare("cvae", zoo.SetMetric("fails", fails, "", ""), *registry.load("cvae").metrics)
    run = zoo.train("cvae.tiny", out=tmp_path / "run", checkpoint_every=20, release=False)
    said = capsys.readouterr().err
    assert "fails is nan, not finite, for 297 generated samples. It has no value at this checkpoint." in said
    assert "fails has no value in the release: fails is nan" in said
    about, model, *_ = run_folder.model_of(run.folder)
    (entry,) = writer._measurements(run.folder, about, model, checkpoints.read(run.folder))
    assert entry.name == "negative_elbo"
    assert [measurement.name for measurement in run.measurements] == ["negative_elbo"]
    assert measurements_file.failed(run.folder, run.steps).keys() == {"fails"}
    with raises(EvaluationError, "No metric of cvae.tiny could be computed", "fails is nan, not finite"):
        zoo.evaluate(run.folder, only=["fails"], quiet=True)


@pytest.mark.slow
def test_a_quantised_release_is_held_to_it(declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "BUDGET", Budget(limit=100, most=60, fit=200, reference=100))
    monkeypatch.setattr(losses, "SECONDS", 0.05)
    declare("cvae", mmd_of_the_docs())
    run = zoo.train("cvae.tiny", out=tmp_path / "run", quiet=True)
    folder = zoo.export(run.folder, tmp_path / "half", quantize="fp16", quiet=True)
    (loss,) = [loss for loss in read(folder).manifest["quantized"]["losses"] if loss["counts"]]
    assert loss["name"] == "mmd" == read(folder).manifest["metrics"][0]["name"]
    assert loss["quantized"] == pytest.approx(loss["float"], rel=0.02)

    def darkness(generated: np.ndarray, test: Mapping[str, Any]) -> float:
        calls.append(generated)
        return 1.0 if len(calls) <= 3 else 2.0  # three seeds of the float release, then those of the quantised one

    calls: list[np.ndarray] = []
    declare("cvae", zoo.SetMetric("darkness", darkness, "", ""))
    with raises(ExportError, "cvae.tiny loses too much: darkness is 1 in float and 2 quantised"):
        zoo.export(run.folder, tmp_path / "other", quantize="fp16", quiet=True)
    assert len(calls) == 6
    assert all(len(images) == 100 for images in calls)
