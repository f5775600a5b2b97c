"""``zoo evaluate`` on trained models: what applies is measured, the rest says why, and a run keeps its measurements."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from conftest import Command, Refused, Shelf, contents, patch_registry, python, raises
from zoo import data, evaluation, registry
from zoo.contract.metric import number
from zoo.core.errors import DataError, EvaluationError, MissingPackageError, SettingError, TrainingError
from zoo.evaluation import Evaluation, Measurement, measurements_file, source
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, of_module, some, without
from zoo.evaluation.intervals import of_seeds
from zoo.evaluation.metric_groups import GROUPS, chosen
from zoo.media.display import to_display
from zoo.modules import load_module
from zoo.release import read
from zoo.runtime import LoadedModel
from zoo.training import checkpoints

CLASSES = {"rarest_class", "commonest_class"}
SCORE = {"score_threshold"}
IMAGES = CLASSES | {
    name for group in ("reconstruction", "generation", "representation") for name in GROUPS[group].names
}


def measured(found: Evaluation) -> dict[str, Measurement]:
    return {measurement.name: measurement for measurement in found.measurements}


def values(measurements: Sequence[Measurement]) -> dict[str, float]:
    return {measurement.name: measurement.value for measurement in measurements}


@pytest.fixture(scope="module")
def vae(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a VAE that was measured."""
    folder = Path(shutil.copytree(shelf.run("vae"), tmp_path_factory.mktemp("measured") / "vae"))
    found = zoo.evaluate(folder, quiet=True)
    assert found.kept == folder / measurements_file.FILE
    return folder


def step_of(run: Path) -> int:
    return checkpoints.steps(run)[-1]


@pytest.mark.slow
def test_released_digits_have_all_metrics_and_beat_pca() -> None:
    found = measured(zoo.evaluate("vae.digits", quiet=True))
    assert found.keys() == IMAGES | SCORE | {"negative_elbo", "iwae_100"}
    released = json.loads((registry.released_folder("vae.digits")[0] / "manifest.json").read_text())["metrics"]
    assert found["negative_elbo"].value == pytest.approx(released[0]["value"], rel=1e-4)
    assert found["iwae_100"].value < found["negative_elbo"].value
    mse = found["mse"]
    assert mse.baseline is not None
    assert mse.value < mse.baseline[1]
    assert mse.baseline[0] == "PCA, 8 components"
    for name in ("fid", "kid", "precision"):  # real images are nearer to real ones
        measurement = found[name]
        assert measurement.baseline is not None
        assert (measurement.value > measurement.baseline[1]) == (measurement.better == "lower")
        assert "features.digits" in measurement.protocol
        assert "297 generated (seeds 0 to 2) against 1,500 training images" in measurement.protocol
    assert "7×7 uniform window" in found["ssim"].protocol
    assert found["linear_probe"].value > 0.7
    for name in found.keys() - SCORE:
        measurement = found[name]
        assert measurement.low is not None
        assert measurement.high is not None
        assert measurement.low <= measurement.value <= measurement.high


def test_measurements_of_a_run_are_kept_and_go_into_its_release(vae: Path, tmp_path: Path, zoo_call: Command) -> None:
    measurements = measurements_file.read(vae, step_of(vae))
    assert set(values(measurements)) == IMAGES | SCORE | {"negative_elbo", "iwae_100"}
    watched = checkpoints.read(vae).state.metrics
    assert values(measurements)["negative_elbo"] == pytest.approx(watched["negative_elbo"], rel=1e-6)
    zoo.export(vae, tmp_path / "release")
    manifest = read(tmp_path / "release").manifest
    assert {entry["name"]: entry["value"] for entry in manifest["metrics"]} == values(measurements)
    entry = next(entry for entry in manifest["metrics"] if entry["name"] == "mse")
    assert entry["baseline"]["name"] == "PCA, 2 components"
    assert entry["low"] < entry["value"] < entry["high"]
    card = (tmp_path / "release" / "README.md").read_text("utf-8")
    assert f"| mse | {entry['value']:.4g} ± " in card
    assert "(PCA, 2 components)" in card
    assert "95% by bootstrap" in zoo_call("info", tmp_path / "release").stdout
    assert zoo_call("verify", tmp_path / "release").returncode == 0


