"""What holds for every shape, batch and seed, tried on released tiny models and on small modules made here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
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
    """The form of a small generator: what it is given and draws, its classes (0: none), its images, its layers.

    With a state, it is a chain: a loop moves the state, and then the images are drawn from that too.
    """

    noises: tuple[tuple[tuple[int, ...], str], ...]
    numbers: tuple[zoo.Number, ...]
    given: bool
    classes: int
    image: tuple[int, int, int]
    conv: bool
    state: tuple[int, ...]
    """() for a single call."""
    points: tuple[float, ...]
    """The schedule of the loop."""

    @property
    def sample(self) -> zoo.Sample:
        return zoo.Sample(Image(*self.image), {"label": zoo.Label(self.classes)} if self.classes else {})

    @property
    def inputs(self) -> dict[str, Spec]:
        found: dict[str, Spec] = {"state": zoo.Vector(self.state)} if self.state else {}
        found |= {"picture": Image(*self.image)} if self.given else {}
        for place, (shape, distribution) in enumerate(self.noises):
            found[f"z{place}"] = zoo.Noise(shape, distribution)  # type: ignore[arg-type]
        found |= {f"number{place}": number for place, number in enumerate(self.numbers)}
        return found | ({"label": zoo.Label(self.classes)} if self.classes else {})


def width(specs: Mapping[str, Spec]) -> int:
    """The numbers of an item of all inputs, side by side."""
    return sum(spec.classes if isinstance(spec, zoo.Label) else int(np.prod(spec.shape)) for spec in specs.values())


def beside(specs: Mapping[str, Spec], inputs: tuple[Tensor, ...]) -> Tensor:
    """All inputs of a batch side by side: (b, width)."""
    parts = []
    for spec, value in zip(specs.values(), inputs, strict=True):
        value = nn.functional.one_hot(value, spec.classes).float() if isinstance(spec, zoo.Label) else value
        parts.append(value.flatten(1) if spec.shape or value.ndim > 1 else value[:, None])
    return torch.cat(parts, 1)


class Small(nn.Module):
    """A dense layer on all inputs, then a convolution or none, then a sigmoid; and one that moves the state."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        channels, height, width_ = form.image
        self.dense = nn.Linear(width(form.inputs), channels * height * width_)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if form.conv else nn.Identity()
        if form.state:
            self.mover = nn.Linear(width(self.moves), int(np.prod(form.state)))

    @property
    def moves(self) -> dict[str, Spec]:
        """The inputs of a step of the loop: it draws noise, and takes the numbers and the label of the last task."""
        others = {name: spec for name, spec in self.form.inputs.items() if isinstance(spec, (zoo.Number, zoo.Label))}
        state, point = zoo.Noise(self.form.state), zoo.Vector(())
        return {"state": state, "time": point, "until": point, "kick": zoo.Noise((2,), "uniform"), **others}

    def draw(self, *inputs: Tensor) -> Tensor:
        x = self.dense(beside(self.form.inputs, inputs)).unflatten(1, self.form.image)
        return torch.sigmoid(self.conv(x))

    def move(self, *inputs: Tensor) -> Tensor:
        return self.mover(beside(self.moves, inputs)).tanh().unflatten(1, self.form.state)

    def plan(self) -> Plan:
        tasks = {"draw": zoo.Task(self.draw, self.form.inputs, {"image": self.form.sample.x})}
        if not self.form.state:
            return Plan(zoo.OneShot("draw"), tasks, self.form.sample)
        tasks["move"] = zoo.Task(self.move, self.moves, {"next_state": zoo.Vector(self.form.state)})
        loop = zoo.Iterative("move", self.form.points, len(self.form.points) - 1)
        return Plan(zoo.Chain(loop, "draw"), tasks, self.form.sample)


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
FORMS = st.builds(
    Form,
    noises=st.lists(st.tuples(SHAPES, st.sampled_from(["normal", "uniform"])), min_size=1, max_size=3).map(tuple),
    numbers=st.lists(
        st.sampled_from([zoo.Number(1.0), zoo.Number(0.5, ge=0, le=1), zoo.Number(-2.0, le=3), zoo.Number(7.0, ge=2)]),
        max_size=2,
    ).map(tuple),
    given=st.booleans(),
    classes=st.sampled_from([0, 1, 3]),
    image=st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)),
    conv=st.booleans(),
    state=st.just(()) | SHAPES,
    points=st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=7).map(tuple),
)


def numbers(spec: zoo.Number) -> st.SearchStrategy[float]:
    return st.floats(-3 if spec.ge is None else spec.ge, 9 if spec.le is None else spec.le, width=32)


@settings(max_examples=6, deadline=None, database=None)
@given(form=FORMS, draw=st.data())
def test_any_small_module_generates_the_same_by_torch_by_its_task_and_by_its_graph(
    form: Form, draw: st.DataObject
) -> None:
    torch.manual_seed(draw.draw(st.integers(0, 99)))
    module, image = Small(form).eval(), Image(*form.image)
    plan = module.plan()
    assert plan.problem() == ""
    graphs = {name: onnx_graph.trace(module, task, name) for name, task in plan.tasks.items()}  # type: ignore[arg-type]
    alone = {name: session(graph.SerializeToString()) for name, graph in graphs.items()}
    whole = session(generate_graph.of(plan, graphs).SerializeToString())

    def by_torch(name: str, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        task = plan.tasks[name]
        with torch.inference_mode():
            made = task.method(*(torch.from_numpy(feeds[key]) for key in task.inputs))  # type: ignore[attr-defined]
        return {next(iter(task.outputs)): made.numpy()}

    def by_onnx(name: str, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        task = plan.tasks[name]
        return dict(zip(task.outputs, alone[name].run(None, {key: feeds[key] for key in task.inputs}), strict=True))

    def samples(run: generation.Run, part: slice, first: int, given: Mapping[str, Any], **asked: Any) -> Any:
        own = {name: value[part] for name, value in given.items()}
        return generation.generate(run, plan, n=part.stop - part.start, first=first + part.start, **own, **asked)

    for _ in range(5):
        seed, first, n = draw.draw(SEEDS), draw.draw(FIRSTS), draw.draw(st.sampled_from([1, 3, 64, 67]))
        asked: dict[str, Any] = {
            name: draw.draw(numbers(spec)) for name, spec in plan.asked().items() if isinstance(spec, zoo.Number)
        }
        steps = {"steps": draw.draw(st.integers(1, len(form.points) - 1))} if form.state else {}
        shape = (n, image.height, image.width, *([3] if image.channels == 3 else []))
        pictures = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        given = {"picture": pictures} if form.given else {}
        wanted = samples(by_torch, slice(0, n), first, given, seed=seed, **asked, **steps)
        assert wanted.shape == shape
        assert near(samples(by_onnx, slice(0, n), first, given, seed=seed, **asked, **steps), wanted)
        parts = [samples(by_onnx, part, first, given, seed=seed, **asked, **steps) for part in cuts(draw, n)]
        assert near(join(parts), wanted)
        taken = {name: to_batch(value, image, name) for name, value in given.items()}
        batches = generation.asked_of(plan, np.arange(first, first + n), **asked, **taken)
        (made,) = whole.run(None, derived.feeds(plan, seed=seed, first=first, n=n, asked=batches, **steps))
        assert near(from_batch(made, image), wanted)


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
