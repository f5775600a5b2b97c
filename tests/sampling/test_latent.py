"""Interpolation, latent traversal and in-painting: what follows from tasks, in Python and on the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from conftest import Command, Refused, Shelf, raises
from zoo import data, release
from zoo.contract.generation import OneShot
from zoo.contract.specs import Noise, Sample, Spec, Text, Vector
from zoo.core import philox
from zoo.core.errors import DataError, ReleaseError, SettingError
from zoo.hub.resolve import find
from zoo.sampling import latent

DIGITS = data.load("digits", "test").x[:, 0]


# Interpolation


@pytest.mark.parametrize("name", ["vae", "ae"])
def test_the_ends_are_the_reconstructions(name: str, shelf: Shelf) -> None:
    with zoo.load(shelf.release(name)) as model:
        between = model.interpolate(DIGITS[:3], DIGITS[3:6], steps=5)
        assert between.shape == (15, 8, 8)
        ends = model.decode(model.encode(DIGITS[:6]))
        assert np.array_equal(between[::5], ends[:3])
        assert np.array_equal(between[4::5], ends[3:])
        one = model.interpolate(DIGITS[1], DIGITS[4], steps=5)
        assert np.abs(one.astype(int) - between[5:10]).max() <= 1


def test_the_way_is_what_the_decoder_takes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spherical where that is standard normal noise (vae), linear where it is a code (ae)."""
    for name, source, usual in (("vae", "vae.digits", "spherical"), ("ae", shelf.release("ae"), "linear")):
        with zoo.load(source) as model:
            a, b = model.encode(DIGITS[:2]).astype(float)
            angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            middles = {"linear": (a + b) / 2, "spherical": (a + b) / 2 / np.cos(angle / 2)}  # sin(θ/2) / sin θ
            assert np.abs(middles["linear"] - middles["spherical"]).max() > 1e-3
            decoded = []
            run = model.backend.run

            def recorded(task: str, feeds: Any, run: Any = run, decoded: list[Any] = decoded) -> Any:
                decoded.extend(feeds.values() if task == "decode" else ())
                return run(task, feeds)

            monkeypatch.setattr(model.backend, "run", recorded)
            for method in ("auto", "spherical", "linear"):
                found = model.interpolate(DIGITS[0], DIGITS[1], steps=3, method=method)
                middle = middles[usual if method == "auto" else method]
                np.testing.assert_allclose(decoded[-1][1], middle, rtol=1e-4, atol=1e-5, err_msg=f"{name} {method}")
                assert np.abs(found[1].astype(int) - model.decode(decoded[-1][1])[0]).max() <= 1


def test_spherical_steps_turn_by_equal_angles() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 4, 64))
    share = np.linspace(0, 1, 9)[:, None]
    way = latent._spherical(a[:, None], 2 * b[:, None], share)
    unit = way / np.linalg.norm(way, axis=-1, keepdims=True)
    assert np.array_equal(way[:, 0], a)
    assert np.array_equal(way[:, -1], 2 * b)
    same = latent._spherical(a[:, None], a[:, None], share)
    np.testing.assert_allclose(same, np.repeat(a[:, None], 9, 1))
    radius = np.linalg.norm(a, axis=-1, keepdims=True)
    level = latent._spherical(a[:, None], (b / np.linalg.norm(b, axis=-1, keepdims=True) * radius)[:, None], share)
    np.testing.assert_allclose(np.linalg.norm(level, axis=-1), np.repeat(radius, 9, 1))
    turns = np.arccos((level[:, 1:] * level[:, :-1]).sum(-1) / radius**2)
    np.testing.assert_allclose(turns, np.repeat(turns[:, :1], 8, 1))
    assert np.isfinite(unit).all()
    for end in (np.zeros(64), -a[0]):  # no great circle is the shortest there
        np.testing.assert_allclose(
            latent._spherical(a[:1, None], end[None, None], share)[0], latent._linear(a[0], end, share)
        )