def test_a_run_is_measured_on_the_data_that_it_was_trained_on(shelf: Shelf, tmp_path: Path) -> None:
    run = Path(shutil.copytree(shelf.run("ae"), tmp_path / "run"))
    described = json.loads((run / "recipe.json").read_text())
    described["data"]["sha256"] = "0" * 64
    (run / "recipe.json").write_text(json.dumps(described))
    before = contents(run)
    with raises(TrainingError, "run was trained on other data: the train split of digits", "--data digits"):
        zoo.evaluate(run, quiet=True)
    assert zoo.evaluate(run, data="digits", only=["own"], quiet=True).kept is None
    assert contents(run) == before


def test_a_glance_does_not_replace_a_figure_on_more_samples(shelf: Shelf, tmp_path: Path, zoo_call: Command) -> None:
    run = Path(shutil.copytree(shelf.run("ae"), tmp_path / "run"))
    whole = zoo.evaluate(run, only=["mse"], quiet=True)
    assert whole.kept_older == ()
    assert whole.measurements[0].count == 297
    glance = zoo_call("evaluate", run, "--only", "mse", "--limit", "5")
    assert "mse: the older value was kept, which was measured on more samples" in glance.stderr
    assert whole.measurements[0] in measurements_file.read(run, step_of(run))
    zoo.evaluate(run, only=["mse"], quiet=True)
    assert whole.measurements[0] in measurements_file.read(run, step_of(run))


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (-10639.2, 4, "-10,639"),
        (9999.7, 4, "10,000"),
        (0.002684, 4, "0.002684"),
        (190.0, 2, "190"),
        (99.7, 2, "100"),
        (3e12, 4, "3e+12"),
    ],
)
def test_digits_before_the_point_are_all_shown(value: float, digits: int, shown: str) -> None:
    assert number(value, digits) == shown


def test_seeds_that_agree_have_no_interval() -> None:
    measurement = of_seeds("precision", [0.0, 0.0, 0.0], "share", "", count=7)
    assert (measurement.low, measurement.high, measurement.count) == (None, None, 7)
    assert measurement.interval == "no interval: the same for 3 seeds"


def test_a_step_that_was_not_measured_has_what_was_watched(vae: Path, tmp_path: Path) -> None:
    older = checkpoints.steps(vae)[-2]
    zoo.export(vae, tmp_path / "older", checkpoint=str(older))
    (entry, *_) = read(tmp_path / "older").manifest["metrics"]
    watched = checkpoints.read(vae, str(older)).state.metrics
    assert entry["value"] == watched["negative_elbo"]
    assert "mse" not in [entry["name"] for entry in read(tmp_path / "older").manifest["metrics"]]


def test_torch_and_onnx_runtime_give_the_same_measurements(vae: Path) -> None:
    """A run is measured by torch, a release by ONNX Runtime."""
    run = values(measurements_file.read(vae, step_of(vae)))
    release = values(zoo.evaluate(vae / "release", quiet=True).measurements)
    assert run.keys() == release.keys()
    for name, value in run.items():
        assert release[name] == pytest.approx(value, rel=0.02, abs=0.02), name


def test_measuring_changes_no_release(shelf: Shelf) -> None:
    release = shelf.release("ae")
    before = contents(release.parent)
    found = zoo.evaluate(release, limit=40, samples=40, quiet=True)
    assert found.kept is None
    assert "mse" in values(found.measurements)
    assert contents(release.parent) == before


