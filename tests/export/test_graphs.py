"""The graphs around the tasks' own, run by ONNX Runtime alone: they give what zoo gives, in torch and by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo
from conftest import Refused, Shelf, raises, slow
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Image, Label, Sample
from zoo.core import philox
from zoo.core.errors import ExportError, SettingError
from zoo.media.convert import from_batch
from zoo.modules import tracing
from zoo.release import read
from zoo.runtime import derived
from zoo.runtime.example_inputs import example
from zoo.sampling import autoregressive, generation
from zoo.sampling.autoregressive import SamplingParams
from zoo_export import generate_graph, onnx_graph, uint8
from zoo_export.nodes import Nodes
from zoo_export.seeded import TABLE, Seeded

SEEDS = (0, 1, 2**63, 2**64 - 1)
QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 4


def session(graph: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    content = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(content, QUIET, providers=["CPUExecutionProvider"])


def scalars(**values: int) -> dict[str, NDArray[np.int64]]:
    """A seed of any 64 bits, and other integers, as int64 scalars."""
    return {name: np.array(value, np.uint64).view(np.int64) for name, value in values.items()}


# Seeds


def drawing(distribution: str, shape: tuple[int, ...], stream: int, step: int) -> onnxruntime.InferenceSession:
    """A graph that draws noise for `count` samples from `first` on."""
    nodes = Nodes()
    drawn = Seeded.of(nodes, "seed", "first", "count").draw(distribution, shape, stream, step)  # type: ignore[arg-type]
    nodes.initialisers.append(onnx.numpy_helper.from_array(philox.normal_table(), TABLE))
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, []) for name in ("seed", "first", "count")
    ]
    output = onnx.helper.make_tensor_value_info(drawn, onnx.TensorProto.FLOAT, ["n", *shape])
    graph = onnx.helper.make_graph(nodes.nodes, "noise", inputs, [output], nodes.initialisers)
    return session(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)]))


@pytest.mark.parametrize("distribution", ["normal", "uniform", "gumbel"])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (64,)])
def test_a_graph_draws_the_same_bits_as_numpy(distribution: str, shape: tuple[int, ...]) -> None:
    graph = drawing(distribution, shape, stream=2, step=7)
    for seed in SEEDS:
        for first, count in ((0, 1), (2**32 - 5, 5)):
            (drawn,) = graph.run(None, scalars(seed=seed, first=first, count=count))
            wanted = philox.draw(distribution, shape, seed, np.arange(first, first + count), 2, 7)  # type: ignore[arg-type]
            assert drawn.dtype == np.float32
            np.testing.assert_array_equal(drawn, wanted)


GRAPH = drawing("normal", (7,), 0, 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, 2**32 - 100), count=st.integers(1, 100))
def test_any_seed_and_any_sample(seed: int, first: int, count: int) -> None:
    (drawn,) = GRAPH.run(None, scalars(seed=seed, first=first, count=count))
    np.testing.assert_array_equal(drawn, philox.draw("normal", (7,), seed, np.arange(first, first + count)))


# Generation


def test_generate_gives_the_samples_of_torch(model_name: str, shelf: Shelf) -> None:
    """For every registered model that generates: the graph, by ONNX Runtime alone, against eager torch."""
    release = read(shelf.release(model_name))
    plan = release.plan
    if plan is None:
        assert not release.generate
        assert not (release.folder / "generate.onnx").exists()
        return
    eager = zoo.load(release.folder, backend="torch")
    graph = session(release.folder / release.generate)
    prompt, seed, indices = np.array([2, 1, 0]), 2**63 + 1, np.arange(5, 8)
    asked: dict[str, Any] = (
        {"prompt": prompt, "length": 9, "sampling": SamplingParams(0.5)} if "prompt" in plan.of_loop else {}
    )
    (samples,) = graph.run(["samples"], derived.feeds(plan, seed=seed, first=5, n=3, **asked))
    if asked:
        text = release.sample.x
        assert from_batch(samples, text)[0].startswith("".join(text.vocabulary[index] for index in prompt))  # type: ignore[union-attr]
        given, free = generation.asked_of(plan, indices), autoregressive.prompted(prompt, 3, 12)
        assert autoregressive.is_valid_continuation(
            eager.backend.run, plan, indices, seed, given, samples, free, SamplingParams(0.5)
        )
        return
    by_torch = eager.generate(3, seed=2**63 + 1, first=5)
    assert np.abs(from_batch(samples, release.sample.x).astype(int) - by_torch).max() <= 1


class Labelled(nn.Module):
    """A generator with a label and two noises, as a conditional model has."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.layer = nn.Linear(4, 4)

    def decode(self, z: Tensor, label: Tensor, u: Tensor) -> Tensor:
        return (self.layer(z) + self.embedding(label) + u).sigmoid().view(-1, 1, 2, 2)