@pytest.mark.parametrize("name", ["dcgan", "vae", "ae"])
def test_between_two_samples_of_a_seed(name: str, shelf: Shelf) -> None:
    with zoo.load(shelf.release(name)) as model:
        samples = model.generate(6, seed=3)
        between = model.interpolate(2, 5, steps=4, seed=3)
        for one, other in ((between[0], samples[2]), (between[-1], samples[5])):
            assert np.abs(one.astype(int) - other).max() <= 1
        if name != "dcgan":  # its samples and its codes lie in one space
            mixed = model.interpolate(DIGITS[0], 5, steps=4, seed=3)
            assert np.abs(mixed[-1].astype(int) - samples[5]).max() <= 1


def test_between_samples_with_labels(shelf: Shelf) -> None:
    with zoo.load(shelf.release("cgan")) as model:
        between = model.interpolate(2, 5, steps=5, seed=3)  # the label changes half-way
        samples = model.generate(6, seed=3)
        for one, other in ((between[0], samples[2]), (between[-1], samples[5])):
            assert np.abs(one.astype(int) - other).max() <= 1
        same = model.interpolate(2, 5, steps=5, seed=3, label=7)
        for one, index in ((same[0], 2), (same[-1], 5)):
            assert np.abs(one.astype(int) - model.generate(1, seed=3, first=index, label=7)).max() <= 1
    with zoo.load("cvae.mnist") as model:
        digits = model.generate(4, label=[4, 5, 4, 5])
        found = model.interpolate(digits[:2], digits[2:], steps=3, label=[4, 5])
        ends = model.decode(model.encode(digits[2:], [4, 5]), [4, 5])
        assert np.abs(found[[2, 5]].astype(int) - ends).max() <= 1
        assert model.inpaint(digits[:2], np.eye(28), label=4).shape == (2, 28, 28)


def test_numbers_of_numpy_are_numbers(shelf: Shelf) -> None:
    with zoo.load(shelf.release("cgan")) as model:
        wanted = model.generate(2, seed=5, first=3, label=[4, 4])
        for label in (4, np.uint8(4), np.array([4, 4], np.uint8), (4, 4)):
            found = model.generate(np.int64(2), seed=np.uint8(5), first=np.int8(3), label=label)  # type: ignore[arg-type]
            assert np.array_equal(found, wanted)
        low = model.traverse(0, dimension=np.uint8(1), low=np.float32(-1), high=1, steps=2)
        assert np.array_equal(low, model.traverse(0, dimension=1, low=-1, high=1, steps=2))


# Traversal


def test_a_traversal_changes_one_number_of_a_code(shelf: Shelf) -> None:
    with zoo.load(shelf.release("vae")) as model:
        codes = np.repeat(model.encode(DIGITS[:2]), 5, 0)
        codes[:, 1] = np.tile(np.linspace(-2, 2, 5), 2)
        found = model.traverse(DIGITS[:2], dimension=1, low=-2, high=2, steps=5)
        assert np.abs(found.astype(int) - model.decode(codes)).max() <= 1
        noises = np.repeat(philox.draw("normal", (2,), 7, np.array([4])), 8, 0)
        noises[:, 0] = np.linspace(-3, 3, 8)
        found = model.traverse(4, dimension=0, seed=7)
        assert np.abs(found.astype(int) - model.decode(noises)).max() <= 1
        assert np.array_equal(model.traverse(dimension=0), model.traverse(0, dimension=0, seed=0))
    for source, size in ((shelf.release("dcgan"), 8), (shelf.release("ae"), 8), ("glo.mnist", 28)):
        with zoo.load(source) as model:
            assert model.traverse(dimension=3, steps=3).shape == (3, size, size)


PARTS: tuple[tuple[Any, int], ...] = (("normal", 64), ("uniform", 2))


def test_a_traversal_of_several_noises() -> None:
    """InfoGAN's style comes after z, and is uniform."""
    with zoo.load("infogan.mnist") as model:
        z, style = (philox.draw(kind, (size,), 0, np.array([2]), k) for k, (kind, size) in enumerate(PARTS))
        style[:, 1] = 0.25
        expected = model.decode(z, [9], style)
        found = model.traverse(2, dimension=np.uint8(64 + 1), low=0.25, steps=2, label=9)  # to 1, since it is uniform
        assert np.abs(found[0].astype(int) - expected[0]).max() <= 1
        style[:, 1] = 1
        assert np.abs(found[1].astype(int) - model.decode(z, [9], style)[0]).max() <= 1


