"""What holds for every shape, batch and seed, tried on released tiny models and on small modules made here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo
from conftest import Shelf, raises, slow
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Image, Spec, Text
from zoo.core.errors import ReleaseError, SettingError
from zoo.media.convert import from_batch, to_batch
from zoo.release import ReleasedTask
from zoo.runtime import LoadedModel, derived
from zoo.runtime.derived import ATOL, RTOL
from zoo.runtime.example_inputs import example
from zoo.sampling import autoregressive, generation
from zoo.sampling.autoregressive import SamplingParams
from zoo_export import generate_graph, onnx_graph

QUICK = settings(max_examples=12, deadline=None, database=None)
SEEDS = st.integers(0, 2**64 - 1)
FIRSTS = st.integers(0, 2**32 - 200)


def near(left: Any, right: Any) -> bool:
    """Texts that are equal; images within one level; other numbers within what two runtimes may differ by."""
    if isinstance(left, list):
        return bool(left == right)
    if left.dtype == np.uint8:
        return left.shape == right.shape and bool(np.abs(left.astype(int) - right).max(initial=0) <= 1)
    return left.shape == right.shape and np.allclose(left, right, RTOL, ATOL)


def join(parts: list[Any]) -> Any:
    return list(itertools.chain(*parts)) if isinstance(parts[0], list) else np.concatenate(parts)


def cuts(draw: st.DataObject, n: int) -> list[slice]:
    """0 … n cut into parts, each of at least one."""
    inner = draw.draw(st.sets(st.integers(1, n - 1), max_size=4)) if n > 1 else set()
    edges = [0, *sorted(inner), n]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


# Released models


@pytest.fixture(scope="module", params=["ae", "vae", "chargpt", *slow("dcgan", "features")])
def model(request: pytest.FixtureRequest, shelf: Shelf) -> LoadedModel:
    """Each model with its tiny release in turn, loaded once."""
    return zoo.load(shelf.release(request.param), device="cpu")


def test_samples_do_not_depend_on_how_they_are_asked_for(model: LoadedModel) -> None:
    if model.release.generation is None:
        with raises(SettingError, "does not generate"):
            model.generate(1)
        return

    @QUICK
    @given(seed=SEEDS, first=FIRSTS, n=st.sampled_from([1, 2, 5, 63, 64, 65, 130]), draw=st.data())
    def one(seed: int, first: int, n: int, draw: st.DataObject) -> None:
        options = {} if isinstance(model.release.generation, zoo.OneShot) else {"length": 5}
        n = n if not options else min(n, 9)
        together = model.generate(n, seed=seed, first=first, **options)
        parts = [
            model.generate(part.stop - part.start, seed=seed, first=first + part.start, **options)
            for part in cuts(draw, n)
        ]
        assert near(join(parts), together)
        index = draw.draw(st.integers(0, n - 1))
        alone = model.generate(1, seed=seed, first=first + index, **options)
        assert near(alone, together[index : index + 1])

    one()


def test_a_task_gives_each_item_the_same_in_any_batch(model: LoadedModel) -> None:
    @QUICK
    @given(name=st.sampled_from(model.tasks), n=st.sampled_from([1, 2, 3, 64, 65, 70]), draw=st.data())
    def one(name: str, n: int, draw: st.DataObject) -> None:
        task = model.release.tasks[name]
        stream = draw.draw(st.integers(0, 1000))
        values = {key: example(spec, n, stream + place) for place, (key, spec) in enumerate(task.inputs.items())}
        people = {key: from_batch(values[key], spec) for key, spec in task.inputs.items()}
        together = outputs(model.run(name, **people), task)
        parts = [
            outputs(model.run(name, **{key: value[part] for key, value in people.items()}), task)
            for part in cuts(draw, n)
        ]
        for key, value in together.items():
            assert near(join([part[key] for part in parts]), value)

    one()


def outputs(made: Any, task: ReleasedTask) -> dict[str, Any]:
    """What a task gave, by name."""
    return made if isinstance(made, dict) else {next(iter(task.outputs)): made}


def test_the_graph_gives_what_the_host_does(model: LoadedModel) -> None:
    """generate.onnx, by ONNX Runtime alone, for any seed, first index and number."""
    plan = model.release.plan
    if plan is None:
        assert not model.release.generate
        return
    graph = session(str(model.release.folder / model.release.generate))

    @QUICK
    @given(seed=SEEDS, first=FIRSTS, n=st.integers(1, 80), temperature=st.floats(0, 3, width=32), k=st.integers(0, 99))
    def one(seed: int, first: int, n: int, temperature: float, k: int) -> None:
        if plan.tokens is None:
            (made,) = graph.run(None, derived.feeds(plan, seed=seed, first=first, n=n))
            host = model.generate(n, seed=seed, first=first)
            assert near(from_batch(made, model.release.sample.x), host)
            return
        n, length = min(n, 5), 7
        sampling = SamplingParams(temperature, k)
        prompt = np.array([k % 5, 1])
        given = derived.feeds(plan, seed=seed, first=first, n=n, prompt=prompt, length=length, sampling=sampling)
        (made,) = graph.run(None, given)
        text = model.release.sample.x
        assert isinstance(text, Text)
        host = model.generate(
            n, seed=seed, first=first, prompt="".join(text.vocabulary[index] for index in prompt), length=length,
            temperature=temperature, top_k=k,
        )  # fmt: skip
        indices = np.arange(first, first + n)
        assert from_batch(made, text) == host or autoregressive.is_valid_continuation(
            model.backend.run,
            plan,
            indices,
            seed,
            {},
            made,
            autoregressive.prompted(prompt, n, made.shape[1]),
            sampling,
        )

    one()


def session(graph: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


# Modules made here


@dataclass(frozen=True)
class Form:
    """The form of a small generator: its noises, its classes (0: no labels), its images, and its layers."""

    noises: tuple[tuple[tuple[int, ...], str], ...]
    classes: int
    image: tuple[int, int, int]
    conv: bool
    inputs: Mapping[str, Spec] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, Spec] = {}
        for place, (shape, distribution) in enumerate(self.noises):
            found[f"z{place}"] = zoo.Noise(shape, distribution)  # type: ignore[arg-type]
        if self.classes:
            found["label"] = zoo.Label(self.classes)
        object.__setattr__(self, "inputs", found)


class Small(nn.Module):
    """A dense layer on all noises and the label, then a convolution or none, then a sigmoid."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        channels, height, width = form.image
        size = sum(int(np.prod(shape)) for shape, _ in form.noises) + form.classes
        self.dense = nn.Linear(size, channels * height * width)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if form.conv else nn.Identity()

    def forward(self, *inputs: Tensor) -> Tensor:
        parts = [value.flatten(1) for value in inputs[: len(self.form.noises)]]
        if self.form.classes:
            parts.append(nn.functional.one_hot(inputs[-1], self.form.classes).float())
        x = self.dense(torch.cat(parts, 1)).unflatten(1, self.form.image)
        return torch.sigmoid(self.conv(x))