def test_labels_and_several_noises() -> None:
    module = Labelled().eval()
    inputs = {"z": zoo.Noise((4,)), "label": zoo.Label(5), "u": zoo.Noise((4,), "uniform")}
    task = zoo.Task(module.decode, inputs, {"image": zoo.Image(1, 2, 2)})
    whole = generate_graph.of(
        Plan(zoo.OneShot("decode"), {"decode": task}, Sample(task.outputs["image"], {"label": Label(5)})),  # type: ignore[arg-type]
        {"decode": onnx_graph.trace(module, task, "decode")},
    )
    onnx.checker.check_model(whole, full_check=True)
    graph = session(whole)
    assert [value.name for value in graph.get_inputs()] == ["seed", "first", "label"]
    labels = np.array([4, 0, 4, 2])
    (samples,) = graph.run(None, {**scalars(seed=9, first=3), "label": labels})
    indices = np.arange(3, 7)
    z, u = philox.draw("normal", (4,), 9, indices), philox.draw("uniform", (4,), 9, indices, stream=1)
    with torch.no_grad():
        wanted = module.decode(*map(torch.from_numpy, (z, labels, u)))
    np.testing.assert_allclose(samples, wanted.numpy(), rtol=1e-5)


@pytest.mark.parametrize("model", ["vae", *slow("chargpt")])
def test_a_graph_that_generates_something_else_is_not_released(
    model: str, shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, draw = shelf.run(model), Seeded.draw
    monkeypatch.setattr(Seeded, "draw", lambda self, kind, shape, stream, step=0: draw(self, kind, shape, 9, step))
    refused("export", run, "-o", "new", says=("Parity failed", "generate.onnx"))


# Picking tokens


def test_top_k_and_top_p_by_hand() -> None:
    logits = np.log(np.array([[0.1, 0.4, 0.2, 0.3]], np.float32))

    def left(**how: float) -> list[int]:
        scores = autoregressive.perturbed_logits(logits, 0, np.array([0]), 0, SamplingParams(**how))  # type: ignore[arg-type]
        return np.flatnonzero(np.isfinite(scores[0])).tolist()

    assert left() == [0, 1, 2, 3]
    assert left(top_k=1) == [1]
    assert left(top_k=3) == [1, 2, 3]
    assert left(top_k=9) == [0, 1, 2, 3]
    assert left(top_p=0.39) == [1]
    assert left(top_p=0.41) == [1, 3]
    assert left(top_p=0.71) == [1, 2, 3]
    assert left(top_k=2, top_p=0.56) == [1]  # of 0.4 and 0.3 alone, the first has 0.57
    assert left(top_k=2, top_p=0.58) == [1, 3]
    assert autoregressive.sample_token(logits, 0, np.array([0]), 0, SamplingParams(top_k=1)).tolist() == [1]


def test_what_is_left_is_picked_as_often_as_it_is_likely() -> None:
    logits = np.tile(np.log(np.array([[0.1, 0.4, 0.2, 0.3]], np.float32)), (20_000, 1))
    picked = autoregressive.sample_token(logits, 3, np.arange(20_000), 0, SamplingParams(top_k=3))
    shares = np.bincount(picked, minlength=4) / len(picked)
    np.testing.assert_allclose(shares, [0, 4 / 9, 2 / 9, 3 / 9], atol=0.015)


# Images as bytes


def test_bytes_in_and_bytes_out(model_name: str, shelf: Shelf, tmp_path: Path) -> None:
    """For every kind of model: the graphs for uint8, by ONNX Runtime alone, against `zoo.load`."""
    model = zoo.load(shelf.release(model_name))
    images = [
        name for name, task in model.release.tasks.items()
        if any(isinstance(spec, Image) for spec in (*task.inputs.values(), *task.outputs.values()))
    ]  # fmt: skip
    if not images:
        with raises(SettingError, f"{model_name}.tiny has no image inputs", "--uint8"):
            zoo.export(shelf.release(model_name), tmp_path / "bytes", uint8=True)
        assert not (tmp_path / "bytes").exists()
        return
    folder = zoo.export(shelf.release(model_name), tmp_path / "bytes", uint8=True)
    release = read(folder)
    generates = ["generate"] if release.generation else []
    assert list(release.uint8) == [*images, *generates]
    for name in images:
        task = release.tasks[name]
        feeds, values = {}, {}
        for key, spec in task.inputs.items():
            if isinstance(spec, Image):
                shape = (4, spec.height, spec.width, spec.channels)
                feeds[key] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
                values[key] = feeds[key][..., 0] if spec.channels == 1 else feeds[key]
            else:
                feeds[key] = values[key] = example(spec, 4, 0)
        made = session(folder / release.uint8[name]).run(list(task.outputs), feeds)
        wanted = model.run(name, **values)
        wanted = wanted if isinstance(wanted, dict) else {next(iter(task.outputs)): wanted}
        for (key, spec), array in zip(task.outputs.items(), made, strict=True):
            if isinstance(spec, Image):
                assert array.dtype == np.uint8
                assert np.abs(array.astype(int).reshape(wanted[key].shape) - wanted[key]).max() <= 1
            else:
                np.testing.assert_allclose(array, wanted[key], rtol=1e-4, atol=1e-5)
    for _ in generates:
        assert release.plan is not None
        given = derived.feeds(release.plan, seed=4, first=2, n=3)
        (samples,) = session(folder / "generate.uint8.onnx").run([derived.SAMPLES], given)
        wanted = model.generate(3, seed=4, first=2)
        assert np.abs(samples.astype(int).reshape(wanted.shape) - wanted).max() <= 1


def test_a_graph_for_bytes_that_gives_something_else_is_refused(
    shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, name = shelf.release("vae"), Nodes.name
    monkeypatch.setattr(Nodes, "name", lambda self, value: name(self, 250.0 if value == 255.0 else value))
    refused("export", release, "-o", "new", "--uint8", says=("Parity failed", ".uint8.onnx"))


def test_a_release_without_images_has_none() -> None:
    assert uint8.of(onnx.ModelProto(), {"x": zoo.Vector((1,))}, {"y": zoo.Score()}) is None


# What does not export


class Bad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.slogdet(x[:, :, None] * x[:, None] + torch.eye(3))[1]


class Choosing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1) if x.sum() > 0 else -x.sum(1)


class Fixing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), 3).sum(1)