# In-painting


def test_known_pixels_stay_and_missing_ones_are_filled_in() -> None:
    """On the test digits, released weights: closer to the truth than the mean digit, and to its own than to another."""
    mask = np.zeros((8, 8), bool)
    mask[:, 4:] = True
    with zoo.load("vae.digits") as model:
        found = model.inpaint(DIGITS, mask)
        spoilt = DIGITS.copy()
        spoilt[:, :, 4:] = 77  # what the mask covers is not looked at
        assert np.array_equal(model.inpaint(spoilt, mask), found)
    assert found.shape == DIGITS.shape
    assert np.array_equal(found[:, :, :4], DIGITS[:, :, :4])
    error = np.square((found - DIGITS.astype(float))[:, :, 4:] / 255).mean()
    mean = np.square((DIGITS.mean(0) - DIGITS)[:, :, 4:] / 255).mean()
    other = np.square((found - np.roll(DIGITS, 1, 0).astype(float))[:, :, 4:] / 255).mean()
    assert error < mean < other


def test_more_rounds_of_reconstruction_are_nearer() -> None:
    mask = np.random.default_rng(0).random((len(DIGITS), 8, 8)) < 0.5  # one for each
    errors = []
    with zoo.load("vae.digits") as model:
        for steps in (1, 4, 32):
            found = model.inpaint(DIGITS, mask, steps=steps)
            assert np.array_equal(found[~mask], DIGITS[~mask])
            errors.append(np.square((found.astype(float) - DIGITS)[mask]).mean())
    assert errors[0] > errors[1] > errors[2]