FORMS = st.builds(
    Form,
    noises=st.lists(
        st.tuples(
            st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), st.sampled_from(["normal", "uniform"])
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    classes=st.sampled_from([0, 1, 3]),
    image=st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)),
    conv=st.booleans(),
)


@settings(max_examples=4, deadline=None, database=None)
@given(form=FORMS, draw=st.data())
def test_any_small_module_generates_the_same_by_torch_by_its_task_and_by_its_graph(
    form: Form, draw: st.DataObject
) -> None:
    torch.manual_seed(draw.draw(st.integers(0, 99)))
    module = Small(form).eval()
    image = Image(*form.image)
    task = zoo.Task(module.forward, form.inputs, {"image": image})
    graph = onnx_graph.trace(module, task, "draw")
    alone = session(graph.SerializeToString())
    plan = Plan(zoo.OneShot("draw"), {"draw": task}, zoo.Sample(image, {"label": zoo.Label(form.classes)}))
    whole = session(generate_graph.of(plan, {"draw": graph}).SerializeToString())

    def by_torch(name: str, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with torch.inference_mode():
            return {"image": module(*(torch.from_numpy(feeds[key]) for key in form.inputs)).numpy()}

    def by_onnx(name: str, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return dict(zip(["image"], alone.run(["image"], dict(feeds)), strict=True))

    def samples(run: generation.Run, n: int, first: int) -> Any:
        return generation.generate(run, plan, n=n, seed=seed, first=first)

    for _ in range(5):
        seed, first, n = draw.draw(SEEDS), draw.draw(FIRSTS), draw.draw(st.sampled_from([1, 3, 64, 67]))
        wanted = samples(by_torch, n, first)
        assert wanted.shape == (n, image.height, image.width, *([3] if image.channels == 3 else []))
        assert near(samples(by_onnx, n, first), wanted)
        (made,) = whole.run(None, derived.feeds(plan, seed=seed, first=first, n=n))
        assert near(from_batch(made, image), wanted)
        parts = [samples(by_onnx, part.stop - part.start, first + part.start) for part in cuts(draw, n)]
        assert near(join(parts), wanted)


# Between what people hold and what graphs take

IMAGES = st.tuples(st.integers(0, 4), st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3]))


@settings(max_examples=60, deadline=None, database=None)
@given(shape=IMAGES, draw=st.data())
def test_images_survive_the_way_to_a_graph_and_back(shape: tuple[int, int, int, int], draw: st.DataObject) -> None:
    n, height, width, channels = shape
    spec = Image(channels, height, width)
    pixels = draw.draw(arrays(np.uint8, shape if channels == 3 else shape[:3]))
    batch = to_batch(pixels, spec, "image")
    assert batch.dtype == np.float32
    assert batch.shape == (n, channels, height, width)
    assert np.array_equal(from_batch(batch, spec), pixels)
    assert np.array_equal(to_batch(from_batch(batch, spec), spec, "image"), batch)
    if n:
        assert np.array_equal(to_batch(list(pixels), spec, "image"), batch)
        assert np.array_equal(to_batch(pixels[0], spec, "image"), batch[:1])
        assert np.array_equal(to_batch(pixels.astype(np.float64) / 255, spec, "image"), batch)


def test_characters_that_are_in_no_vocabulary() -> None:
    for index in (-1, 2, 2**40):
        with raises(ReleaseError, "none of the 2 in its vocabulary"):
            from_batch(np.array([[0, index]]), Text("ab", 2))
