"""Generation in many steps, of the models in step_plugin.py: grids of tokens, and noise made a sample step by step."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

import ask_plugin
import step_plugin
import zoo
from conftest import STEPWISE, Command, Refused, few, patch_registry, plugged, raises, slow
from spoil import edit
from zoo import data
from zoo.benchmark import worker
from zoo.contract.generation import Autoregressive, Chain, generation_from_json
from zoo.contract.generation_plan import Plan
from zoo.contract.spec_json import to_json
from zoo.core import memory, philox
from zoo.core.errors import PluginError, ReleaseError, SettingError
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.generation import on_features
from zoo.media.convert import from_batch
from zoo.pipeline import verify, verify_samples
from zoo.release import parse, read
from zoo.runtime import derived
from zoo.sampling import autoregressive, generation, latent
from zoo.sampling.autoregressive import SamplingParams
from zoo_export.seeded import Seeded

DIGITS = data.load("digits", "test")
IMAGES = DIGITS.x[:6, 0]
MODELS = ("dots", "cells", "mist")
CHAINS = ("dots", "cells")


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with plugged(tmp_path_factory.mktemp("site"), **STEPWISE):
        yield


@pytest.fixture
def release(stepwise: Mapping[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A release of the model that the test names, to spoil."""
    return Path(shutil.copytree(stepwise[request.param] / "release", tmp_path / "release"))


def plan_of(source: Path) -> Plan:
    plan = read(source / "release").plan
    assert plan is not None
    return plan


def feeds(plan: Plan, seed: int, first: int, n: int, **asked: Any) -> dict[str, NDArray[Any]]:
    """The inputs of generate.onnx for options as :meth:`LoadedModel.generate` takes them."""
    inputs = {name: asked.pop(name) for name in plan.asked() if name in asked}
    steps = {"steps": asked.pop("steps")} if "steps" in asked else {}
    batches = generation.asked_of(plan, np.arange(first, first + n), **inputs)
    return derived.feeds(plan, seed=seed, first=first, n=n, asked=batches, sampling=SamplingParams(**asked), **steps)


# What does not fit


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("vae.digits", {"n": 10**9}, ("n = 1,000,000,000 samples need 136 GB", "-n 1000000 --first 0 -o 0.npy")),
        ("ddpm.digits", {"n": 10**9}, ("n = 1,000,000,000 samples need 136 GB", "--first 1000000 -o 1000000.npy")),
        ("pixelcnn.mnist", {"n": 10**9}, ("n = 1,000,000,000 samples need 1,576 GB", "first=100000")),
        ("audio-vae.fsdd", {"n": 10**8}, ("n = 100,000,000 samples need", "-n 10000 --first 0 -o 0.npy")),
        ("chargpt.shakespeare", {"n": 10**9}, ("n = 1,000,000,000 samples need 1,152 GB", "-o 0.txt")),
        ("chargpt.shakespeare", {"length": 10**9}, ("length = 1,000,000,000", "need 33 GB", "Set a smaller length")),
    ],
)
def test_more_than_fits_is_said_at_once(
    model: str, options: Mapping[str, int], words: tuple[str, ...], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 8 * 10**9)
    with raises(SettingError, *words, "and 8.0 GB are free"):
        zoo.load(model).generate(**options)  # type: ignore[arg-type]
    given = [word for key, value in options.items() for word in (f"-{key}" if key == "n" else f"--{key}", value)]
    for output in ("out.wav", "out.npy") if model == "audio-vae.fsdd" else ("out.npy",) if "n" in options else ():
        if model != "chargpt.shakespeare":
            refused("generate", model, *given, "-o", output, says=words)