def test_a_metric_taken_anew_replaces_the_old_one(vae: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(vae, tmp_path / "run"))
    step = step_of(run)
    before = {measurement.name: measurement for measurement in measurements_file.read(run, step)}
    changed = dataclasses.replace(before["mse"], value=9.0, count=296)
    path = run / measurements_file.FILE
    path.write_text(json.dumps({"format": 1, "steps": {str(step): [changed.to_json()]}}))
    zoo.evaluate(run, only=["reconstruction"], quiet=True)
    after = {measurement.name: measurement for measurement in measurements_file.read(run, step)}
    assert set(after) == {"mse", "psnr", "ssim"}
    assert all(after[name] == before[name] for name in after)
    older = checkpoints.steps(run)[-2]
    zoo.evaluate(run, only=["own"], limit=10, checkpoint=str(older), quiet=True)
    assert set(values(measurements_file.read(run, older))) == {"negative_elbo", "iwae_100"}
    assert measurements_file.read(run, step) == list(after.values())


def test_other_data_is_measured_and_not_kept(vae: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(vae, tmp_path / "run"))
    (tmp_path / "images").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{index:02}.png")
    before = contents(run)
    found = zoo.evaluate(run, data=f"folder:{tmp_path / 'images'}", quiet=True)
    assert found.kept is None
    assert contents(run) == before
    assert {"negative_elbo", "mse"} <= set(values(found.measurements))
    assert "folder:images" in measured(found)["mse"].protocol
    assert "no released features for 'folder:images'" in found.left_out["generation"]
    assert "no labels" in found.left_out["representation"]


@pytest.mark.slow
def test_what_does_not_apply_says_why(shelf: Shelf, zoo_call: Command) -> None:
    done = zoo_call("evaluate", shelf.release("dcgan"), "--samples", "40", "--json")
    found = json.loads(done.stdout)
    assert {measurement["name"] for measurement in found["metrics"]} == CLASSES | {*GROUPS["generation"].names}
    assert {"reconstruction", "representation", "anomaly"} <= found["left_out"].keys()
    assert "40 generated" in found["metrics"][0]["protocol"]
    assert "Generating with seed 2  40/40" in done.stderr
    text = zoo.evaluate(shelf.run("chargpt"), quiet=True)
    found = values(text.measurements)
    assert [*found] == ["bits_per_character", "nll"]
    assert found["bits_per_character"] == pytest.approx(found["nll"] / math.log(2), rel=1e-5)
    assert all("it models text" in text.left_out[group] for group in ("reconstruction", "representation"))
    classifier = zoo.evaluate("features.digits", quiet=True)
    assert values(classifier.measurements)["accuracy"] > 0.9
    assert classifier.measurements[0].name == "cross_entropy"
    assert "generates nothing" in classifier.left_out["generation"]


def test_a_threshold_of_the_score_of_sounds() -> None:
    model, (_, recipe) = zoo.load("audio-vae.fsdd"), registry.load_recipe("audio-vae.fsdd")
    test = data.load("tones", "test", **recipe.data.options)
    (measurement,) = GROUPS["threshold"].measurements(EvaluatedModel(model, test, test, test), Budget(quiet=True))
    scores = model.run("score", test.array)
    assert np.mean(scores < measurement.value) == pytest.approx(0.99, abs=1 / len(test))
    assert measurement.protocol == f"99% of {len(test):,} test audio clips of {test.name} score below"


def test_waveforms_are_measured_as_floats() -> None:
    assert to_display(np.array([[-32768, 16384]], np.int16)).tolist() == [[-1.0, 0.5]]


def test_pixels_are_no_codebook() -> None:
    test = data.load("digits", "test")
    evaluated = EvaluatedModel(zoo.load("pixelcnn.mnist"), test, test, test)
    with pytest.raises(DoesNotApply, match=r"the codes of pixelcnn\.mnist are the pixels"):
        GROUPS["codebook"].measurements(evaluated, Budget(quiet=True))


