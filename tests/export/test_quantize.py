"""Quantised releases: smaller, measured beside the float ones, refused where they lose too much."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor, nn

import zoo
from conftest import Refused, Shelf, contents, plugged, python, raises, slow
from zoo.cli import cli
from zoo.cli.info import info_command
from zoo.core.errors import DataError, ExportError, MissingPackageError, ReleaseError, SettingError
from zoo.evaluation import Measurement
from zoo.evaluation.evaluated_model import Budget, DoesNotApply
from zoo.media.convert import from_batch
from zoo.pipeline import verify
from zoo.release import WEIGHTS, read
from zoo.sampling import autoregressive
from zoo_export import calibration, losses, low_precision, onnx_graph, writer

KINDS = ("fp16", "int8")
LOW, FULL = (np.dtype("float16"), np.dtype("int8")), (np.dtype("float32"),)
QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 4


@pytest.fixture(autouse=True, scope="module")
def little() -> Iterator[None]:
    """Small samples: these are tests of what is written, and of measurements that are plain on few samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "BUDGET", Budget(limit=100, most=60, fit=200, reference=100))
        patch.setattr(losses, "NLL", 20)
        patch.setattr(losses, "SECONDS", 0.05)
        yield


def quantised(source: Path | str, to: Path, kind: str, **more: Any) -> Path:
    return zoo.export(source, to, quantize=kind, quiet=True, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The released VAE in float16 and in 8 bits."""
    folder = tmp_path_factory.mktemp("digits")
    return {kind: quantised("vae.digits", folder / kind, kind) for kind in KINDS}


def session(graph: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    content = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(content, QUIET, providers=["CPUExecutionProvider"])


def distance(left: NDArray[Any], right: NDArray[Any]) -> float:
    """How far `right` is from `left`, as a part of it; of codes the share that are others."""
    if left.dtype.kind == "i":
        return float((left != right).mean()) / 100
    gap = right.astype(np.float64) - left
    return float(np.linalg.norm(gap) / max(np.linalg.norm(left.astype(np.float64)), 1e-9))


# What is written


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_every_kind_in_low_precision(model_name: str, kind: str, shelf: Shelf, tmp_path: Path) -> None:
    """For every kind of model: one file of low-precision weights that all graphs point into; its source stays."""
    source = shelf.release(model_name)
    before = contents(source)
    folder = quantised(source, tmp_path / kind, kind)
    assert contents(source) == before
    release, plain = read(folder), read(source)
    made = release.manifest["quantized"]
    assert (made["kind"], made["of"]) == (kind, plain.manifest["sha256"])
    assert release.tasks == plain.tasks
    assert "parity" not in release.manifest
    for name, task in release.tasks.items():
        tensors = list(map(onnx.numpy_helper.to_array, onnx.load(folder / task.graph).graph.initializer))
        sizes = {kind: sum(array.size for array in tensors if array.dtype in kind) for kind in (LOW, FULL)}
        # kernels that a graph crops, and matrices that it picks for each sample, stay wide
        chosen = kind == "int8" and (model_name in ("pixelcnn", "vq-vae") or name == "draw")
        assert sizes[LOW] >= 2 * sizes[FULL] or chosen, name
    for path in folder.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert (model.opset_import[0].version, len(model.opset_import), model.ir_version) == (18, 1, 10)
        assert str(tmp_path).encode() not in path.read_bytes()
        assert b".py" not in path.read_bytes()
        bodies = [part.g for node in model.graph.node for part in node.attribute if part.HasField("g")]
        for tensor in [tensor for part in (model.graph, *bodies) for tensor in part.initializer]:
            assert tensor.ByteSize() < 2048, (path.name, tensor.name)
    found = verify.verify(folder)
    assert f"does not apply to {kind}" in found["parity"]
    feeds = calibration.feeds(zoo.load(source), zoo.data.load(release.data, "test"), 8)
    ours, theirs = zoo.load(source), zoo.load(folder)
    for name, given in feeds.items():
        wanted, got = (model.backend.run(name, given) for model in (ours, theirs))
        for key in wanted:
            assert got[key].dtype == wanted[key].dtype
            if (model_name, name) != ("vq-vae", "score"):  # it is of codes, and rounding may choose another
                assert distance(wanted[key], got[key]) < {"fp16": 0.003, "int8": 0.06}[kind], (name, key)


def test_int8_computes_in_integers(digits: Mapping[str, Path]) -> None:
    graphs = {
        name: onnx.load(digits["int8"] / f"{name}.onnx", load_external_data=False) for name in ("encode", "decode")
    }
    for graph in graphs.values():
        kinds = [node.op_type for node in graph.graph.node]
        assert kinds.count("QuantizeLinear") >= kinds.count("Conv") + kinds.count("Gemm") > 1
        assert "BatchNormalization" not in kinds
    stored = load_file(digits["int8"] / WEIGHTS)
    assert max(np.abs(array.astype(int)).max() for array in stored.values() if array.dtype == np.int8) <= 127


def test_the_digits_are_smaller_and_as_good(digits: Mapping[str, Path]) -> None:
    plain = zoo.load("vae.digits")
    images = zoo.data.load("digits", "test").array[:64, 0]
    for kind, size, gap in (("fp16", 0.65, 1), ("int8", 0.5, 12)):
        release = read(digits[kind])
        made = release.manifest["quantized"]
        assert made["bytes"]["quantized"] < size * made["bytes"]["float"]
        names = [name for name in release.files if name.endswith((".onnx", ".safetensors"))]
        assert made["bytes"]["quantized"] == sum((release.folder / name).stat().st_size for name in names)
        assert [loss["name"] for loss in made["losses"]] == ["mse", "psnr", "fid", "knn"]
        assert all(abs(loss["loss"]) < 0.03 for loss in made["losses"])
        assert made["losses"][0]["quantized"] != made["losses"][0]["float"]
        for task in release.tasks:
            assert 0 < made["differences"][task]["relative"] < 0.03
            took = made["speed"]["milliseconds"][task]
            assert {key for batch in took.values() for key in batch} == {"float", "quantized"}
            assert took.keys() == {"1", "64"}
        got = zoo.load(digits[kind]).reconstruct(images)
        assert 0 < np.abs(got.astype(int) - plain.reconstruct(images)).max() <= gap


def test_the_figures_are_those_of_zoo_evaluate(digits: Mapping[str, Path]) -> None:
    found = zoo.evaluate(digits["int8"], only=["mse", "own"], limit=100, quiet=True)
    (mse,) = found.measurements
    released = read(digits["int8"]).manifest["metrics"][0]
    assert (mse.name, mse.value, mse.low) == ("mse", released["value"], released["low"])
    assert "is in int8 and has no weights for torch" in found.left_out["own"]


def test_the_graph_that_generates_is_of_the_same_numbers(digits: Mapping[str, Path], gpt: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        scalars = {name: np.array(value) for name, value in (("seed", 7), ("first", 3), ("count", 4))}
        (samples,) = session(digits[kind] / "generate.onnx").run(None, scalars)
        wanted = zoo.load(digits[kind]).generate(4, seed=7, first=3)
        assert np.abs(from_batch(samples, read(digits[kind]).sample.x).astype(int) - wanted).max() <= 1
    folder = quantised(gpt, tmp_path / "gpt", "int8")
    release = read(folder)
    scalars |= {"prompt": np.array([2, 1]), "length": np.array(20), "top_k": np.array(0)}
    scalars |= {"temperature": np.array(1.0, np.float32), "top_p": np.array(1.0, np.float32)}
    (found,) = session(folder / "generate.onnx").run(None, scalars)
    assert release.plan is not None
    run, free = zoo.load(folder).backend.run, autoregressive.prompted(np.array([2, 1]), 4, 22)
    assert autoregressive.is_valid_continuation(
        run, release.plan, np.arange(3, 7), 7, {}, found, free, autoregressive.ALL
    )


def test_images_as_bytes_stay(digits: Mapping[str, Path], shelf: Shelf, tmp_path: Path) -> None:
    plain = zoo.export(shelf.release("dcgan"), tmp_path / "plain", uint8=True)
    release = read(quantised(plain, tmp_path / "small", "int8"))
    assert release.uint8 == {"decode": "decode.uint8.onnx", "generate": "generate.uint8.onnx"}
    assert b"Quantize" in (release.folder / "decode.uint8.onnx").read_bytes()


def test_a_run_is_quantised_on_its_own_data(gpt: Path, tmp_path: Path) -> None:
    """The run knows where its text lies; a release of it does not, and says how to tell it."""
    folder = quantised(gpt, tmp_path / "a", "fp16")
    assert "calibration" in read(folder).manifest["quantized"]
    with raises(DataError, "of which a release has only the name", "--data text:FILE"):
        quantised(gpt / "release", tmp_path / "b", "fp16")
    again = quantised(gpt / "release", tmp_path / "b", "fp16", data=f"text:{gpt.parent / 'text.txt'}")
    assert read(again).manifest["quantized"]["losses"] == read(folder).manifest["quantized"]["losses"]


def test_a_quantised_release_runs_without_what_training_needs(digits: Mapping[str, Path]) -> None:
    code = "import sys, zoo; print(zoo.load(sys.argv[1]).generate(2).shape, 'torch' in sys.modules)"
    for folder in digits.values():
        assert python(code, folder, block=("torch", "onnx", "onnxscript", "sklearn")) == "(2, 8, 8) False\n"


def test_what_a_person_reads(digits: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    card = (digits["int8"] / "README.md").read_text("utf-8")
    made = read(digits["int8"]).manifest["quantized"]
    assert made["of"] in card
    assert f"{made['bytes']['quantized']:,} bytes in place of {made['bytes']['float']:,}" in card
    assert "| `decode` | 64 |" in card
    assert "proven" in card
    info_command.callback(str(digits["int8"]), False)  # type: ignore[misc]
    said = capsys.readouterr().out
    assert f"the release whose manifest has the SHA-256 {made['of']}" in said
    assert "mse " in said


def test_the_command_shows_what_is_lost(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["export", "vae.digits", "-o", str(tmp_path / "small"), "--quantize", "fp16"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["METRIC", "FLOAT", "FP16", "WORSE", "UNIT"]
    assert [row[0] for row in rows[1:5]] == ["mse", "psnr", "fid", "knn"]
    made = read(tmp_path / "small").manifest["quantized"]["bytes"]
    assert f"Graphs and weights: {made['quantized']:,} bytes in place of {made['float']:,}." in done.stdout
    assert f"zoo verify {tmp_path / 'small'}" in done.stdout


# Metrics that need no plugin


def test_nll_by_steps_is_the_models_own(gpt: Path, tmp_path: Path) -> None:
    text = f"text:{gpt.parent / 'text.txt'}"
    (own,) = zoo.evaluate(gpt / "release", data=text, only=["own"], quiet=True).measurements
    folder = quantised(gpt, tmp_path / "half", "fp16")
    (steps,) = zoo.evaluate(folder, data=text, only=["nll"], quiet=True).measurements
    assert steps.value == pytest.approx(own.value * math.log(2), rel=1e-3)
    assert steps.value == pytest.approx(np.log(27), rel=0.1)  # hardly trained, on 27 characters
    assert own.protocol.startswith("windows of the recipe's length")
    assert steps.protocol.startswith("windows of 16 characters, overlapping by one; ")


def test_accuracy_needs_no_plugin(tmp_path: Path) -> None:
    (before,) = zoo.evaluate("features.digits", only=["accuracy"], quiet=True).measurements
    folder = quantised("features.digits", tmp_path / "half", "fp16")
    (after,) = zoo.evaluate(folder, only=["accuracy"], quiet=True).measurements
    assert after.value == pytest.approx(before.value, abs=1 / 297)
    assert after.value > 0.9
    assert [loss["name"] for loss in read(folder).manifest["quantized"]["losses"] if loss["counts"]] == [
        "cross_entropy"
    ]


def test_groups_say_why_they_do_not_apply(shelf: Shelf) -> None:
    found = zoo.evaluate(shelf.release("ae"), limit=20, samples=20, quiet=True)
    assert found.left_out["classification"].startswith("ae.tiny has no task 'classify'")
    assert found.left_out["likelihood"] == "ae.tiny does not generate token by token"
    with raises(DoesNotApply, "measured on images"):
        from zoo.evaluation import classification, source

        classification.measurements(source.subject_of(zoo.load(shelf.release("chargpt")), None, None, True), Budget())


# What is refused


def measurement(
    value: float, better: str = "lower", low: float | None = None, high: float | None = None
) -> Measurement:
    return Measurement(name="mse", value=value, unit="", protocol="", better=better, low=low, high=high)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "worse", "allowed"),
    [
        (measurement(1.0), measurement(1.05), 0.05, True),
        (measurement(1.0), measurement(1.2), 0.2, False),
        (measurement(1.0), measurement(0.2), -0.8, True),
        (measurement(0.5, "higher"), measurement(0.4, "higher"), 0.2, False),
        (measurement(0.5, "higher"), measurement(0.6, "higher"), -0.2, True),
        (measurement(1.0, low=0.7, high=1.3), measurement(1.2), 0.2, True),
        (measurement(1.0, low=0.9, high=1.1), measurement(1.2), 0.2, False),
        (measurement(-2.0), measurement(-1.9), 0.05, True),
        (measurement(-2.0), measurement(-1.6), 0.2, False),
        (measurement(-2.0, "higher"), measurement(-2.4, "higher"), 0.2, False),
        (measurement(0.0), measurement(6.3e-5), 0.063, True),
        (measurement(0.0), measurement(2e-4), 0.2, False),
        (measurement(1e-5, "higher"), measurement(-1.9e-4, "higher"), 0.2, False),
    ],
)
def test_the_bound(before: Measurement, after: Measurement, worse: float, allowed: bool, shelf: Shelf) -> None:
    loss = losses.Loss(before, after)
    assert loss.relative == pytest.approx(worse)
    release = read(shelf.release("vae"))
    if allowed:
        assert losses.check(release, [loss], {}) == 0.1
        return
    by = "20.0% worse" if abs(before.value) > 1e-3 else "worse by more than 0.0001"
    words = ("vae.tiny loses too much: mse is", f"{after.value:.4g} quantised, {by}", "= 0.1", "--quantize-loss 0.2")
    with raises(ExportError, *words):
        losses.check(release, [loss], {})
    assert losses.check(release, [loss], {}, 0.21) == 0.21
    assert losses.check(release, [dataclasses.replace(loss, counts=False)], {}) == 0.1


ROTATIONS = {name: f"rotation_plugin:{name}" for name in ("rotation", "beside", "without")}


@pytest.fixture(scope="module")
def rotations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Path]]:
    """Runs of models that reconstruct exactly: with a metric through its tasks, with one beside them, with none."""
    folder = tmp_path_factory.mktemp("rotations")
    with plugged(folder, **ROTATIONS):
        yield {name: zoo.train(f"{name}.tiny", out=folder / name, quiet=True).folder for name in ROTATIONS}


@pytest.mark.parametrize("model", ["rotation", *slow("beside"), "without"])
def test_a_model_without_an_error_may_make_a_small_one(
    model: str, rotations: Mapping[str, Path], tmp_path: Path
) -> None:
    """Its own first metric counts, as its tasks in 8 bits answer; and where it calls none, the MSE of any model."""
    made = read(quantised(rotations[model], tmp_path / "small", "int8")).manifest["quantized"]
    (counting,) = [loss for loss in made["losses"] if loss["counts"] and loss["name"] != "knn"]
    assert counting["name"] == ("reconstruction_error" if model == "rotation" else "mse")
    assert counting["float"] < 1e-12
    assert 1e-6 < counting["quantized"] < 1e-4
    assert counting["of"] == 1e-3
    assert counting["loss"] == pytest.approx(counting["quantized"] / 1e-3, rel=1e-3)
    assert next(loss for loss in made["losses"] if loss["name"] == "psnr")["loss"] > 0.1
    why = {"beside": "size calls no task", "without": "it declares no metrics of its own"}
    assert made["left_out"].get("own", "").startswith(why.get(model, ""))
    assert ("own" in made["left_out"]) == (model != "rotation")


def test_the_bound_is_given_at_export(rotations: Mapping[str, Path], refused: Refused, tmp_path: Path) -> None:
    export = ("export", rotations["rotation"], "-o", "small", "--quantize", "int8", "--quantize-loss")
    words = ("reconstruction_error is", "worse by more than 1e-05", "quantize_loss = 0.01 was given", "written")
    line = refused(*export, "0.01", says=words)
    accepted = line.rpartition("--quantize-loss ")[2]
    done = CliRunner().invoke(
        cli, ["export", *map(str, export[1:2]), "-o", str(tmp_path / "small"), *export[4:], accepted]
    )
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "small").manifest["quantized"]["bound"] == float(accepted)
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("reconstruction_error")]
    assert row[3].startswith("+")
    assert "%" not in row[3]  # of nothing there is no percentage


def test_outputs_that_are_all_one_are_no_reason_to_refuse(shelf: Shelf) -> None:
    """A task whose output does not vary is compared on an absolute scale."""

    class One:
        def __init__(self, gap: float) -> None:
            self.backend, self.gap = self, gap

        def run(self, name: str, feeds: Mapping[str, Any]) -> Mapping[str, NDArray[np.float32]]:
            return {"y": np.full((4, 3), 5 + self.gap, np.float32)}

    feeds = {"task": {"x": np.zeros((4, 3), np.float32)}}
    gaps = losses.differences(One(0), One(1e-5), feeds)  # type: ignore[arg-type]
    assert gaps["task"]["relative"] == pytest.approx(0.01, rel=0.1)


Feeds = Callable[..., dict[str, dict[str, NDArray[Any]]]]


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration sees samples a hundred times too faint, so real ones are cut off."""
    feeds: Feeds = calibration.feeds

    def faint(model: Any, data: Any, count: int = calibration.SAMPLES) -> dict[str, dict[str, NDArray[Any]]]:
        found = feeds(model, data, count)
        if data.split == "train":
            found = {name: {key: value * 0.01 for key, value in given.items()} for name, given in found.items()}
            found = {n: {k: v.astype(np.float32) for k, v in given.items()} for n, given in found.items()}
        return found

    monkeypatch.setattr(calibration, "feeds", faint)


@pytest.mark.usefixtures("spoilt")
def test_a_model_that_is_destroyed_is_refused(refused: Refused) -> None:
    words = (
        "vae.digits loses too much: mse is",
        "in float and",
        "% worse",
        "quantize_loss = 0.1",
        "Nothing was written",
    )
    refused("export", "vae.digits", "-o", "small", "--quantize", "int8", says=words)


@pytest.mark.usefixtures("spoilt")
def test_without_a_metric_the_tasks_may_not_differ_by_more(
    shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "SHOWN", ())
    words = ("no metric applies, task 'encode' differs by", "quantize_loss = 0.1", "Nothing was written")
    refused("export", shelf.release("vae"), "-o", "small", "--quantize", "int8", says=words)


def test_the_recipe_sets_the_bound(shelf: Shelf) -> None:
    release, loss = read(shelf.release("vae")), losses.Loss(measurement(1.0), measurement(1.05))
    for bound, allowed in ((0, False), (0.04, False), (0.06, True), ("much", True)):
        recipe = release.manifest["recipe"] | {"quantize_loss": bound}
        strict = dataclasses.replace(release, manifest={**release.manifest, "recipe": recipe})
        if allowed:
            assert losses.check(strict, [loss], {}) == (bound if bound != "much" else 0.1)
            continue
        with raises(ExportError, "5.0% worse", f"quantize_loss = {bound} is the bound of its recipe"):
            losses.check(strict, [loss], {})
        with raises(ExportError, "task 'encode' differs by 5.0%", f"quantize_loss = {bound} is"):
            losses.check(strict, [], {"encode": {"largest": 1.0, "relative": 0.05}})


def test_a_graph_that_cannot_be_made_so(shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no\nsuch kernel")

    monkeypatch.setattr(low_precision.float16, "convert_float_to_float16", fail)
    monkeypatch.setattr(low_precision.quantization, "quantize_static", fail)
    monkeypatch.setattr(low_precision.quantization, "quantize_dynamic", fail)
    for kind, model, task in (("fp16", "vae", "encode"), ("int8", "vae", "encode"), ("int8", "chargpt", "step")):
        words = (f"Task {task!r} cannot be converted to {kind}: RuntimeError: no such kernel", "Nothing was written")
        refused("export", shelf.release(model), "-o", "new", "--quantize", kind, says=words)


def test_options_that_do_not_fit(digits: Mapping[str, Path], shelf: Shelf, refused: Refused, tmp_path: Path) -> None:
    refused("export", "vae.digits", "-o", "new", "--quantize", "int4", says=("int4", "fp16", "int8"))
    with raises(SettingError, "quantize = 'int4' is not one of fp16, int8"):
        quantised("vae.digits", tmp_path / "new", "int4")
    words = ("data = 'digits' is only for quantising", "--quantize int8")
    refused("export", "vae.digits", "-o", "new", "--data", "digits", says=words)
    words = ("quantize_loss = 0.2 is only for quantising", "--quantize int8")
    refused("export", "vae.digits", "-o", "new", "--quantize-loss", "0.2", says=words)
    for value in ("-1", "nan", "inf"):
        words = (f"quantize_loss = {float(value)} is not a number of at least 0",)
        refused("export", "vae.digits", "-o", "new", "--quantize", "int8", "--quantize-loss", value, says=words)
    words = ("vae.digits is already quantised to int8", "float release")
    refused("export", digits["int8"], "-o", "new", "--quantize", "fp16", says=words)
    words = ("No data set named 'nothing'",)
    refused("export", "vae.digits", "-o", "new", "--quantize", "int8", "--data", "nothing", says=words)
    words = ("descriptions does not fit vae.digits",)
    refused("export", "vae.digits", "-o", "new", "--quantize", "int8", "--data", "descriptions", says=words)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime", "torchmetrics"])
def test_without_what_it_needs(package: str, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zoo_export.quantize", "zoo_export.low_precision", "zoo_export.losses"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    words = (f"needs {package}", "pip install 'genzoo[")
    refused("export", "vae.digits", "-o", "new", "--quantize", "int8", says=words)
    with raises(MissingPackageError, package):
        quantised("vae.digits", Path("new"), "fp16")


@pytest.mark.slow
def test_torch_has_no_weights_of_it(digits: Mapping[str, Path], refused: Refused) -> None:
    of = read(digits["int8"]).manifest["quantized"]["of"]
    words = ("is in int8 and has no weights for torch", "the release of vae.digits that it was made of", of)
    with raises(ReleaseError, *words):
        zoo.load_module(digits["int8"])
    refused("generate", digits["int8"], "--backend", "torch", "-o", "a.png", says=words)
    refused("train", "vae.digits", "--from", digits["int8"], says=words)


# A release that is damaged


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 8},
        {"of": None},
        {"losses": {}},
        {"losses": [{"name": "mse"}]},
        {"bytes": {"float": 1}},
        {"bytes": 9},
    ],
)
def test_a_damaged_manifest(
    change: Mapping[str, Any], digits: Mapping[str, Path], refused: Refused, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(digits["int8"], tmp_path / "damaged"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["quantized"] |= change
    (folder / "manifest.json").write_text(json.dumps(manifest))
    refused("info", folder, says=("quantized", "is missing or not of the right type"))
    manifest["quantized"] = 3
    (folder / "manifest.json").write_text(json.dumps(manifest))
    refused("info", folder, says=("quantized", "is missing or not of the right type"))


def test_other_samples_are_told(digits: Mapping[str, Path], refused: Refused, tmp_path: Path) -> None:
    """Low precision may round to the next level elsewhere; an image of other samples is still told."""
    folder = Path(shutil.copytree(digits["int8"], tmp_path / "other"))
    image = np.asarray(Image.open(folder / "samples.png")).copy()
    for change, says in ((3, ""), (100, "the samples of seed 0 are not those in samples.png")):
        other = image.copy()
        other[: len(other) // 6] = np.clip(image[: len(other) // 6].astype(int) + change, 0, 255)
        Image.fromarray(other).save(folder / "samples.png")
        writer.finish(folder, read(digits["int8"]).manifest)
        if says:
            refused("verify", folder, says=(says,))
        else:
            assert verify.verify(folder)["samples"] == "seed 0 gives the samples in samples.png"


# The numbers


class Wave(nn.Module):
    """An angle that grows with the position, and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.register_buffer("frequency", 10.0 ** -torch.arange(8.0))

    def forward(self, position: Tensor) -> Tensor:
        return self.layer((position[:, None] * self.frequency).sin())


def test_angles_keep_their_precision() -> None:
    module = Wave().eval()
    task = zoo.Task(module.forward, {"position": zoo.Vector((), "int64")}, {"y": zoo.Vector((8,))})
    graph = low_precision.half(onnx_graph.trace(module, task, "wave"), "wave")
    onnx.checker.check_model(graph, full_check=True)
    assert [value.name for value in graph.graph.input] == ["position"]
    positions = np.array([0, 1, 3001, 40_003])
    (made,) = session(graph).run(None, {"position": positions})
    with torch.no_grad():
        wanted = module(torch.from_numpy(positions)).numpy()
    np.testing.assert_allclose(made, wanted, atol=3e-3)


class Upwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(6, 10, 4, 2, 1)
        with torch.no_grad():
            self.layer.weight[:, 3] *= 1000
            self.layer.weight[:, 4] = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_weights_alone_have_a_scale_a_channel() -> None:
    torch.manual_seed(0)
    module = Upwards().eval()
    task = zoo.Task(module.forward, {"x": zoo.Vector((6, 5, 5))}, {"y": zoo.Vector((10, 10, 10))})
    x = np.random.default_rng(0).standard_normal((8, 6, 5, 5)).astype(np.float32)
    graph = low_precision.static(onnx_graph.trace(module, task, "up"), "up", {"x": x})
    assert [tensor.dims for tensor in graph.graph.initializer if tensor.data_type == onnx.TensorProto.INT8] == [
        [6, 10, 4, 4]
    ]
    (made,) = session(graph).run(None, {"x": x})
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    for channel in range(10):
        spread = np.abs(wanted[:, channel]).max()
        assert np.abs(made[:, channel] - wanted[:, channel]).max() < 0.01 * spread + 1e-6