def test_ways_and_tasks_that_do_not_fit_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with zoo.load("vae.digits") as model:
        monkeypatch.setattr(memory, "available", lambda: 8 * 10**9)
        for way in (lambda: model.interpolate(0, 1, steps=10**9), lambda: model.traverse(dimension=0, steps=10**9)):
            with raises(SettingError, "steps = 1,000,000,000", "GB of memory", "Set fewer steps"):
                way()
        monkeypatch.setattr(memory, "available", lambda: 1000)
        assert model.generate(3).shape == (3, 8, 8)  # what is small is not counted
        monkeypatch.setattr(memory, "SMALL", 100)
        with raises(SettingError, "The outputs of decode for 10 items need", "Use smaller batches"):
            model.decode(np.zeros((10, 8), np.float32))


def test_the_parts_that_are_proposed_are_the_whole(tmp_path: Path, zoo_call: Command) -> None:
    for first in (0, 3):
        done = zoo_call("generate", "vae.digits", "-n", "3", "--first", str(first), "-o", f"{first}.npy")
        assert done.returncode == 0, done.stderr
    parts = np.concatenate([np.load(tmp_path / f"{first}.npy") for first in (0, 3)])
    assert np.array_equal(parts, zoo.load("vae.digits").generate(6))


# Tokens


@pytest.mark.parametrize("name", few(CHAINS, "dots"))
def test_a_chain_picks_tokens_and_then_decodes_them(name: str, stepwise: Mapping[str, Path]) -> None:
    """Against the definition, by torch: the grid row by row with Gumbel noise of stream 0, then noise from stream 1."""
    net = zoo.load_module(stepwise[name])
    seed, indices, labels = 2**63 + 7, np.array([4, 5, 6]), torch.tensor([4, 5, 6])
    seen = torch.zeros(3, net.size)
    with torch.no_grad():
        for place in range(net.size):
            logits = net.logits(seen, torch.full((3,), place), labels) / 0.8
            gumbel = philox.draw("gumbel", (5,), seed, indices, stream=0, step=place)
            seen[:, place] = (logits + torch.from_numpy(gumbel)).argmax(1) + 1
        grid = seen.long().view(3, *net.grid) - 1
        if name == "dots":
            wanted = net.decode(grid)
        else:
            z = philox.draw("normal", (), seed, indices, stream=1)
            u = philox.draw("uniform", (8, 8), seed, indices, stream=2)
            wanted = net.shaded(grid, torch.from_numpy(z), labels, torch.from_numpy(u))
    with zoo.load(stepwise[name]) as model:
        made = model.generate(3, seed=seed, first=4, temperature=0.8)
        assert made.dtype == np.uint8
        assert np.abs(made.astype(int) - from_batch(wanted.numpy(), zoo.Image(1, 8, 8))).max() <= 1
        assert len(np.unique(made)) > 3
        assert np.array_equal(made, model.generate(3, seed=seed, label=[4, 5, 6], first=4, temperature=0.8))
        assert not np.array_equal(made, model.generate(3, seed=seed, label=1, first=4, temperature=0.8))


