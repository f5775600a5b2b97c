"""What a generation takes: given inputs, labels, numbers and noise, in one call, in loops and in chains."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from conftest import STEPWISE, STEPWISE_DATA, Command, plugged, raises
from zoo.core.errors import DataError, SettingError
from zoo.release import read
from zoo.runtime import OnnxBackend, derived, samples_of

ASKED = ("paint", "flow", "drift", "masked", "sentence", "illustrate", "describe")
IMAGES = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)


@pytest.fixture(params=ASKED)
def folder(request: pytest.FixtureRequest, stepwise: Mapping[str, Path]) -> Path:
    return stepwise[request.param] / "release"


def options(folder: Path) -> dict[str, Any]:
    examples: dict[str, Any] = {"image": IMAGES[:1], "picture": IMAGES[0], "caption": "seven"}
    return {name: examples[name] for name in read(folder).plan.given()}  # type: ignore[union-attr]


def test_samples_are_the_same_alone_in_a_batch_and_in_torch_and_onnx(
    folder: Path, stepwise: Mapping[str, Path], tmp_path: Path
) -> None:
    given = options(folder)
    with zoo.load(folder) as model:
        together = model.generate(5, seed=3, **given)
        alone = model.generate(1, seed=3, first=4, **given)
        assert np.array_equal(together[4:], alone)
        other = model.generate(5, seed=4, **given)
        assert not np.array_equal(together, other)

    with plugged(tmp_path, data=STEPWISE_DATA, **STEPWISE), zoo.load(folder, backend="torch") as again:
        in_torch = again.generate(5, seed=3, **given)
    if isinstance(together, list):
        assert together == in_torch
    else:
        assert np.abs(together.astype(int) - in_torch).max() <= 1


def test_the_whole_graph_agrees(folder: Path) -> None:
    release = read(folder)
    backend = OnnxBackend(release, "cpu")
    assert derived.check(release, backend)["generate.onnx"] < 1e-5


def test_the_signature_is_true(stepwise: Mapping[str, Path]) -> None:
    def of(name: str) -> list[str]:
        with zoo.load(stepwise[name] / "release") as model:
            return [str(parameter) for parameter in inspect.signature(model.generate).parameters.values()]

    assert of("paint") == [
        "n=None", "seed=0", "first=0", "fit=''", "image", "strength=1.0", "temperature=1.0", "prompt=0.0",
    ]  # fmt: skip
    assert of("flow") == ["n=None", "seed=0", "first=0", "label=None", "guidance=2.0", "steps=4"]
    assert of("drift") == ["n=None", "seed=0", "first=0", "steps=4"]
    assert of("sentence") == [
        "n=None", "seed=0", "first=0", "sharpness=1.0", "temperature=1.0", "top_k=0", "top_p=1.0", "prompt=''",
        "length=8",
    ]  # fmt: skip
    with zoo.load(stepwise["paint"] / "release") as model:
        assert "image: images, uint8 (n, 8, 8)" in inspect.getdoc(model.generate)  # type: ignore[operator]


def test_a_given_image_is_what_is_painted_over(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["paint"] / "release") as model:
        assert np.array_equal(model.generate(image=IMAGES, strength=0), IMAGES)  # as many as are given
        changed = model.generate(image=IMAGES, strength=2.0)
        assert np.abs(changed.astype(int) - IMAGES).mean() > 20
        mixed = model.generate(image=IMAGES, strength=[0.0, 2.0])
        assert np.array_equal(mixed, [IMAGES[0], changed[1]])
        three = model.generate(3, image=IMAGES[0])
        assert len(three) == 3
        assert len({image.tobytes() for image in three}) == 3  # each of its own noise


def test_a_number_may_have_the_name_of_an_option_of_other_models(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["paint"] / "release") as model:
        cold = model.generate(2, image=IMAGES[0], temperature=0)
        assert np.array_equal(cold[0], cold[1])  # the noise counts nothing
        assert not np.array_equal(*model.generate(2, image=IMAGES[0], temperature=0, prompt=1.0))


def test_given_images_are_fitted_where_asked(stepwise: Mapping[str, Path], zoo_call: Command, tmp_path: Path) -> None:
    wide = np.zeros((8, 16), np.uint8)
    wide[:, 4:12] = IMAGES[1]
    Image.fromarray(wide).save(tmp_path / "wide.png")
    with zoo.load(stepwise["paint"] / "release") as model:
        with raises(DataError, "16×8"):
            model.generate(image=tmp_path / "wide.png")
        made = model.generate(image=tmp_path / "wide.png", fit="crop")
        assert np.array_equal(made, model.generate(image=IMAGES[1]))
        with raises(SettingError, "fit = 'cut' is neither"):
            model.generate(image=IMAGES, fit="cut")
    done = zoo_call("generate", stepwise["paint"] / "release", "--image", "wide.png", "--fit=crop", "-o", "x.npy")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "x.npy"), made)
    with zoo.load(stepwise["flow"] / "release") as model, raises(SettingError, "fit = 'crop' is for models"):
        model.generate(fit="crop")


def test_labels_and_numbers_are_repeated_on_the_command_line(
    stepwise: Mapping[str, Path], zoo_call: Command, tmp_path: Path
) -> None:
    words = ("generate", stepwise["flow"] / "release", "--label", "7", "--label", "3", "--guidance", "1")
    assert zoo_call(*words, "-o", "x.npy").returncode == 0
    with zoo.load(stepwise["flow"] / "release") as model:
        assert np.array_equal(np.load(tmp_path / "x.npy"), model.generate(label=[7, 3], guidance=1.0))
    assert "2 labels for 3 samples" in zoo_call(*words, "-n", "3", "-o", "y.npy").stderr


def test_a_class_may_be_named(stepwise: Mapping[str, Path], zoo_call: Command, tmp_path: Path) -> None:
    with zoo.load(stepwise["flow"] / "release") as model:
        wanted = model.generate(label=[7, 3])
        assert np.array_equal(model.generate(label=["seven", "three"]), wanted)
        assert np.array_equal(model.generate(2, label="seven")[0], wanted[0])
        with raises(SettingError, "label = 'sevn' is not an integer, nor one of zero, one,", "Did you mean 'seven'?"):
            model.generate(label="sevn")
    words = ("generate", stepwise["flow"] / "release", "--label", "seven", "--label", "3", "-o", "x.npy")
    assert zoo_call(*words).returncode == 0
    assert np.array_equal(np.load(tmp_path / "x.npy"), wanted)


def test_help_lists_the_options_with_ranges_and_defaults(stepwise: Mapping[str, Path], zoo_call: Command) -> None:
    def said(*words: object) -> str:
        return " ".join(zoo_call("generate", *words, "--help").stdout.split())

    flow = said(stepwise["flow"] / "release")
    assert "The class to generate, or its name: zero, one, two, three, four," in flow
    assert "nine; repeat it for one per sample. [default: each in turn; 0 to 9]" in flow
    assert "[default: 2; 0 to 10]" in flow
    assert "Sampling steps; fewer are faster. [default: 4; 1 to 8]" in flow
    assert "--fit" not in flow
    paint = said(stepwise["paint"] / "release")
    assert "--image FILE Image 8×8, in a file; repeat it for one per sample." in paint
    assert "--fit" in paint
    assert "--caption TEXT Text of at most 8 characters" in said(stepwise["illustrate"] / "release")
    assert "nowhere" in said("nowhere")


def test_an_option_of_a_model_that_is_not_there_says_so(zoo_call: Command) -> None:
    for words in (("nowhere", "--caption", "a"), ("--caption", "a", "nowhere")):
        done = zoo_call("generate", *words)
        assert done.returncode == 1
        assert "nowhere" in done.stderr


def test_a_number_changes_the_samples(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["flow"] / "release") as model:
        usual = model.generate(4)
        assert np.array_equal(usual, model.generate(4, guidance=2.0))
        assert not np.array_equal(usual, model.generate(4, guidance=9.0))
        assert not np.array_equal(usual, model.generate(4, label=7))
        assert not np.array_equal(usual, model.generate(4, steps=8))


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_steps_thin_the_schedule(steps: int, stepwise: Mapping[str, Path]) -> None:
    """S of T steps visit the points ⌊k T / S⌋ of the schedule, from its first to its last."""
    from zoo.sampling import loop

    release = read(stepwise["flow"] / "release")
    assert release.plan is not None
    seen: list[tuple[float, float]] = []
    backend = OnnxBackend(release, "cpu")

    def run(task: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.append((float(inputs["time"][0]), float(inputs["until"][0])))
        return backend.run(task, inputs)

    asked = {"label": np.zeros(1, np.int64), "guidance": np.ones(1, np.float32)}
    loop.iterate(run, release.plan, np.arange(1), 0, asked, steps)
    places = [k * 8 // steps / 8 for k in range(steps + 1)]
    assert seen == list(itertools.pairwise(places))


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("paint", {}, ["generates from an image", "Set image"]),
        ("paint", {"image": IMAGES, "n": 3}, ["2 values of image for 3 samples"]),
        ("paint", {"image": IMAGES[:, :4]}, ["image has shape (2, 4, 8)"]),
        ("paint", {"image": IMAGES, "strength": 3}, ["strength is 3", "at most 2"]),
        ("paint", {"image": IMAGES, "strength": float("nan")}, ["strength", "nan"]),
        ("paint", {"image": IMAGES, "strenght": 1}, ["no option 'strenght'", "Did you mean 'strength'?"]),
        ("paint", {"image": IMAGES, "label": 1}, ["label = 1 is for models with labels"]),
        ("flow", {"guidance": "much"}, ["guidance = 'much' is not a number"]),
        ("flow", {"guidance": True}, ["guidance = True is not a number"]),
        ("flow", {"guidance": 1e300}, ["guidance is 1e+300"]),
        ("flow", {"guidance": [1.0, 2.0], "n": 3}, ["2 values of guidance for 3 samples"]),
        ("flow", {"steps": 9}, ["steps = 9", "from 1 to 8"]),
        ("drift", {"steps": True}, ["steps = True"]),
        ("sentence", {"sharpness": -1, "n": 1}, ["sharpness is -1", "at least 0"]),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    name: str, asked: dict[str, Any], words: list[str], stepwise: Mapping[str, Path]
) -> None:
    with zoo.load(stepwise[name] / "release") as model, raises(SettingError, *words):
        model.generate(**asked)


def test_captions_are_padded_as_those_of_the_data_are(
    stepwise: Mapping[str, Path], zoo_call: Command, tmp_path: Path
) -> None:
    with zoo.load(stepwise["illustrate"] / "release") as model:
        two = model.generate(caption=["seven", "two"])
        assert np.array_equal(two[:1], model.generate(caption="seven   "))
        assert not np.array_equal(two[0], model.generate(caption="two")[0])
        with raises(SettingError, "caption has 9 characters; at most 8"):
            model.generate(caption="seventeen")
        with raises(SettingError, "'S' is not one of the 16", "' efghinorstuvwxz'"):
            model.generate(caption="Seven")
    done = zoo_call(
        "generate", stepwise["illustrate"] / "release", "--caption", "seven", "--caption", "two", "-o", "x.npy"
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "x.npy"), two)


def test_a_text_is_written_from_an_image(stepwise: Mapping[str, Path], zoo_call: Command, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[1]).save(tmp_path / "digit.png")
    words = ("generate", stepwise["describe"] / "release", "--picture", "digit.png", "--length", "5", "--prompt", "se")
    done = zoo_call(*words)
    assert done.returncode == 0, done.stderr
    with zoo.load(stepwise["describe"] / "release") as model:
        assert done.stdout == model.generate(1, picture=IMAGES[1], prompt="se", length=5)[0] + "\n"
    assert "Set picture" in zoo_call(*words[:2]).stderr


def test_a_task_takes_its_numbers_or_their_defaults(stepwise: Mapping[str, Path]) -> None:
    with zoo.load(stepwise["paint"] / "release") as model:
        z = np.zeros((2, 6), np.float32)
        assert np.array_equal(model.paint(IMAGES, z), model.paint(IMAGES, z, 1.0))
        assert np.array_equal(model.paint(IMAGES, z, strength=0.0), IMAGES)


def test_samples_of_a_release_are_made_of_what_it_holds(stepwise: Mapping[str, Path]) -> None:
    """Its given inputs are items of the test split, and lie beside its samples."""
    from zoo import data

    release = read(stepwise["paint"] / "release")
    assert "given.safetensors" in release.files
    with zoo.load(release.folder) as model:
        test = data.load("digits", "test").x[:4, 0]
        assert np.array_equal(samples_of(model, 4, 0), model.generate(4, image=test))
    assert "given.safetensors" not in read(stepwise["flow"] / "release").files


def test_a_quantised_release_keeps_what_its_samples_are_made_of(stepwise: Mapping[str, Path], tmp_path: Path) -> None:
    with plugged(tmp_path, data=STEPWISE_DATA, **STEPWISE):
        folder = zoo.export(stepwise["paint"], tmp_path / "fp16", quantize="fp16")
    assert (folder / "given.safetensors").read_bytes() == (
        stepwise["paint"] / "release" / "given.safetensors"
    ).read_bytes()
    with zoo.load(folder) as model:
        assert samples_of(model, 2, 0).shape == (2, 8, 8)