def test_the_table_is_aligned_and_progress_is_on_standard_error(shelf: Shelf, zoo_call: Command) -> None:
    done = zoo_call("evaluate", shelf.release("vae"), "--only", "reconstruction", "--only", "nmi")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["METRIC", "VALUE", "UNIT", "BASELINE", "PROTOCOL"]
    assert [row.split()[0] for row in rows] == ["mse", "psnr", "ssim", "nmi"]
    assert len({row.index("reconstruct of") for row in rows[:2]} | {head.index("PROTOCOL")}) <= 2
    assert " ± " in rows[0]
    assert "reconstruct  297/297" in done.stderr


def test_the_same_figures_every_time(shelf: Shelf) -> None:
    one, other = (zoo.evaluate(shelf.release("vae"), limit=30, samples=30, quiet=True).measurements for _ in range(2))
    assert one == other


# A class left out of training


@pytest.fixture
def without_ones(shelf: Shelf) -> EvaluatedModel:
    """The tiny autoencoder as if the ones had been left out of its training."""
    training, test = (data.load("digits", split) for split in ("train", "test"))
    return EvaluatedModel(zoo.load(shelf.release("ae")), without(training, 1), without(test, 1), test, 1)


def test_anomaly_by_the_error_of_reconstruction(without_ones: EvaluatedModel) -> None:
    release = without_ones.model.release
    tasks = {name: task for name, task in release.tasks.items() if name != "score"}
    model = LoadedModel(dataclasses.replace(release, tasks=tasks), without_ones.model.backend)
    without_ones = dataclasses.replace(without_ones, model=model)
    (measurement,) = GROUPS["anomaly"].measurements(without_ones, Budget(quiet=True))
    error = np.square(
        without_ones.reconstruct(without_ones.whole.x, True) - without_ones.whole.x.astype(np.float32) / 255
    ).mean((1, 2, 3))
    labels = without_ones.whole.labels
    assert labels is not None
    pairs = error[labels == 1][:, None] > error[labels != 1][None]
    assert measurement.value == pytest.approx(pairs.mean(), abs=1e-9)
    assert measurement.baseline is not None
    assert measurement.baseline[0] == "error of PCA, 4 components"
    assert "class 1, left out of training" in measurement.protocol


def test_the_class_left_out_is_in_no_other_figure(without_ones: EvaluatedModel) -> None:
    assert without_ones.training.labels is not None
    assert 1 not in without_ones.training.labels
    (mse, *_) = GROUPS["reconstruction"].measurements(without_ones, Budget(quiet=True))
    assert f"{len(without_ones.test)} test images of digits without class 1" in mse.protocol
    with raises(EvaluationError, "Class 3 was left out of training", "has no labels"):
        without(dataclasses.replace(without_ones.training, sample=zoo.Sample(without_ones.training.sample.x)), 3)