# Everywhere else


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_samples_do_not_depend_on_how_they_are_asked_for(
    name: str, stepwise: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with zoo.load(stepwise[name]) as model, zoo.load(stepwise[name], backend="torch") as eager:
        together = model.generate(7, seed=3, first=2**32 - 7).astype(int)
        assert np.abs(together - eager.generate(7, seed=3, first=2**32 - 7)).max() <= 1
        assert np.abs(together[5:] - model.generate(2, seed=3, first=2**32 - 2)).max() <= 1
        monkeypatch.setattr(generation, "MOST_ROWS", 3)
        assert np.abs(together - model.generate(7, seed=3, first=2**32 - 7)).max() <= 1
        assert np.abs(together - model.generate(7, seed=4, first=2**32 - 7)).max() > 1


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_the_graph_gives_what_the_host_does(name: str, stepwise: Mapping[str, Path]) -> None:
    release, plan = read(stepwise[name] / "release"), plan_of(stepwise[name])
    session = onnxruntime.InferenceSession(str(release.path(release.generate)))
    options: list[dict[str, Any]] = [{"steps": 1}, {"steps": 6, "eta": 1.0}, {}]
    if name in CHAINS:
        options = [{}, {"temperature": 0.6, "top_k": 3, "top_p": 0.9}, {"temperature": 0.0}]
    assert {value.name for value in session.get_inputs()} == {"seed", "first", *plan.options}
    with zoo.load(release.folder) as model:
        for asked in options:
            given = feeds(plan, 2**64 - 1, 9, 4, **asked)
            made = dict(zip([v.name for v in session.get_outputs()], session.run(None, given), strict=True))
            host = generation.generate(model.backend.run, plan, n=4, seed=2**64 - 1, first=9, **asked)
            assert np.abs(from_batch(made["samples"], plan.gives).astype(int) - host).max() <= 1, asked
            if name in CHAINS:
                indices, labels = np.arange(9, 13), {"label": np.arange(9, 13) % 10}
                request = generation.Request(SamplingParams(**asked))
                grid = generation.tokens_of(model.backend.run, plan, indices, 2**64 - 1, labels, request)
                assert np.array_equal(made["tokens"], grid)
    if name == "mist":  # steps past the ends are the ends
        first, last = (session.run(["samples"], feeds(plan, 1, 0, 2, steps=steps))[0] for steps in (0, 99))
        assert np.array_equal(first, session.run(["samples"], feeds(plan, 1, 0, 2, steps=1))[0])
        assert np.array_equal(last, session.run(["samples"], feeds(plan, 1, 0, 2, steps=20))[0])


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_a_graph_that_generates_something_else_is_not_released(
    name: str, stepwise: Mapping[str, Path], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, draw = stepwise[name], Seeded.draw
    monkeypatch.setattr(Seeded, "draw", lambda self, kind, shape, stream, step=0: draw(self, kind, shape, 9, step))
    refused("export", run, "-o", "new", says=("Parity failed", "generate.onnx"))


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_the_samples_of_a_release_are_verified(name: str, stepwise: Mapping[str, Path]) -> None:
    found = verify.verify(stepwise[name])
    assert found["samples"] == "seed 0 gives the samples in samples.png"
    assert "generate.onnx agree with them" in found["graphs"]
    assert "agree on every task" in found["parity"]


@pytest.mark.parametrize("release", ["dots"], indirect=True)
def test_a_token_may_be_another_where_rounding_chooses(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tokens of one score: whichever the machine that made the image took, it is the same release."""
    with zoo.load(release) as model:
        plan, scores = model.release.plan, autoregressive.perturbed_logits
        assert plan is not None

        def level(*given: Any) -> NDArray[Any]:
            """At one place of sample 2, what comes second is as good as the best."""
            found = scores(*given).copy()
            _, _, indices, position, _ = given
            if position == 61 and 2 in indices:
                row = found[list(indices).index(2)]
                row[row.argsort()[-2]] = row.max() + (2e-5 if other else -2e-5)
            return found

        monkeypatch.setattr(autoregressive, "perturbed_logits", level)
        made = {}
        for other in (False, True):
            made[other] = model.generate(64, seed=0)
        assert [*np.unique(np.argwhere(made[True] != made[False])[:, 0])] == [2]
        other = True
        assert verify_samples.check(model).endswith("samples.png")
        monkeypatch.setattr(autoregressive, "MARGIN", 1e-6)
        with raises(ReleaseError, "the samples of seed 0 are not those in samples.png"):
            verify_samples.check(model)


@pytest.mark.slow
@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_in_low_precision(name: str, stepwise: Mapping[str, Path], tmp_path: Path) -> None:
    """Calibrated on what the tasks meet; the whole generation is of the same numbers."""
    with zoo.load(stepwise[name]) as model:
        from zoo_export import calibration

        feeds = calibration.feeds(model, DIGITS, count=32)
        if name == "mist":
            times = [*dict.fromkeys(feeds["step"]["time"])]
            assert (times[0], times[-1], len(times)) == (19, 1, calibration.ALONG)
            assert np.abs(feeds["step"]["x"][0]).max() > np.abs(feeds["step"]["x"][-1]).max()
        else:
            position = feeds["step"]["position"]
            assert set(position) == {math.prod(read(stepwise[name] / "release").plan.tokens.shape) // 2 - 1}  # type: ignore[union-attr]
            assert np.array_equal(feeds["decode"]["tokens"], model.encode(np.asarray(feeds["encode"]["image"][:, 0])))
        folder = zoo.export(stepwise[name], tmp_path / "int8", quantize="int8")
        assert verify.verify(folder)["samples"].startswith("seed 0 gives")


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_a_benchmark_generates(name: str, stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise[name]) as model:
        assert worker.call(model, worker.GENERATE, 2)().shape == (2, 8, 8)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "calls"), [("dots", 65), *slow(("cells", 17)), ("mist", 10)])
def test_how_many_calls_a_sample_takes(name: str, calls: int, stepwise: Mapping[str, Path]) -> None:
    assert plan_of(stepwise[name]).calls == calls


def test_info_tells_how_it_generates(zoo_call: Command, stepwise: Mapping[str, Path]) -> None:
    said = {
        source: json.loads(zoo_call("info", source, "--json").stdout)["generates"]
        for source in (stepwise["dots"], stepwise["mist"], "vae.digits")
    }
    assert [*said.values()] == [
        "step × 64 → decode; label, temperature, top_k, top_p",
        "step × 10; eta, label, steps",
        "decode",
    ]


def test_a_slow_model_generates_a_tenth_for_its_metrics(
    stepwise: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, counts = Budget(most=60, seeds=1, reference=80, quiet=True), []
    with zoo.load(stepwise["dots"]) as model:
        subject = EvaluatedModel(model, DIGITS, DIGITS, DIGITS)
        for calls in (65, 64):
            monkeypatch.setattr("zoo.evaluation.generation.CALLS", calls)
            fid, *_ = on_features(
                subject, budget, lambda images: images.reshape(len(images), -1) / 255.0, "pixels", ("fid",) * 4
            )
            counts.append(fid.protocol.split()[0])
    assert counts == ["60", "6"]


@pytest.mark.parametrize("name", few(MODELS, "dots", "mist"))
def test_samples_are_shown_while_training(name: str, stepwise: Mapping[str, Path]) -> None:
    assert [*(stepwise[name] / "samples").glob("*.png")]


# In-painting

MASK = np.zeros((8, 8), bool)
MASK[4:] = True


def test_the_rest_of_a_image_is_picked_given_what_is_known(stepwise: Mapping[str, Path]) -> None:
    """What is known is fed and not picked, of each image its own part; the rest is what the definition picks then."""
    net, masks = zoo.load_module(stepwise["dots"]), np.stack([MASK, ~MASK, MASK.T] * 2)
    with zoo.load(stepwise["dots"]) as model:
        assert "sampled token by token" in latent.verbs(model.release)["inpaint"]
        halves = model.inpaint(IMAGES, masks, seed=3)
        known = torch.from_numpy(model.encode(IMAGES)).view(6, 64)
        seen, missing = torch.zeros(6, 64), torch.from_numpy(masks).view(6, 64)
        for place in range(64):
            with torch.no_grad():
                logits = net.logits(seen, torch.full((6,), place), torch.arange(6))
            gumbel = philox.draw("gumbel", (5,), 3, np.arange(6), step=place)
            picked = (logits + torch.from_numpy(gumbel)).argmax(1)
            seen[:, place] = torch.where(missing[:, place], picked, known[:, place]).float() + 1
        wanted = model.decode(seen.long().numpy().reshape(6, 8, 8) - 1)
        assert np.array_equal(halves, np.where(masks, wanted, IMAGES))
        made = model.inpaint(IMAGES, MASK, seed=3)
        assert np.array_equal(made[0], halves[0])
        assert not np.array_equal(made, model.inpaint(IMAGES, MASK, seed=4))
        assert not np.array_equal(made, model.inpaint(IMAGES, MASK, seed=3, label=1))
        assert np.array_equal(model.inpaint(IMAGES[2], ~MASK & MASK)[0], IMAGES[2])
        everything = model.inpaint(IMAGES, np.ones((8, 8)), seed=3)
        assert np.array_equal(everything, model.generate(6, seed=3))


def test_in_painting_on_the_command_line(zoo_call: Command, stepwise: Mapping[str, Path], tmp_path: Path) -> None:
    for name, pixels in (("a", IMAGES[0]), ("mask", MASK.astype(np.uint8) * 255)):
        Pillow.fromarray(pixels).save(tmp_path / f"{name}.png")
    settings = ("--seed", "5", "--label", "3", "-o", "made.npy")
    done = zoo_call("inpaint", stepwise["dots"], "a.png", "mask.png", *settings)
    assert done.returncode == 0, done.stderr
    with zoo.load(stepwise["dots"]) as model:
        assert np.array_equal(np.load(tmp_path / "made.npy"), model.inpaint(IMAGES[0], MASK, seed=5, label=3))


def test_in_painting_that_cannot_be(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["dots"]) as model:
        for given, says in (
            ({"label": 10}, "label has the value 10; it must be from 0 to 9"),
            ({"label": "seven"}, "label = 'seven' is not an integer"),
            ({"seed": -1}, "seed = -1"),
        ):
            with raises(SettingError, says):
                model.inpaint(IMAGES, MASK, **given)  # type: ignore[arg-type]
    with zoo.load("vae.digits") as model, raises(SettingError, "label = 3 is for models with labels"):
        model.inpaint(IMAGES, MASK, label=3)


@pytest.mark.slow
def test_a_chain_with_tokens_of_its_own_fills_nothing_in(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["cells"]) as model, raises(SettingError, "cells.tiny cannot inpaint"):
        model.inpaint(IMAGES, MASK)


# What is refused


def test_options_on_the_command_line(zoo_call: Command, stepwise: Mapping[str, Path], tmp_path: Path) -> None:
    done = zoo_call("generate", stepwise["mist"], "-n", "3", "--steps", "4", "--eta", "0.5", "-o", "made.npy")
    assert done.returncode == 0, done.stderr
    with zoo.load(stepwise["mist"]) as model:
        assert np.array_equal(np.load(tmp_path / "made.npy"), model.generate(3, steps=4, eta=0.5))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("dots", ("--prompt", "a"), "prompt = 'a' is for models that write text"),
        ("dots", ("--length", "3"), "length = 3 is for models that write text"),
        ("dots", ("--steps", "3"), "steps = 3 is for models that turn noise into a sample step by step"),
        ("dots", ("--label", "10"), "label has the value 10; it must be from 0 to 9"),
        ("dots", ("--temperature", "-1"), "temperature = -1.0 is out of range"),
        ("mist", ("--top-k", "3"), "top_k = 3 is for models that sample tokens"),
        ("mist", ("--steps", "0"), "steps = 0 is out of range: it must be an integer from 1 to 20"),
        ("mist", ("--steps", "21"), "steps = 21 is out of range"),
        ("mist", ("--eta", "1.5"), "eta is 1.5, and must be at least 0 and at most 1"),
        ("mist", ("--eta", "nan"), "eta is nan, and must be at least 0 and at most 1"),
    ],
)
def test_options_that_do_not_apply(
    name: str, options: tuple[str, ...], says: str, stepwise: Mapping[str, Path], refused: Refused
) -> None:
    refused("generate", stepwise[name], *options, says=(says,))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("steps", 2.0, "out of range: it must be an integer"),
        ("steps", True, "out of range"),
        ("eta", "1", "not a number"),
        ("eta", True, "not a number"),
        ("label", "one", "not an integer"),
    ],
)
def test_options_of_other_types(key: str, value: Any, says: str, stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["mist"]) as model, raises(SettingError, f"{key} = {value!r} is {says}"):
        model.generate(1, **{key: value})


@pytest.mark.parametrize("name", few(tuple(STEPWISE), "dots", "mist", "drift"))
def test_they_survive_the_manifest(name: str, stepwise: Mapping[str, Path]) -> None:
    value = getattr(step_plugin if name in MODELS else ask_plugin, name).generate
    assert generation_from_json(json.loads(json.dumps(to_json(value))), "it") == value
    assert read(stepwise[name] / "release").generation == value


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("dots", {"first": None}, "first is 'None'; its kind must be one of autoregressive, iterative."),
    ("dots", {"first": {"kind": "one-shot", "task": "step"}}, "first is"),
    ("dots", {"first": {"kind": "chain"}}, "first is"),
    (
        "dots",
        {"first": {"kind": "autoregressive", "task": "step", "shape": "88"}},
        "shape is '88', and should be a tuple of integers",
    ),
    ("dots", {"first": {"kind": "autoregressive", "task": "step"}}, "the tokens of generation have the shape []"),
    ("dots", {"first": {"kind": "autoregressive", "task": "step", "shape": [8, 0]}}, "the shape [8, 0]"),
    ("dots", {"first": {"kind": "autoregressive", "task": "step", "shape": [2**9, 2**9]}}, "the shape [512, 512]"),
    ("dots", {"first": {"kind": "autoregressive", "task": "step", "shape": [4, 4]}}, "is not the grid of tokens"),
    ("dots", {"first": {"kind": "autoregressive", "task": "walk", "shape": [8, 8]}}, "'walk', which is not there"),
    (
        "dots",
        {"first": {"kind": "autoregressive", "task": "encode", "shape": [8, 8]}},
        "it takes no token, or gives no logits",
    ),
    ("dots", {"task": "step"}, "task 'step' is not of the form that chain generation needs: it is the loop's own"),
    ("dots", {"task": "encode"}, "task 'encode' is not of the form"),
    ("dots", {"steps": 3}, "has the fields"),
    ("dots", {"first": {"kind": "chain", "first": None, "task": "step"}}, "its kind must be one of"),
    (
        "dots",
        {"first": {"kind": "ddim", "task": "step", "alphas": [0.5], "steps": 1}},
        "one of autoregressive, iterative",
    ),
    ("dots", {"first": {"kind": "iterative", "task": "step", "schedule": [0, 1], "steps": 1}}, "it takes no time"),
    ("dots", {"first": {"kind": "iterative", "task": "encode", "schedule": [0, 1]}}, "has the fields"),
    ("mist", {"steps": 0}, "generation has 0 steps, and its schedule of 21 points allows 1 to 20"),
    ("mist", {"steps": 21}, "generation has 21 steps, and its schedule of 21 points allows 1 to 20"),
    ("mist", {"steps": 2.5}, "steps is 2.5, and should be an integer"),
    ("mist", {"eta": 1.0}, "has the fields"),
    ("mist", {"schedule": []}, "must have 2 to 65,537 points, and it has 0"),
    ("mist", {"schedule": [19.0], "steps": 0}, "must have 2 to 65,537 points, and it has 1"),
    ("mist", {"schedule": [0.0] * 70_000}, "must have 2 to 65,537 points, and it has 70,000"),
    ("mist", {"schedule": [19.0, 1e300], "steps": 1}, "a point that is not finite"),
    ("mist", {"schedule": "abc"}, "schedule is 'abc', and should be a tuple of numbers"),
    ("mist", {"schedule": [float("nan")] * 20}, "NaN is no number"),
    ("mist", {"task": "decode"}, "generation uses task 'decode', which is not there"),
    ("mist", {"kind": "autoregressive"}, "has the fields"),
    ("mist", {"kind": "ddim"}, "has the fields"),
]


@pytest.mark.parametrize(
    ("release", "change", "says"), WRONG, indirect=["release"], ids=[f"{name} {value}"[:60] for name, value, _ in WRONG]
)
def test_a_manifest_that_is_wrong(release: Path, change: dict[str, Any], says: str) -> None:
    edit(release, lambda manifest: manifest["generation"].update(change))
    with raises(ReleaseError, says):
        read(release)


NUMBER = {"kind": "number", "default": 0.0, "ge": 0.0, "le": 1.0, "help": ""}

WRONG_TASKS: list[Any] = [
    ("dots", "step", "token", {"kind": "label", "classes": 6, "shape": []}, "another number of classes"),
    ("dots", "decode", "tokens", {"kind": "label", "classes": 6, "shape": [8, 8]}, "is not the grid of tokens"),
    ("dots", "step", "position", {"kind": "vector", "shape": [2], "dtype": "int64"}, "'position' changes its form"),
    ("dots", "step", "seen", {"kind": "noise", "shape": [3], "distribution": "normal"}, "'seen' changes its form"),
    (
        "dots",
        "step",
        "label",
        {"kind": "vector", "shape": [], "dtype": "int64"},
        "the input 'label' is vector, neither",
    ),
    ("dots", "step", "label", {"kind": "label", "classes": 10, "shape": [2]}, "like no field of the data"),
    ("dots", "step", "logits", {"kind": "vector", "shape": [6], "dtype": "float32"}, "another number of classes"),
    ("dots", "decode", "image", {"kind": "score"}, "it gives score, and the data is image"),
    ("dots", "step", "label", {"kind": "label", "classes": 2**63, "shape": []}, "at most 268435456 are usable"),
    *slow(("cells", "decode", "label", {"kind": "label", "classes": 11, "shape": []}, "in another task")),
    *slow(("cells", "decode", "z", {"kind": "vector", "shape": [], "dtype": "float32"}, "the input 'z' is vector")),
    ("mist", "step", "x", {"kind": "noise", "shape": [64], "distribution": "normal"}, "the state 'x' changes its form"),
    ("mist", "step", "next_x", {"kind": "vector", "shape": [1, 8, 9], "dtype": "float32"}, "'x' changes its form"),
    ("mist", "step", "time", {"kind": "label", "classes": 20, "shape": []}, "its time is zoo.Label(classes=20"),
    (
        "mist",
        "step",
        "until",
        {"kind": "vector", "shape": [1], "dtype": "float32"},
        "its until is zoo.Vector(shape=(1,)",
    ),
    ("mist", "step", "image", {"kind": "score"}, "it gives score, and the data is image"),
    ("mist", "step", "eta", {**NUMBER, "default": 2.0}, "the default is 2, and must be at least 0 and at most 1"),
    ("mist", "step", "eta", {**NUMBER, "default": "1"}, "default is '1', and should be a number"),
    ("mist", "step", "eta", {**NUMBER, "most": 1.0}, "has the fields"),
]


@pytest.mark.parametrize(("release", "task", "key", "value", "says"), WRONG_TASKS, indirect=["release"])
def test_tasks_that_do_not_fit(release: Path, task: str, key: str, value: Any, says: str) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    entry = manifest["tasks"][task]
    entry["inputs" if key in entry["inputs"] else "outputs"][key] = value
    with raises(ReleaseError, str(release), says):
        parse(release, manifest)


def test_a_plugin_whose_tasks_do_not_fit_is_refused_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Chain(Autoregressive("step", (9, 9)), "decode")

    patch_registry(monkeypatch, load=lambda name: dataclasses.replace(step_plugin.dots, generate=wrong))
    with raises(
        PluginError,
        "'dots'",
        "step_plugin.py, line",
        "the model cannot generate: task 'decode'",
        "its first input is not the grid of tokens",
    ):
        zoo.train("dots.tiny", out=tmp_path / "run", quiet=True)


def test_text_has_no_grid(gpt: Path) -> None:
    plan = read(gpt / "release").plan
    assert plan is not None
    wrong = dataclasses.replace(plan, value=Autoregressive("step", (4, 4)))
    assert "a grid of tokens is the first part of a chain" in wrong.problem()