def test_masks_of_every_kind(shelf: Shelf, tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.save(tmp_path / "mask.npy", mask > 0)
    with zoo.load(shelf.release("ae")) as model:
        found = model.inpaint(DIGITS[:4], mask)
        given = [mask > 0, mask / 255, Image.fromarray(mask), tmp_path / "mask.png", str(tmp_path / "mask.npy")]
        for other in (*given, np.repeat(mask[None], 4, 0), [mask] * 4):
            assert np.array_equal(model.inpaint(DIGITS[:4], other), found)
        assert np.array_equal(model.inpaint(DIGITS[0], mask), found[:1])
        assert np.array_equal(model.inpaint(DIGITS[:4], np.zeros((8, 8), bool)), DIGITS[:4])


# What is refused


def test_what_is_refused_in_python(shelf: Shelf) -> None:
    mask = np.ones((8, 8), bool)
    with zoo.load(shelf.release("vae")) as model:
        refusals: list[tuple[Any, tuple[object, ...]]] = [
            (lambda: model.interpolate(DIGITS[:2], DIGITS[:3]), ("a has 2 inputs and b has 3; give the same number",)),
            (lambda: model.interpolate(0, 1, steps=1), ("steps = 1 is not an integer of at least 2",)),
            (lambda: model.interpolate(0, 1, steps=2.0), ("steps = 2.0 is not an integer",)),
            (
                lambda: model.interpolate(0, 1, method="cubic"),
                ("method = 'cubic' is not one of auto, linear, spherical",),
            ),
            (lambda: model.interpolate(0, -1), ("The sample index -1 is out of range",)),
            (lambda: model.interpolate(0, 1, seed=-1), ("seed = -1 is out of range",)),
            (lambda: model.interpolate(DIGITS[:0], DIGITS[:0]), ("encode was given an empty batch",)),
            (lambda: model.traverse(dimension=2), ("dimension = 2 is out of range: an integer from 0 to 1",)),
            (lambda: model.traverse(dimension=True), ("dimension = True",)),
            (
                lambda: model.traverse(dimension=0, low=float("nan")),
                ("low = nan is not a number from -1e+30 to 1e+30",),
            ),
            (lambda: model.traverse(dimension=0, low=-(10**400)), ("is not a number from -1e+30",)),
            (lambda: model.traverse(dimension=0, high="3"), ("high = '3' is not a number from",)),
            (lambda: model.inpaint(DIGITS[:2], mask), ("The mask covers all of a sample", "Leave a part uncovered")),
            (lambda: model.inpaint(DIGITS[:2], np.zeros((3, 8, 8))), ("There are 3 masks for 2 inputs",)),
            (lambda: model.inpaint(DIGITS[:2], np.zeros((4, 4))), ("mask has shape (4, 4)",)),
            (lambda: model.inpaint(DIGITS[:2], mask, steps=0), ("steps = 0 is not an integer of at least 1",)),
        ]
        for call, says in refusals:
            with raises(SettingError, *says):
                call()
        with raises(DataError, "mask is 9×8 pixels"):
            model.inpaint(DIGITS[:2], Image.new("L", (9, 8)))
    with zoo.load("bigan.mnist") as model:
        spaces = latent.coded(model.release), latent.drawn(model.release)
        assert spaces[0] == spaces[1] is not None
    with zoo.load("cvae.mnist") as model:
        digit = np.zeros((28, 28), np.uint8)
        with raises(SettingError, "This model needs the class of its input. Set label, from 0 to 9."):
            model.interpolate(digit, digit)
        with raises(SettingError, "There are 2 labels for 1 samples"):
            model.inpaint(digit, np.eye(28), label=[1, 2])
        with raises(SettingError, "dimension = 32 is out of range: an integer from 0 to 31"):
            model.traverse(dimension=32, label=3)
    with zoo.load(shelf.release("cgan")) as model:
        for label in (np.array(3.5), [[1], [1, 2]], {0: 1}, {1}, True, 2**70, [True], np.zeros((1, 1), int)):
            with raises(SettingError, f"label = {label!r} is not an integer, nor a list of integers"):
                model.generate(1, label=label)  # type: ignore[arg-type]
        with raises(SettingError, "label = 'three' is not an integer."):
            model.generate(1, label="three")
        with raises(SettingError, "label has the value 10; it must be from 0 to 9"):
            model.generate(1, label=10)
    with zoo.load(shelf.release("vae")) as model, raises(SettingError, "The mask has no white, only dark values"):
        model.inpaint(DIGITS[:2], np.eye(8, dtype=np.uint8))  # white is 255
    with zoo.load(shelf.release("ae")) as model, raises(SettingError, "label = 3 is for models with labels"):
        model.interpolate(0, 1, label=3)
    with zoo.load(shelf.release("dcgan")) as model:
        with raises(
            SettingError,
            "dcgan.tiny has no tasks that encode to what they decode: to interpolate, give the indices of samples",
        ):
            model.interpolate(DIGITS[0], DIGITS[1])
        with raises(SettingError, "dcgan.tiny cannot inpaint: none of its tasks reconstructs a sample."):
            model.inpaint(DIGITS[0], mask)
    with zoo.load(shelf.release("chargpt")) as model:
        with raises(SettingError, "chargpt.tiny cannot inpaint", "A text is completed by generate(prompt=…)"):
            model.inpaint("a", mask)
        for call in (lambda: model.interpolate("a", "b"), lambda: model.traverse(dimension=0)):
            with raises(SettingError, "chargpt.tiny cannot", "it has no latent that its tasks encode or generate from"):
                call()


def of(encode: tuple[Spec, Spec], decode: tuple[Spec, Spec], x: Any) -> release.Release:
    """A release in memory with these tasks, each of one input and one output, which generates with decode."""
    tasks = {
        name: release.ReleasedTask("", {"in": specs[0]}, {"out": specs[1]})
        for name, specs in (("encode", encode), ("decode", decode))
    }
    return release.Release(Path(), {}, "a.b", Sample(x), tasks, OneShot("decode"), "", {}, {})


def test_which_models_have_which_verbs() -> None:
    """By the forms of their tasks alone."""
    weights = [f"{name}.mnist" for name in ("vae", "ae", "dcgan", "cvae", "glo", "infogan")]
    found = {
        source.partition(".")[0]: latent.verbs(release.read(find(source)))
        for source in (*weights, "chargpt.shakespeare", "features.mnist")
    }
    assert {name: tuple(verbs) for name, verbs in found.items()} == {
        "vae": latent.VERBS,
        "ae": latent.VERBS,
        "dcgan": ("interpolate", "traverse"),
        "cvae": latent.VERBS,
        "glo": ("interpolate", "traverse"),
        "infogan": ("interpolate", "traverse"),
        "chargpt": (),
        "features": (),
    }
    assert "spherical" in found["vae"]["interpolate"]
    assert "linear" in found["ae"]["interpolate"]
    assert "dimension 0 to 63" in found["dcgan"]["traverse"]
    assert "of its z and style varied (dimension 0 to 65; label)" in found["infogan"]["traverse"]
    assert "label" in found["cvae"]["inpaint"]
    image, code = zoo.Image(1, 4, 4), Vector((3,))
    grid = of((image, Vector((2, 3))), (Vector((2, 3)), image), image)
    assert tuple(latent.verbs(grid)) == latent.VERBS
    assert "dimension 0 to 5" in latent.verbs(grid)["traverse"]
    uniform = of((image, code), (Noise((3,), "uniform"), image), image)
    assert "linear" in latent.verbs(uniform)["interpolate"]
    for other in (
        of((image, Vector((4,))), (code, image), image),  # another shape
        of((image, code), (code, code), image),  # no sample comes out
    ):
        assert latent.verbs(other) == {}
    codes = of((image, Vector((3,), "int64")), (Vector((3,), "int64"), image), image)  # of a codebook
    assert tuple(latent.verbs(codes)) == ("inpaint",)
    letters = Text("ab", 4)
    assert "inpaint" not in latent.verbs(of((letters, code), (code, letters), letters))
    two = dataclasses.replace(grid.tasks["decode"], inputs={"z": code, "y": zoo.Label(3)})
    assert latent.verbs(dataclasses.replace(grid, tasks={**grid.tasks, "decode": two})) == {}


@pytest.mark.parametrize("name", [*latent.VERBS, "save"])
def test_no_task_has_the_name_of_a_verb(name: str, release: Path) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["tasks"][name] = manifest["tasks"]["encode"]
    from zoo.release import parse

    with raises(ReleaseError, f"task {name!r} has a name that is not allowed"):
        parse(release, manifest)


# The command line


@pytest.fixture
def files(tmp_path: Path) -> Path:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    for name, pixels in (("a", DIGITS[0]), ("b", DIGITS[1]), ("mask", mask)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def test_verbs_on_the_command_line(zoo_call: Command, shelf: Shelf, files: Path) -> None:
    source = shelf.release("vae")
    with zoo.load(source) as model:
        assert zoo_call("interpolate", source, "a.png", "b.png").stdout == "interpolate.png written\n"
        with Image.open(files / "interpolate.png") as image:
            assert image.width > 7 * image.height  # one row of 8
        zoo_call("interpolate", source, "a.png", "b.png", "--steps", "3", "-o", "i.npy")
        assert np.array_equal(np.load(files / "i.npy"), model.interpolate(DIGITS[0], DIGITS[1], steps=3))
        zoo_call("interpolate", source, "2", "5", "--seed", "3", "-o", "s.npy")
        assert np.array_equal(np.load(files / "s.npy"), model.interpolate(2, 5, seed=3))
        done = zoo_call("traverse", source, "--dimension", "1", "--high", "2.5")
        assert done.stdout == "traverse.png written\n", done.stderr
        zoo_call("traverse", source, "a.png", "--dimension", "1", "-o", "t.npy", "--backend", "torch")
        found = np.load(files / "t.npy").astype(int)
        assert np.abs(found - model.traverse(DIGITS[0], dimension=1)).max() <= 1
        zoo_call("inpaint", source, "a.png", "mask.png", "-o", "p.npy")
        mask = np.asarray(Image.open(files / "mask.png"))
        assert np.array_equal(np.load(files / "p.npy"), model.inpaint(DIGITS[0], mask))


def test_verbs_are_told(zoo_command: Command, shelf: Shelf) -> None:
    assert set(json.loads(zoo_command("info", shelf.release("dcgan"), "--json").stdout)["verbs"]) == {
        "interpolate",
        "traverse",
    }
    assert set(json.loads(zoo_command("info", "vae.digits", "--json").stdout)["verbs"]) == set(latent.VERBS)
    assert "verbs" not in zoo_command("info", "vae.mnist-beta4").stdout
    assert all(f"  {verb} " in zoo_command("--help").stdout for verb in latent.VERBS)
    for words, count, expected in (
        ("zoo run vae.digits re", "3", {"reconstruct"}),
        ("zoo traverse vae.digits --d", "3", {"--dimension", "--device"}),
        ("zoo interpolate vae.digits 0 1 --method s", "6", {"spherical"}),
    ):
        env = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
        found = zoo_command(env=env).stdout.split()
        assert {line.partition(",")[2] for line in found} == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("interpolate", "a.png"), ("Missing argument 'B'",)),
        (("interpolate", "a.png", "no.png"), ("no.png does not exist",)),
        (("interpolate", "a.png", "b.png", "-o", "a.png"), ("a.png exists already and was kept", "--force")),
        (("interpolate", "a.png", "b.png", "-o", "i.json"), ("it must end in .png or .npy",)),
        (("interpolate", "0", "1", "--method", "cubic"), ("'cubic' is not one of 'auto', 'linear'",)),
        (("interpolate", "0", "1", "--steps", "1"), ("steps = 1",)),
        (("interpolate", "0", "9" * 5000), ("9" * 99,)),
        (("interpolate", "0", "9" * 15), ("The sample index 999999999999999 is out of range",)),
        (("traverse",), ("Missing option '--dimension'",)),
        (("traverse", "--dimension", "x"), ("'x' is not a valid integer",)),
        (("traverse", "--dimension", "2"), ("dimension = 2 is out of range: an integer from 0 to 1",)),
        (("traverse", "--dim", "1"), ("No such option '--dim'", "--dimension")),
        (("traverse", "a.png", "b.png", "--dimension", "1"), ("unexpected extra argument (b.png)",)),
        (("inpaint", "a.png"), ("Missing argument 'MASK'",)),
        (("run", "encode"), ("encode takes 1 input (image); 0 were given",)),
        (("run", "interpolate", "a.png", "b.png"), ("interpolate is a command of its own", "zoo interpolate")),
        (("run", "paint", "a.png"), ("no task 'paint'. It has: encode, decode, reconstruct, score",)),
    ],
)
def test_verbs_refuse_in_one_line(
    arguments: tuple[str, ...], says: tuple[str, ...], files: Path, shelf: Shelf, refused: Refused
) -> None:
    command, *rest = arguments
    refused(command, shelf.release("vae"), *rest, says=says)


def test_commands_fit_images_and_refuse_an_empty_mask(
    shelf: Shelf, refused: Refused, zoo_call: Command, tmp_path: Path
) -> None:
    release = shelf.release("vae")
    large, mask, empty = tmp_path / "large.png", tmp_path / "mask.png", tmp_path / "empty.png"
    Image.fromarray(np.full((20, 30), 200, np.uint8)).save(large)
    white = np.zeros((20, 30), np.uint8)
    white[:, 15:] = 255
    Image.fromarray(white).save(mask)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(empty)
    refused("inpaint", release, large, mask, says=("30×20 pixels", "give --fit crop or --fit pad"))
    refused("inpaint", release, large, empty, "--fit", "crop", says=("covers nothing", "Make it white"))
    refused("inpaint", release, "0", mask, "--fit", "crop", says=("0 does not exist",))
    for command in (("inpaint", release, large, mask), ("traverse", release, large, "--dimension", "0")):
        done = zoo_call(*command, "--fit", "crop", "-o", tmp_path / f"{command[0]}.png")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{command[0]}.png").is_file()