def test_a_task_that_fixes_the_batch_size_is_told_how_not_to() -> None:
    module = Fixing()
    task = zoo.Task(module.forward, {"x": zoo.Vector((3,))}, {"y": zoo.Vector(())})
    for trace in (onnx_graph.trace, tracing.program):
        with raises(ExportError, "Task 'odd'", "it fixes the batch size. Write x.shape[0]"):
            trace(module, task, "odd")


@pytest.mark.parametrize(("layer", "says"), [(Bad, "slogdet"), (Choosing, "its control flow depends on values")])
def test_the_layer_that_does_not_export_is_named(
    layer: type[nn.Module], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    module = nn.Sequential(nn.Identity(), nn.Sequential(layer()))
    task = zoo.Task(module.forward, {"x": zoo.Vector((3,))}, {"y": zoo.Vector(())})
    with raises(ExportError, "Task 'odd'", f"at the layer '1.0' ({layer.__name__})", says):
        onnx_graph.trace(module, task, "odd")
    assert capfd.readouterr() == ("", "")


class Odd(nn.Module):
    """A layer that draws random numbers, in one of the ways that torch has."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "Bernoulli":
            return torch.bernoulli(x.sigmoid())
        if self.way == "Dropout":
            return nn.functional.dropout(x, 0.5, training=True)
        return x + (torch.randn_like(x) if self.way == "RandomNormalLike" else torch.rand(x.shape))


@pytest.mark.parametrize("way", ["Bernoulli", "Dropout", "RandomNormalLike", "RandomUniformLike"])
def test_a_layer_that_draws_random_numbers_is_named(way: str) -> None:
    module = nn.Sequential(nn.Linear(4, 4), Odd(way))
    task = zoo.Task(module.forward, {"x": zoo.Vector((4,))}, {"y": zoo.Vector((4,))})
    with raises(ExportError, f"Task 'encode' draws random numbers ({way}) at the layer '1'", "a zoo.Noise"):
        onnx_graph.trace(module, task, "encode")


def test_an_operation_that_is_not_of_onnx_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = onnx_graph.clean

    def foreign(model: onnx.ModelProto) -> onnx.ModelProto:
        model = clean(model)
        model.graph.node[0].domain = "com.example"
        return model

    monkeypatch.setattr(onnx_graph, "clean", foreign)
    task = zoo.Task(nn.Tanh().forward, {"x": zoo.Vector((3,))}, {"y": zoo.Vector((3,))})
    with raises(ExportError, "Task 'odd' uses the operation com.example::"):
        onnx_graph.trace(nn.Tanh(), task, "odd")


class Chances(nn.Module):
    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        targets = torch.full_like(logits, 0.25)
        return nn.functional.logsigmoid(logits), nn.functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="none"
        )


def test_logarithms_of_small_chances_are_finite() -> None:
    """Where a sigmoid is 0 in float32, its logarithm is not −∞: a score of what is very strange stays a number."""
    module, form = Chances(), zoo.Vector((7,))
    task = zoo.Task(module.forward, {"logits": form}, {"log": form, "loss": form})
    logits = np.array([[-300, -90, -20, 0, 20, 90, 300]], np.float32)
    found = session(onnx_graph.trace(module, task, "chances")).run(None, {"logits": logits})
    for left, right in zip(found, module(torch.from_numpy(logits)), strict=True):
        np.testing.assert_allclose(left, right.numpy(), rtol=1e-6, atol=1e-6)


class LogSumExp(nn.Module):
    def forward(self, terms: Tensor) -> tuple[Tensor, ...]:
        double = terms.double().logsumexp(2).float()
        return terms.logsumexp(1), terms.logsumexp(-1, keepdim=True), terms.logsumexp((1, 2)), double


def test_sums_of_exponentials_are_those_of_torch() -> None:
    """Also where each is 0 or infinite in float32; the axis may be counted from the end, and there may be two."""
    module = LogSumExp()
    outputs = {
        "first": zoo.Vector((2,)),
        "last": zoo.Vector((3, 1)),
        "both": zoo.Vector(()),
        "double": zoo.Vector((3,)),
    }
    task = zoo.Task(module.forward, {"terms": zoo.Vector((3, 2))}, outputs)
    usual = np.array([[1.5, -2.0], [300.0, -300.0], [0.0, 88.8]], np.float32)
    nothing, infinite = np.full((3, 2), -np.inf, np.float32), np.array([[np.inf, 0], [0, 0], [0, 0]], np.float32)
    terms = np.stack([usual, -usual, nothing, infinite])
    found = session(onnx_graph.trace(module, task, "sums")).run(None, {"terms": terms})
    for left, right in zip(found, module(torch.from_numpy(terms)), strict=True):
        np.testing.assert_allclose(left, right.numpy(), rtol=1e-6)