class Bright(torch.nn.Module):
    """Scores an image by its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def score(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.mean((1, 2, 3))


def test_anomaly_by_the_task_score() -> None:
    training, test = (data.load("digits", split) for split in ("train", "test"))
    assert test.labels is not None
    bright = np.where((test.labels == 7)[:, None, None, None], 255, test.x // 2)
    test = dataclasses.replace(test, fields={**test.fields, "x": bright})
    module = Bright()
    task = zoo.Task(module.score, {"image": training.sample.x}, {"score": zoo.Score()})
    model = of_module("bright.digits", module, {"score": task}, None, training.sample)
    evaluated = EvaluatedModel(model, without(training, 7), without(test, 7), test, 7)
    (measurement,) = GROUPS["anomaly"].measurements(evaluated, Budget(quiet=True))
    assert (measurement.value, measurement.low, measurement.high) == pytest.approx((1, 1, 1))
    assert "by the task score" in measurement.protocol
    only_sevens = test.take(np.flatnonzero(test.labels == 7))
    with raises(DoesNotApply, "all of one kind"):
        GROUPS["anomaly"].measurements(dataclasses.replace(evaluated, whole=only_sevens), Budget(quiet=True))


# The end of a run


def test_the_end_of_a_run_takes_what_is_quick(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, test = (data.load("digits", split) for split in ("train", "test"))
    model, recipe = registry.load_recipe("vae.tiny")
    module = load_module(shelf.release("vae"))
    state = torch.get_rng_state()

    def end() -> list[Measurement]:
        return evaluation.at_end(
            tmp_path, 20, "vae.tiny", module, model, recipe, training, test, torch.device("cpu"), quiet=True
        )

    assert set(values(end())) == {"negative_elbo"}
    monkeypatch.setattr(source, "TRIAL", 1)
    measurements = end()
    assert set(values(measurements)) == IMAGES | SCORE | {"negative_elbo"}
    assert measurements_file.read(tmp_path, 20) == measurements
    assert torch.equal(torch.get_rng_state(), state)


def test_no_error_of_a_metric_ends_a_run(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that breaks the contract, and a group with a bug: the others are taken."""

    def bug(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
        raise ZeroDivisionError

    training, test = (data.load("digits", split) for split in ("train", "test"))
    model, recipe = registry.load_recipe("vae.tiny")
    broken = dataclasses.replace(model, metrics=(zoo.Metric("whole", lambda *_: torch.zeros(()), "", ""),))
    module = load_module(shelf.release("vae"))
    device = torch.device("cpu")
    assert evaluation.at_end(tmp_path, 1, "vae.tiny", module, broken, recipe, training, test, device) == []
    assert measurements_file.read(tmp_path, 1) == []
    assert "gave () for a batch of 100" in measurements_file.failed(tmp_path, 1)["whole"]
    monkeypatch.setattr(source, "TRIAL", 1)
    monkeypatch.setattr("zoo.evaluation.generation.measurements", bug)
    measurements = evaluation.at_end(tmp_path, 1, "vae.tiny", module, broken, recipe, training, test, device)
    assert set(values(measurements)) == CLASSES | SCORE | {
        *GROUPS["reconstruction"].names,
        *GROUPS["representation"].names,
    }


# A plugin's own metrics


def own_of(run: Path, monkeypatch: pytest.MonkeyPatch, *metrics: zoo.Metric) -> Evaluation:
    """Measure a run whose plugin declares these."""
    model = dataclasses.replace(registry.load("dcgan"), metrics=metrics)
    patch_registry(monkeypatch, load=lambda name: model)
    return zoo.evaluate(run, only=["own"], quiet=True)


def critic(gan, batch, recipe) -> torch.Tensor:  # type: ignore[no-untyped-def]
    return gan.discriminate(batch.x)[:, 0]


def test_a_release_without_the_weights_of_a_metric_says_so(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The discriminator is in the run and not in its release; it must not be measured with fresh weights."""
    metric = zoo.Metric("critic", critic, "logits", "of real images", "higher")
    run = Path(shutil.copytree(shelf.run("dcgan"), tmp_path / "run"))
    assert math.isfinite(own_of(run, monkeypatch, metric).measurements[0].value)
    with raises(EvaluationError, "critic is not finite for 297 of 297 samples", "the run folder has them"):
        own_of(run / "release", monkeypatch, metric)


def test_own_metrics_that_break_the_contract_or_need_too_much(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(shelf.run("dcgan"), tmp_path / "run"))
    with raises(EvaluationError, "could be computed", "'mean' gave () for a batch of 100", "one value per sample"):
        own_of(run, monkeypatch, zoo.Metric("mean", lambda *_: torch.zeros(()), "", ""))
    huge = zoo.Metric("huge", lambda *_: torch.empty(2**50), "", "")
    good = zoo.Metric("index", lambda gan, batch, recipe: batch.index.float(), "", "its place", limit=100)
    failing = zoo.Metric("failing", lambda *_: {}["key"], "", "")
    found = own_of(run, monkeypatch, huge, failing, good)
    assert "KeyError" in found.left_out["failing"]
    assert "not enough memory" in found.left_out["huge"]
    assert found.measurements[0].value == 49.5
    assert "the first 100 of 297 test samples" in found.measurements[0].protocol


def test_a_metric_may_want_the_higher(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(shutil.copytree(shelf.run("dcgan"), tmp_path / "run"))
    metric = zoo.Metric("index", lambda gan, batch, recipe: batch.index.float(), "", "", "higher")
    assert own_of(run, monkeypatch, metric).measurements[0].better == "higher"


# Bad input


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--limit", "0"), ("limit = 0", "at least 1")),
        (("--limit", "-3"), ("limit = -3", "at least 1")),
        (("--samples", "1"), ("samples = 1", "at least 2")),
        (("--samples", "1000000000"), ("samples = 1000000000", "at most 1,000,000")),
        (("--only", "fdi"), ("No metric named 'fdi'", "Did you mean 'fid'", "There are: own", "auroc")),
        (("--checkpoint", "best"), ("is a release, which has no checkpoints", "Omit --checkpoint")),
        (("--data", "digitz"), ("No data set named 'digitz'", "Did you mean 'digits'")),
        (("--data", "folder:nowhere"), ("nowhere",)),
        (("--data", "descriptions"), ("descriptions does not fit vae.tiny", "text", "(1, 8, 8)", "--data")),
        (("--device", "cuda"), ("CUDA", "--device cpu")),
        (("--device", "tpu"), ("device = 'tpu'", "auto, cpu")),
        (("--only", "anomaly"), ("No metric of vae.tiny could be computed", "no class was left out of training")),
        (("--only", "inception"), ("No metric of vae.tiny could be computed", "inception: ")),
    ],
)
def test_bad_options(options: tuple[str, ...], says: tuple[str, ...], refused: Refused, release: Path) -> None:
    refused("evaluate", release, *options, says=says)


def test_sources_that_cannot_be_measured(refused: Refused, run: Path) -> None:
    refused("evaluate", "nothing.here", says=("No model named 'nothing'", "zoo list"))
    refused("evaluate", "ae.tiny", says=("No weights are released under 'ae.tiny'", "zoo train ae.tiny"))
    refused("evaluate", "./nowhere", says=("nowhere", "does not exist"))
    refused("evaluate", run, "--checkpoint", "7", says=("has no checkpoint '7'", "last"))
    shutil.rmtree(run / "checkpoints")
    refused("evaluate", run, says=("holds no checkpoint",))


def test_data_that_is_not_there(refused: Refused, shelf: Shelf, tmp_path: Path) -> None:
    """A release keeps the name of a person's own data, not its place; a run knows the place."""
    (tmp_path / "own.txt").write_text("to be or not to be. " * 40)
    folder = zoo.train("chargpt.tiny", data=f"text:{tmp_path / 'own.txt'}", out=tmp_path / "run", quiet=True).folder
    refused("evaluate", folder / "release", says=("was trained on 'text:own.txt'", "--data text:FILE"))
    with raises(DataError, "does not fit chargpt.tiny", "Give other --data"):
        zoo.evaluate(folder / "release", data="descriptions", quiet=True)
    assert values(zoo.evaluate(folder, quiet=True).measurements).keys() == {"bits_per_character", "nll"}
    (tmp_path / "own.txt").unlink()
    (folder / measurements_file.FILE).unlink()
    refused("evaluate", folder, says=("own.txt",))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1, "steps": {"x": []}}', '{"format": 1, "steps": {"1": [{}]}}']
)
def test_metrics_that_are_damaged(text: str, refused: Refused, run: Path) -> None:
    (run / measurements_file.FILE).write_text(text)
    refused("evaluate", run, "--only", "mse", "--limit", "5", says=(measurements_file.FILE, "is damaged", "Remove it"))
    refused("export", run, "-o", "release", says=(measurements_file.FILE, "is damaged", "Remove it"))


def test_metrics_of_a_newer_zoo(refused: Refused, run: Path) -> None:
    (run / measurements_file.FILE).write_text('{"format": 2, "steps": {}}')
    refused("export", run, "-o", "release", says=(measurements_file.FILE, "newer zoo", "pip install --upgrade genzoo"))


@pytest.mark.parametrize("package", ["torch", "sklearn", "torchmetrics"])
def test_a_package_that_is_missing(package: str, shelf: Shelf) -> None:
    code = """
import sys, zoo
try: zoo.evaluate(sys.argv[1])
except zoo.ZooError as error: print(type(error).__name__, error)
"""
    said = python(code, shelf.release("vae"), block=[package])
    name = "scikit-learn" if package == "sklearn" else package
    assert said.startswith(MissingPackageError.__name__)
    assert f"Evaluating a model needs {name}" in said
    assert "pip install 'genzoo[train]'" in said


def test_choosing_metrics() -> None:
    assert chosen(["own"], ("bound",)) == {"bound"}
    assert chosen(["mse", "representation"], ()) == {"mse", *GROUPS["representation"].names}
    assert {"bound", "fid", "auroc"} <= chosen([], ("bound",))
    with pytest.raises(zoo.ZooError, match="No metric named 'bits'"):
        chosen(["bits"], ())


def test_a_subset_is_drawn_the_same_every_time() -> None:
    test = data.load("digits", "test")
    one, other = some(test, 50), some(test, 50)
    assert len(one) == 50
    assert np.array_equal(one.x, other.x)
    assert one.labels is not None
    assert len(np.unique(one.labels)) == 10
    assert some(test, 10_000) is test


def test_completion_of_sources_and_metrics(zoo_command: Command) -> None:
    def complete(words: str, place: int) -> str:
        env = {"COMP_WORDS": words, "COMP_CWORD": str(place), "_ZOO_COMPLETE": "bash_complete"}
        return zoo_command(env=env).stdout

    assert "vae.digits" in complete("zoo evaluate vae.d", 2)
    assert "representation" in complete("zoo evaluate vae.digits --only repr", 4)


def test_a_manifest_with_a_figure_of_the_wrong_type(release: Path, refused: Refused) -> None:
    from zoo.release import seal

    manifest = json.loads((release / "manifest.json").read_text())
    for change in ({"low": "x"}, {"baseline": "PCA"}, {"baseline": {"name": "PCA", "value": None}}, {"interval": 3}):
        spoiled = {**manifest, "metrics": [{**manifest["metrics"][0], **change}]}
        (release / "manifest.json").write_text(json.dumps(seal(spoiled)))
        refused("info", release, says=("metrics", "is damaged"))


def test_limits_are_checked_in_python_too(shelf: Shelf) -> None:
    with raises(SettingError, "limit = 0"):
        zoo.evaluate(shelf.release("vae"), limit=0)


def test_pca_of_wide_images_is_randomised_and_as_good() -> None:
    """Their covariance would take gigabytes; on data of few dimensions the first components are found all the same."""
    from zoo.contract.specs import Image, Sample
    from zoo.data import DataSplit
    from zoo.evaluation.pca import Pca

    random = np.random.default_rng(0)
    low = random.normal(size=(60, 3)) @ random.normal(size=(3, 3 * 64 * 64))
    x = np.clip(low * 15 + 128, 0, 255).astype(np.uint8).reshape(60, 3, 64, 64)
    data = DataSplit(
        name="wide", split="train", sample=Sample(Image(3, 64, 64)), fields={"x": x}, source="", licence="", sha256=""
    )
    pca = Pca(data, 3, 60)
    assert pca.name == "randomised PCA, 3 components"
    pixels = x.reshape(60, -1) / 255
    assert pca.errors(x).mean() < 0.05 * pixels.var(0).mean()
