"""What goes wrong is one line, with the value and the next step, and nothing is lost or left half-written."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import zoo
from conftest import Command, Shelf, one_error, python
from zoo import checkpoints, files, runs, settings
from zoo.cli import main
from zoo.errors import (
    DataError,
    DeviceError,
    ExistsError,
    NotFoundError,
    ParityError,
    PluginError,
    ReleaseError,
    SettingError,
    TrainingError,
    ZooError,
)
from zoo.release import MANIFEST, WEIGHTS
from zoo_export import onnx_graph

Refused = Callable[..., str]
Words = tuple[object, ...]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything under a folder: what must be the same after an error."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Calls ``zoo ARGUMENTS`` in the test's folder: it fails with one line that has these words and changes nothing."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path, says: Words) -> str:
        before = contents(tmp_path)
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        done = subprocess.CompletedProcess(arguments, int(ended.value.code or 0), *capsys.readouterr())
        line = one_error(done, *map(str, says))
        assert contents(tmp_path) == before
        return line

    return call


@contextlib.contextmanager
def raises(kind: type[ZooError], *words: object) -> Iterator[None]:
    """The block raises exactly this kind of error, in one line that has these words."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert str(word) in str(caught.value)


@pytest.fixture
def release(shelf: Shelf, tmp_path: Path) -> Path:
    """A release of a VAE to spoil."""
    return Path(shutil.copytree(shelf.release("vae"), tmp_path / "release"))


@pytest.fixture
def run(shelf: Shelf, tmp_path: Path) -> Path:
    """A run to spoil."""
    return Path(shutil.copytree(shelf.run("ae"), tmp_path / "run"))


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a text model that knows the characters of one sentence."""
    folder = tmp_path_factory.mktemp("gpt")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 10)
    text = f"text:{folder / 'text.txt'}"
    return zoo.train("chargpt.tiny", data=text, out=folder / "run", set={"steps": 2}, quiet=True).folder


# Names


@pytest.mark.parametrize("command", ["train", "info", "generate", "verify"])
def test_unknown_model(command: str, refused: Refused) -> None:
    refused(command, "vea.tiny", says=("No model named 'vea'", "Did you mean 'vae'?", "zoo list"))


@pytest.mark.parametrize("command", ["train", "info", "generate"])
def test_unknown_recipe(command: str, refused: Refused) -> None:
    refused(command, "vae.tyni", says=("'vae' has no recipe 'tyni'", "Did you mean 'tiny'?", "vae.mnist"))


@pytest.mark.parametrize("command", ["train", "generate"])
def test_a_model_without_a_recipe(command: str, refused: Refused) -> None:
    refused(command, "vae", says=("'vae' is a model; say which recipe", "vae.tiny"))


def test_unknown_command_and_option(refused: Refused) -> None:
    refused("trian", "vae.tiny", says=("No command 'trian'", "Did you mean 'train'?", "zoo --help"))
    refused("train", "vae.tiny", "--sett", "x", says=("--sett", "--set", "zoo train --help"))


def test_the_python_interface_says_the_same() -> None:
    with raises(NotFoundError, "No model named 'vea'", "Did you mean 'vae'?"):
        zoo.load("vea.tiny")
    with raises(NotFoundError, "'vae' has no recipe 'tyni'", "Did you mean 'tiny'?"):
        zoo.train("vae.tyni")


# Recipe fields


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    sizes: tuple[int, ...] = zoo.setting((8, 4), "a list", least=1)
    centred: bool = zoo.setting(True, "a switch")


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("lrr=1", ("No recipe field named 'lrr'", "Did you mean 'lr'?", "steps")),
        ("=1", ("No recipe field named ''",)),
        ("steps", ("'steps' is not KEY=VALUE", "--set steps=100")),
        ("steps=ten", ("steps = 'ten' is not an integer of at least 1",)),
        ("steps=1.5", ("steps = '1.5' is not an integer",)),
        ("steps=0", ("steps = 0 is out of range", "an integer of at least 1")),
        ("lr=fast", ("lr = 'fast' is not a number above 0",)),
        ("lr=0", ("lr = 0.0 is out of range", "above 0")),
        ("lr=nan", ("lr = nan is out of range",)),
        ("lr=inf", ("lr = inf is out of range",)),
        ("seed=-1", ("seed = -1 is out of range", "at least 0")),
        ("seed=9223372036854775808", ("seed = 9223372036854775808 is out of range", "at most 9223372036854775807")),
        ("decay=cosin", ("decay = 'cosin' is not one of constant, linear, cosine",)),
        ("hidden=8,x", ("hidden = '8,x' is not a list", "commas")),
        ("hidden=8,0", ("hidden = (8, 0) is out of range", "at least 1")),
        ("data=", ("No data set named ''", "digits")),
    ],
)
def test_a_bad_setting(assignment: str, says: Words, refused: Refused) -> None:
    refused("train", "ae.tiny", "--set", assignment, says=says)


def test_a_bad_switch() -> None:
    with raises(SettingError, "centred = 'maybe' is not true or false"):
        settings.parse(Recipe, ["centred=maybe"])


def test_good_settings() -> None:
    text = ["sizes=16,8", "centred=no", "decay=cosine", "lr=1"]
    values = {"sizes": (16, 8), "centred": False, "decay": "cosine", "lr": 1.0}
    assert settings.parse(Recipe, text) == values
    assert settings.replace(Recipe(), values).sizes == (16, 8)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"lrr": 1}, "Did you mean 'lr'?"),
        ({"steps": "10"}, "steps = '10' is not an integer"),
        ({"steps": True}, "steps = True is not an integer"),
        ({"hidden": 16}, "hidden = 16 is not a list"),
        ({"hidden": (16, "8")}, "hidden = (16, '8') is not a list"),
        ({"precision": "fp64"}, "precision = 'fp64' is not one of fp32, bf16"),
    ],
)
def test_a_bad_setting_in_python(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    with raises(SettingError, says):
        zoo.train("ae.tiny", set=values, out=tmp_path / "run")
    assert contents(tmp_path) == {}


def test_bad_options_of_train(refused: Refused) -> None:
    refused("train", "ae.tiny", "--checkpoint-every", "0", says=("checkpoint_every = 0 is out of range", "at least 1"))
    refused("train", "ae.tiny", "--precision", "fp64", says=("'fp64'", "'fp32', 'bf16'", "zoo train --help"))
    refused("train", "ae.tiny", "--device", "gpu", says=("device = 'gpu' is not one of auto, cpu, cuda",))


def test_data_that_the_model_cannot_take(refused: Refused) -> None:
    refused("train", "chargpt.tiny", "--data", "digits", says=("chargpt models text, and this data is image",))


# Inputs of a task


def picture(path: Path, size: tuple[int, int]) -> Path:
    Image.new("L", size).save(path)
    return path


def claims_to_be_huge(path: Path) -> Path:
    """A PNG of 12,000×12,000 pixels, by its header."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b""))):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)
    return path


def array(path: Path, value: Any, **options: Any) -> Path:
    np.save(path, value, **options)
    return path


def test_an_unknown_task(release: Path, refused: Refused, tmp_path: Path) -> None:
    small = picture(tmp_path / "small.png", (8, 8))
    refused("run", release, "encdoe", small, says=("vae.tiny has no task 'encdoe'", "encode, decode, reconstruct"))


def test_a_picture_of_the_wrong_size(release: Path, refused: Refused, tmp_path: Path) -> None:
    wide = picture(tmp_path / "wide.png", (16, 8))
    refused("run", release, "encode", wide, says=("wide.png is 16×8 pixels", "takes 8×8", "Resize"))
    huge = claims_to_be_huge(tmp_path / "huge.png")
    refused("run", release, "encode", huge, says=("huge.png is 12000×12000 pixels",))


def test_a_picture_that_cannot_be_read(release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "encode", "nosuch.png", says=("nosuch.png does not exist",))
    refused("run", release, "encode", release, says=("release is no picture that can be read",))
    half = picture(tmp_path / "half.png", (8, 8))
    half.write_bytes(half.read_bytes()[:44])
    refused("run", release, "reconstruct", half, says=("half.png is no picture", "damaged"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((2, 9, 9), np.uint8), "image has shape (2, 9, 9); pictures for this model are (n, 8, 8)"),
        (np.zeros((8, 8, 3), np.uint8), "image has shape (8, 8, 3)"),
        (np.zeros((2, 8, 8), np.int64), "image has dtype int64; pictures are uint8, or floats in [0, 1]"),
        (np.full((8, 8), 2.0), "image has values from 2 to 2; floats must lie in [0, 1]"),
        (np.full((8, 8), np.nan), "image has values from nan to nan"),
        (np.zeros((0, 8, 8), np.uint8), "empty batch"),
    ],
)
def test_an_array_that_is_no_picture(value: Any, says: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "encode", array(tmp_path / "a.npy", value), says=(says,))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((2, 3), np.float32), "z has shape (2, 3); it must be (n, 2)"),
        (np.zeros((2, 2), complex), "z has dtype complex128; it must be float32"),
        (np.array(["a", "b"]), "z has dtype <U1; it must be float32"),
        (np.float32(1), "z has shape ()"),
    ],
)
def test_an_array_that_is_no_code(value: Any, says: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "decode", array(tmp_path / "a.npy", value), says=(says,))


def test_an_array_that_cannot_be_read(release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "decode", "nosuch.npy", says=("nosuch.npy does not exist",))
    refused(
        "run", release, "decode", picture(tmp_path / "a.png", (8, 8)), says=("takes arrays, as .npy files", "a.png")
    )
    pickled = array(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    refused("run", release, "decode", pickled, says=("pickled.npy is no array that can be read",))
    cut = array(tmp_path / "cut.npy", np.zeros((2, 2), np.float32))
    cut.write_bytes(cut.read_bytes()[:-4])
    refused("run", release, "decode", cut, says=("cut.npy is no array that can be read",))
    two = [array(tmp_path / f"{name}.npy", np.zeros((1, size), np.float32)) for name, size in (("b", 2), ("c", 3))]
    refused("run", release, "decode", *two, says=("do not fit together",))


def test_inputs_too_few_and_of_two_sizes(gpt: Path, refused: Refused, tmp_path: Path) -> None:
    token = array(tmp_path / "token.npy", np.zeros(3, np.int64))
    refused("run", gpt, "step", token, token, says=("step takes 3 inputs (token, position, cache); 2 were given",))
    with zoo.load(gpt) as model:
        cache = np.zeros((2, *model.release.tasks["step"].inputs["cache"].shape), np.float32)
        with raises(SettingError, "token: 3, position: 3, cache: 2"):
            model.step([0, 1, 2], [0, 0, 0], cache)
        with raises(SettingError, "token has a value outside 0 to"):
            model.step([0, 999], [0, 0], cache)
        with raises(SettingError, "step takes token, position, cache; it was given 0 in order and ['tokn'] by name"):
            model.step(tokn=[0])


def test_a_method_that_is_no_task(release: Path) -> None:
    with zoo.load(release) as model, pytest.raises(AttributeError, match=r"no task 'paint'\. It has: encode"):
        model.paint()


# Options of generate


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--label", "3"), ("no labels", "leave the label out")),
        (("--prompt", "the"), ("Prompt, length and temperature are for autoregressive models",)),
        (("-n", "0"), ("n = 0", "at least 1")),
        (("--first", "-1"), ("from index -1 is out of range",)),
        (("-n", "2", "--first", "4294967295"), ("from index 4294967295 is out of range", "below 2**32")),
        (("--seed", "-1"), ("seed = -1 is out of range", "0 to 2**64 - 1")),
        (("--seed", "18446744073709551616"), ("seed = 18446744073709551616 is out of range",)),
        (("-o", "x.jpg"), ("'x.jpg' ends in '.jpg'; it must end in .png or .npy",)),
        (("--device", "gpu"), ("device = 'gpu' is not one of auto, cpu, cuda",)),
        (("--backend", "jax"), ("'jax'", "'onnx', 'torch'")),
    ],
)
def test_a_picture_model_refuses(
    options: tuple[str, ...], says: tuple[str, ...], release: Path, refused: Refused
) -> None:
    refused("generate", release, *options, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--prompt", "the £"), ("'£' is not one of the",)),
        (("--temperature", "-0.5"), ("temperature = -0.5 is out of range", "at least 0")),
        (("--temperature", "nan"), ("temperature = nan is out of range",)),
        (("--length", "0"), ("length = 0 is out of range", "at least 1")),
        (("--label", "3"), ("no labels",)),
        (("-o", "x.png"), ("'x.png' ends in '.png'; it must end in .txt",)),
    ],
)
def test_a_text_model_refuses(options: tuple[str, ...], says: Words, gpt: Path, refused: Refused) -> None:
    refused("generate", gpt, *options, says=says)


def test_load_refuses_what_it_does_not_know(release: Path) -> None:
    with raises(SettingError, "backend = 'jax' is not one of onnx, torch"):
        zoo.load(release, backend="jax")  # type: ignore[arg-type]
    with raises(SettingError, "device = 'tpu' is not one of auto, cpu, cuda"):
        zoo.load(release, device="tpu")  # type: ignore[arg-type]


# Sources


@pytest.mark.parametrize("command", ["generate", "verify", "info"])
def test_a_path_that_is_not_there(command: str, refused: Refused) -> None:
    refused(command, "./vae.tiny", says=("'vae.tiny' does not exist",))
    refused(command, "runs/nosuch", says=("'runs/nosuch' does not exist",))
    refused(command, "~nobody-of-that-name/run", says=("~nobody-of-that-name",))


def test_a_name_too_long_for_a_file(refused: Refused) -> None:
    refused("generate", "vae" * 100, says=("vaevae",))
    refused("generate", "./" + "vae" * 100, says=("vaevae",))


def test_a_name_without_released_weights(refused: Refused) -> None:
    refused(
        "generate", "vae.tiny", says=("No weights are released under 'vae.tiny'", "zoo train vae.tiny", "runs/vae.tiny")
    )


def test_a_folder_named_like_a_model(run: Path, refused: Refused, tmp_path: Path) -> None:
    run.rename(tmp_path / "ae.tiny")
    refused("generate", "ae.tiny", says=("No weights are released under 'ae.tiny'", "./ae.tiny"))


def test_the_hub(refused: Refused) -> None:
    refused("generate", "hub:someone/vae", says=("'hub:someone/vae' cannot be loaded by this version",))


def test_a_run_without_a_release(run: Path, refused: Refused) -> None:
    shutil.rmtree(run / "release")
    refused("generate", run, says=("run has no release yet", "--resume", "zoo export"))


def test_a_folder_that_is_neither(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refused("generate", "other", says=("other is neither a run folder nor a release folder", "recipe.json", MANIFEST))
    refused("export", "other", "--to", "new", says=("other is neither",))


# Damaged releases


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    path.write_bytes(b"\xff" * 100)


@pytest.mark.parametrize("damage", [cut, flip, empty])
@pytest.mark.parametrize("name", [WEIGHTS, "decode.onnx"])
def test_an_altered_file_is_found_whoever_reads_it(
    name: str, damage: Callable[[Path], None], release: Path, refused: Refused
) -> None:
    expected = files.sha256(release / name)
    damage(release / name)
    says = (name, "damaged or altered", f"expected SHA-256 {expected}", f"found {files.sha256(release / name)}")
    refused("verify", release, says=says)
    refused("generate", release, says=says)
    refused("export", release, "--to", "copy", says=says)
    with raises(ReleaseError, *says):
        zoo.load(release).generate()


def test_altered_weights_are_found_by_torch(release: Path) -> None:
    flip(release / WEIGHTS)
    with raises(ReleaseError, WEIGHTS, "expected SHA-256"):
        zoo.load(release, backend="torch")
    with raises(ReleaseError, WEIGHTS, "expected SHA-256"):
        zoo.load_module(release)


@pytest.mark.parametrize("name", ["samples.png", "README.md"])
def test_an_altered_picture_or_card_is_found_by_verify(name: str, release: Path, refused: Refused) -> None:
    flip(release / name)
    refused("verify", release, says=(name, "expected SHA-256"))


@pytest.mark.parametrize("name", [WEIGHTS, "decode.onnx", "samples.png"])
def test_a_missing_file(name: str, release: Path, refused: Refused) -> None:
    (release / name).unlink()
    refused("verify", release, says=(f"{name} is missing", "Get the release again"))
    if name != "samples.png":
        refused("generate", release, says=(f"{name} is missing",))


def test_a_link_is_no_file(release: Path, refused: Refused, tmp_path: Path) -> None:
    """ONNX Runtime refuses links, so a release has none."""
    shutil.move(release / WEIGHTS, tmp_path / "elsewhere")
    (release / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    refused("generate", release, says=(WEIGHTS, "link"))


def test_a_file_too_many(release: Path, refused: Refused) -> None:
    (release / "extra.bin").write_bytes(b"x")
    refused("verify", release, says=("extra.bin is not in the manifest", "Remove it"))
    refused("export", release, "--to", "copy", says=("extra.bin is not in the manifest",))


def test_samples_that_the_weights_do_not_give(release: Path, refused: Refused) -> None:
    """All hashes are right, and still the picture is of something else."""
    buffer = io.BytesIO()
    with Image.open(release / "samples.png") as image:
        Image.new("L", image.size).save(buffer, "PNG")
    put(release, "samples.png", buffer.getvalue())
    refused("verify", release, says=("samples of seed 0 are not those in samples.png",))


def test_the_catalogue_pins_the_manifest(release: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {"manifest_sha256": "0" * 64}
    monkeypatch.setattr("zoo.registry.released_folder", lambda name: (release, pinned))
    refused("generate", "vae.tiny", says=(MANIFEST, "expected SHA-256 000", files.sha256(release / MANIFEST)))


# Damaged manifests


def edit(release: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest."""
    manifest = json.loads((release / MANIFEST).read_text("utf-8"))
    change(manifest)
    (release / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def put(release: Path, name: str, content: bytes) -> None:
    """Replace a file of a release, and its hash in the manifest."""
    (release / name).write_bytes(content)
    edit(release, lambda manifest: manifest["files"][name].update(sha256=files.sha256(release / name)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b'{"format": 1', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"1" * 10_000, "is not JSON"),
        (b'{"a": ' * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"{}", "format is 'None', not 1"),
        (b'{"format": "1"}', "format is '1', not 1"),
        (b'{"format": 2}', "format 2, and this zoo reads up to 1. Run: pip install --upgrade genzoo"),
        (b'{"format": 1}', "files is missing"),
    ],
)
def test_a_manifest_that_is_none(content: bytes, says: str, release: Path, refused: Refused) -> None:
    (release / MANIFEST).write_bytes(content)
    refused("verify", release, says=(MANIFEST, says))
    with raises(ReleaseError, MANIFEST, says):
        zoo.load(release)


def test_a_manifest_that_is_missing(release: Path, refused: Refused) -> None:
    (release / MANIFEST).unlink()
    refused("verify", release, says=("neither a run folder nor a release folder", MANIFEST))


BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no name": (lambda m: m.pop("name"), "name"),
    "no files": (lambda m: m.pop("files"), "files is missing"),
    "no tasks": (lambda m: m.pop("tasks"), "tasks is missing"),
    "no sample": (lambda m: m.pop("sample"), "sample is missing"),
    "no weights": (lambda m: m["files"].pop(WEIGHTS), WEIGHTS),
    "no graph": (lambda m: m["files"].pop("decode.onnx"), "decode.onnx is not among its files"),
    "tasks is a list": (lambda m: m.update(tasks=[]), "tasks is missing or not of the right type"),
    "a hash is a number": (lambda m: m["files"][WEIGHTS].update(sha256=1), "sha256 is missing or not of the right"),
    "a name with a path": (lambda m: m.update(name="../../vae.tiny"), "../../vae.tiny"),
    "a file with ..": (lambda m: m["files"].update({"../x": {"sha256": "0"}}), "'../x', which is not allowed"),
    "a file that is ..": (lambda m: m["files"].update({"..": {"sha256": "0"}}), "'..', which is not allowed"),
    "a file with /": (lambda m: m["files"].update({"/etc/passwd": {"sha256": "0"}}), "'/etc/passwd', which is not"),
    "a graph elsewhere": (
        lambda m: m["tasks"]["decode"].update(graph="../decode.onnx"),
        "'../decode.onnx', which is not",
    ),
    "a task with spaces": (lambda m: m["tasks"].update({"de code": m["tasks"]["decode"]}), "'de code'"),
    "a task with __": (lambda m: m["tasks"].update({"__init__": m["tasks"]["decode"]}), "'__init__'"),
    "a task like a method": (lambda m: m["tasks"].update({"generate": m["tasks"]["decode"]}), "'generate'"),
    "no inputs": (lambda m: m["tasks"]["decode"].update(inputs={}), "'decode'"),
    "no outputs": (lambda m: m["tasks"]["decode"].update(outputs={}), "'decode'"),
    "a kind that is none": (lambda m: m["sample"]["x"].update(kind="video"), "its kind must be one of"),
    "a negative size": (lambda m: m["sample"]["x"].update(width=-8), "width = '-8', which is not of the right type"),
    "a size that is text": (
        lambda m: m["sample"]["x"].update(width="8"),
        "width = '8', which is not of the right type",
    ),
    "a gigantic picture": (lambda m: m["sample"]["x"].update(width=2**40), "not usable"),
    "gigantic noise": (lambda m: m["tasks"]["decode"]["inputs"]["z"].update(shape=[2**20, 2**20]), "not usable"),
    "a field too many": (lambda m: m["sample"]["x"].update(depth=3), "depth"),
    "a generation of nothing": (lambda m: m["generation"].update(task="paint"), "'paint', which is not there"),
    "a generation of noise by text": (lambda m: m["generation"].update(kind="autoregressive"), "generation"),
    "a generation from pictures": (lambda m: m["generation"].update(task="reconstruct"), "generation"),
    "pictures said to be text": (
        lambda m: m["sample"].update(x={"kind": "text", "vocabulary": "abc", "length": 8}),
        "generation",
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest(case: str, release: Path, refused: Refused) -> None:
    change, says = BAD_MANIFESTS[case]
    edit(release, change)
    refused("generate", release, says=(MANIFEST, says))
    refused("verify", release, says=(MANIFEST, says))


def test_a_manifest_that_lies_about_its_graphs(release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["tasks"]["decode"]["inputs"]["z"].update(shape=[3]))
    refused("generate", release, says=("decode", "Get the release again"))


def places(value: Any) -> Iterator[tuple[str | int, ...]]:
    """The path of everything inside a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (key,)
        yield from ((key, *rest) for rest in places(value[key]))


def spoiled(manifest: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifest with one thing under `key` left out or made something else, and what that is, in words."""
    for path in [(key,), *((key, *rest) for rest in places(manifest[key]))]:
        for wrong in (None, -1, "../x", [], {"x": [1]}, "left out"):
            changed: Any = copy.deepcopy(manifest)
            inner = changed
            for part in path[:-1]:
                inner = inner[part]
            if wrong == "left out":
                del inner[path[-1]]
            else:
                inner[path[-1]] = wrong
            yield f"{'.'.join(map(str, path))} {wrong}", changed


@pytest.mark.parametrize(
    "key",
    ["name", "card", "plugin", "recipe", "sample", "tasks", "generation", "measures", "provenance", "tied", "left_out"],
)
def test_whatever_a_manifest_says_there_is_no_traceback(
    key: str, release: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is changed in it, a release works as before, or a ZooError says why it does not."""

    def info() -> None:
        with contextlib.suppress(SystemExit):
            main()

    def sample() -> None:
        with zoo.load(release) as model:
            model.generate()

    def module() -> None:
        zoo.load_module(release)

    monkeypatch.setattr(sys, "argv", ["zoo", "info", str(release)])
    only_torch_reads = ("recipe", "plugin", "tied", "left_out")
    uses = [info, module] if key in only_torch_reads else [info, sample]
    tracebacks = []
    for what, changed in spoiled(json.loads((release / MANIFEST).read_text("utf-8")), key):
        (release / MANIFEST).write_text(json.dumps(changed), "utf-8")
        for use in uses:
            try:
                use()
            except ZooError:
                pass
            except Exception as error:
                tracebacks.append(f"{use.__name__}, {what}: {error!r}"[:200])
    assert not tracebacks, "\n".join(tracebacks)


def test_sizes_that_are_no_sizes(release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["files"][WEIGHTS].update(bytes="many"))
    refused("info", release, says=(MANIFEST, "bytes"))


# Graphs whose weights lie elsewhere


def redirect(release: Path, **changes: str) -> None:
    """Point the graph's external data elsewhere; the manifest has the right hash of the graph."""
    graph = onnx.load(release / "decode.onnx", load_external_data=False)
    for initialiser in graph.graph.initializer:
        for entry in initialiser.external_data:
            entry.value = changes.get(entry.key, entry.value)
    put(release, "decode.onnx", graph.SerializeToString())


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "../elsewhere.bin"},
        {"location": "nosuch.bin"},
        {"offset": "1000000000"},
        {"offset": "-8"},
        {"offset": "x"},
        {"length": "1000000000"},
    ],
    ids=str,
)
def test_external_data_elsewhere(changes: dict[str, str], release: Path, zoo_command: Command, tmp_path: Path) -> None:
    shutil.copy(release / WEIGHTS, tmp_path / "elsewhere.bin")
    redirect(release, **changes)
    one_error(zoo_command("generate", release), "decode.onnx", "cannot be loaded by ONNX Runtime")


def test_external_data_anywhere_on_the_machine(release: Path, zoo_command: Command, tmp_path: Path) -> None:
    shutil.copy(release / WEIGHTS, tmp_path / "elsewhere.bin")
    redirect(release, location=str(tmp_path / "elsewhere.bin"))
    one_error(zoo_command("generate", release), "decode.onnx", "cannot be loaded by ONNX Runtime")


def test_a_graph_that_is_none(release: Path, refused: Refused) -> None:
    put(release, "decode.onnx", b"this is no graph")
    refused("generate", release, says=("decode.onnx cannot be loaded by ONNX Runtime",))


def test_weights_that_are_none(release: Path) -> None:
    put(release, WEIGHTS, b"these are no weights")
    with raises(ReleaseError, WEIGHTS, "cannot be read"):
        zoo.load_module(release)


# Packages that are not installed


@pytest.fixture
def without(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Variables of a process in which a package cannot be imported."""

    def variables(package: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("without")
        (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
        return {"PYTHONPATH": str(folder)}

    return variables


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("torch", "train", ("train", "vae.tiny")),
        ("torch", "train", ("export", "run", "--to", "new")),
        ("torch", "train", ("generate", "run", "--backend", "torch")),
        ("onnxruntime", "cpu", ("generate", "run")),
        ("onnxruntime", "cpu", ("verify", "run")),
    ],
)
def test_a_package_is_missing(
    package: str, extra: str, command: tuple[str, ...], without: Any, run: Path, zoo_command: Command
) -> None:
    before = contents(run.parent)
    done = zoo_command(*command, env=without(package))
    one_error(done, f"needs {package}, which is not installed", f"pip install 'genzoo[{extra}]'")
    assert len(done.stderr.splitlines()) == 1
    assert contents(run.parent) == before


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("onnx", "onnx", "train"),
        ("onnxscript", "onnxscript", "train"),
        ("onnxruntime", "onnxruntime", "cpu"),
        ("scikit-learn", "sklearn.datasets", "train"),
    ],
)
def test_training_asks_for_what_it_will_need_before_it_starts(
    package: str, module: str, extra: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    refused("train", "vae.tiny", says=(f"needs {package}, which is not installed", f"pip install 'genzoo[{extra}]'"))


@pytest.mark.parametrize(("package", "extra"), [("onnx", "train"), ("onnxruntime", "cpu")])
def test_export_without_what_it_needs(
    package: str, extra: str, run: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "zoo_export.writer", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    refused("export", run, "--to", "new", says=(f"needs {package}", f"pip install 'genzoo[{extra}]'"))


def test_load_module_without_torch(release: Path) -> None:
    code = "import zoo\ntry: zoo.load_module(sys.argv[1])\nexcept zoo.ZooError as error: print(error)"
    assert "pip install 'genzoo[train]'" in python(code, release, block=["torch"])


# Devices that are not there


no_cuda = pytest.mark.skipif(
    torch.cuda.is_available() or Path("/dev/nvidia0").exists(), reason="there is a CUDA device"
)


@no_cuda
def test_cuda_is_not_there(release: Path, refused: Refused) -> None:
    refused("train", "vae.tiny", "--device", "cuda", says=("'cuda' was asked for", "--device cpu"))
    refused("generate", release, "--device", "cuda", says=("CUDA was asked for", "--device cpu"))
    refused("generate", release, "--device", "cuda", "--backend", "torch", says=("CUDA", "--device cpu"))
    refused("run", release, "encode", "x.png", "--device", "cuda", says=("CUDA was asked for", "--device cpu"))
    with raises(DeviceError, "CUDA was asked for"):
        zoo.load(release, device="cuda")


@no_cuda
def test_a_run_is_not_replaced_for_a_device_that_is_not_there(run: Path, refused: Refused) -> None:
    refused("train", "ae.tiny", "--out", run, "--force", "--device", "cuda:7", says=("'cuda:7' was asked for",))


# Outputs that are there already


@pytest.mark.parametrize("name", ["out.png", "out.npy"])
def test_generate_keeps_a_file(name: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    refused("generate", release, "-o", name, says=(f"{name} exists already and was kept", "--force"))


def test_generate_keeps_the_file_of_its_default_name(release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "vae.tiny-seed0.png").write_text("mine")
    refused("generate", release, says=("vae.tiny-seed0.png exists already", "--force"))


def test_generate_keeps_a_text(gpt: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("mine")
    refused("generate", gpt, "-o", "out.txt", says=("out.txt exists already", "--force"))


@pytest.mark.parametrize(("task", "name"), [("reconstruct", "out.png"), ("encode", "out.json"), ("encode", "out.npy")])
def test_run_keeps_a_file(task: str, name: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    small = picture(tmp_path / "small.png", (8, 8))
    refused("run", release, task, small, "-o", name, says=(f"{name} exists already and was kept", "--force"))


def test_force_replaces_a_file_but_no_folder(
    release: Path, refused: Refused, zoo_command: Command, tmp_path: Path
) -> None:
    (tmp_path / "out.png").write_text("mine")
    assert zoo_command("generate", release, "-o", "out.png", "--force").returncode == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "folder.png").mkdir()
    refused("generate", release, "-o", "folder.png", "--force", says=("folder.png is a folder",))


def test_an_output_that_cannot_be_written(release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused("generate", release, "-o", "file/out.png", says=("file/out.png could not be written",))
    refused("export", release, "--to", "file/new", says=("file/new cannot be made", "file is a file"))
    refused("train", "ae.tiny", "--out", "file/run", says=("file/run could not be made", "--out"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "zoo", "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Error: No space left on device."]


def test_an_empty_folder_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the one that the command is called in."""
    monkeypatch.chdir(tmp_path)
    zoo.train("ae.tiny", set={"steps": 1}, out=".", release=False, quiet=True)
    assert checkpoints.steps(tmp_path) == [1]


def test_export_keeps_what_is_there(release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.txt").write_text("mine")
    for there in ("folder", release, "folder/precious.txt"):
        refused("export", release, "--to", there, says=("exists already and was kept", "--force"))
    for there in ("folder", "folder/precious.txt", "."):
        refused("export", release, "--to", there, "--force", says=("is no release, so --force does not replace it",))


def test_export_with_force_replaces_a_release(release: Path, shelf: Shelf, tmp_path: Path) -> None:
    other = zoo.export(shelf.release("ae"), tmp_path / "other")
    zoo.export(release, other, force=True)
    assert contents(other) == contents(release)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "release"]


def test_train_keeps_what_is_there(run: Path, refused: Refused, tmp_path: Path) -> None:
    refused("train", "ae.tiny", "--out", run, says=("run holds a run already", "--resume", "--force", "--out"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.txt").write_text("mine")
    refused("train", "ae.tiny", "--out", "folder", "--force", says=("folder exists already, is no run", "--out"))
    refused("train", "ae.tiny", "--out", "folder/precious.txt", "--force", says=("is a file, and a run is a folder",))


@pytest.mark.parametrize(
    ("option", "kind"), [({"set": {"steps": 0}}, SettingError), ({"data": "folder:nosuch"}, DataError)]
)
def test_force_replaces_a_run_only_by_one_that_can_start(option: Any, kind: type[ZooError], run: Path) -> None:
    before = contents(run)
    with pytest.raises(kind):
        zoo.train("ae.tiny", out=run, force=True, quiet=True, **option)
    with pytest.raises(PluginError):
        zoo.train("chargpt.tiny", data="digits", out=run, force=True, quiet=True)
    assert contents(run) == before


# Runs that are stopped, and resumed


STEPS = 3000
LONG = ("train", "ae.tiny", "--set", f"steps={STEPS}", "--checkpoint-every", str(STEPS), "--no-release", "--out", "run")


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint, the optimiser's too."""
    return {name: tensor.clone() for name, tensor in checkpoints.read(run).tensors.items()}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What the long run ends with if nobody stops it."""
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    zoo.train("ae.tiny", set={"steps": STEPS}, out=run, checkpoint_every=STEPS, release=False, quiet=True)
    return weights(run)


@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, "Interrupted", 130), (signal.SIGTERM, "Terminated", 143)],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(
    number: signal.Signals,
    word: str,
    code: int,
    uninterrupted: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "zoo", *LONG]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as training:
        metrics = Path("run/metrics.jsonl")
        while training.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
            time.sleep(0.005)
        training.send_signal(number)
        _, said = training.communicate()
    done = subprocess.CompletedProcess(command, training.returncode, "", said)
    assert done.returncode == code
    (step,) = checkpoints.steps(Path("run"))
    assert 0 < step < STEPS
    one_error(done, f"{word} at step {step}", f"{checkpoints.path_of(Path('run'), step)}", "--resume")

    monkeypatch.setattr(sys, "argv", ["zoo", *LONG, "--resume"])
    main()
    assert equal(weights(Path("run")), uninterrupted)


@pytest.mark.parametrize(
    ("setting", "was", "now"),
    [("latent=8", "latent = 4", "8"), ("hidden=8,8", "hidden = [16]", "[8, 8]"), ("steps=40", "steps = 20", "40")],
)
def test_resume_with_another_recipe(setting: str, was: str, now: str, run: Path, refused: Refused) -> None:
    resume = ("train", "ae.tiny", "--out", run, "--resume")
    refused(*resume, "--set", setting, says=("run was started with", was, f"is {now}", "--force"))


def test_resume_as_another_model(run: Path, refused: Refused) -> None:
    refused("train", "vae.tiny", "--out", run, "--resume", says=("run", "ae.tiny", "vae.tiny"))


def test_resume_on_other_data(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    described["data"]["sha256"] = "0" * 64
    (run / "recipe.json").write_text(json.dumps(described))
    refused("train", "ae.tiny", "--out", run, "--resume", says=("run was trained on other data: digits", "--force"))


def test_resume_where_there_is_no_run(refused: Refused, tmp_path: Path) -> None:
    refused("train", "ae.tiny", "--resume", says=("runs/ae.tiny is no run folder", "recipe.json"))
    (tmp_path / "file").write_text("mine")
    refused("train", "ae.tiny", "--out", "file", "--resume", says=("file is no run folder",))


@pytest.mark.parametrize("damage", [cut, scramble, empty])
def test_a_damaged_checkpoint(damage: Callable[[Path], object], run: Path, refused: Refused) -> None:
    before = weights(run)
    last = checkpoints.path_of(run, 20)
    damage(last)
    says = (f"{last} is damaged", "Remove it to go on from step 18")
    refused("train", "ae.tiny", "--out", run, "--resume", says=says)
    refused("export", run, "--to", "new", says=says)
    last.unlink()  # as it said
    zoo.train("ae.tiny", out=run, resume=True, release=False, quiet=True)
    assert equal(weights(run), before)


def test_no_checkpoint_that_is_sound(run: Path, refused: Refused) -> None:
    checkpoints.path_of(run, 18).unlink()
    cut(checkpoints.path_of(run, 20))
    refused("train", "ae.tiny", "--out", run, "--resume", says=("is damaged", "Remove the run folder and train again"))


def test_a_checkpoint_that_is_not_there(run: Path, refused: Refused, shelf: Shelf) -> None:
    refused("export", run, "--to", "new", "--checkpoint", "7", says=("run has no checkpoint '7'", "last, best, 18, 20"))
    best = ("export", shelf.run("dcgan"), "--to", "new", "--checkpoint", "best")
    refused(*best, says=("has no best checkpoint: its model has no measure", "--checkpoint last"))
    shutil.rmtree(run / "checkpoints")
    refused("export", run, "--to", "new", says=("run holds no checkpoint",))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"format": "x"}', "[" * 100_000])
def test_a_damaged_recipe_file(content: str, run: Path, refused: Refused) -> None:
    (run / "recipe.json").write_text(content)
    refused("train", "ae.tiny", "--out", run, "--resume", says=("recipe.json is damaged", "--force"))
    refused("export", run, "--to", "new", says=("recipe.json is damaged",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None}, {"name": "vae"}, {"name": "vea.tiny"}, {"recipe": []}, {"recipe": {"steps": "x"}},
        {"recipe": {"nosuch": 1}}, {"sample": []}, {"sample": {}}, {"sample": {"x": {"kind": []}, "classes": 10}},
        {"sample": {"x": {"kind": "image", "channels": 1, "height": 8, "width": 8}, "classes": "x"}},
        {"data": None}, {"data": {}}, {"plugin": {}}, {"zoo": 1}, {"commit": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_recipe_file_with_wrong_values(wrong: dict[str, Any], run: Path) -> None:
    described = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(described | wrong))
    with pytest.raises(ZooError):
        runs.model_of(run)


def test_a_run_of_a_newer_zoo(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(described | {"format": 2, "zoo": "9.0"}))
    refused("export", run, "--to", "new", says=("newer zoo (9.0)", "pip install --upgrade genzoo"))


def test_a_loss_that_is_not_finite(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with raises(TrainingError, "ae.tiny stopped at step", "'reconstruction' is", "lower lr"):
        zoo.train("ae.tiny", set={"lr": 1e30}, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "release").exists()


# Exports that are stopped


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")], ids=repr)
def test_a_stopped_export_leaves_nothing(
    stop: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def prove(*_: object) -> None:
        raise stop

    monkeypatch.setattr("zoo_export.parity.prove", prove)
    with pytest.raises((KeyboardInterrupt, RuntimeError, ZooError)):
        zoo.export(shelf.run("dcgan"), tmp_path / "new")
    assert contents(tmp_path) == {}


def test_a_killed_export_can_be_done_again(shelf: Shelf, tmp_path: Path) -> None:
    code = """
        import os, signal, sys, zoo
        from zoo_export import parity
        parity.prove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        zoo.export(sys.argv[1], sys.argv[2])
    """
    killed = subprocess.run([sys.executable, "-c", _script(code), str(shelf.run("dcgan")), str(tmp_path / "new")])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    zoo.export(shelf.run("dcgan"), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_release_is_not_lost_when_its_replacement_is_killed(release: Path) -> None:
    """Between the two renames, the old release is out of the way and the new one not yet in its place."""
    code = """
        import os, signal, sys
        from pathlib import Path
        from zoo import files
        rename = os.replace
        os.replace = lambda old, new: (rename(old, new), os.kill(os.getpid(), signal.SIGKILL))
        with files.new_folder(Path(sys.argv[1]), force=True) as folder:
            (folder / "manifest.json").write_text("new")
    """
    before = contents(release)
    killed = subprocess.run([sys.executable, "-c", _script(code), str(release)])
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ExistsError), files.new_folder(release, force=False):  # the next export finds it again
        pass
    assert contents(release) == before
    assert [path.name for path in release.parent.iterdir()] == ["release"]


def _script(code: str) -> str:
    return "\n".join(line[8:] for line in code.splitlines())


# Parity is a gate


def off_by(amount: float, task: str) -> Callable[..., onnx.ModelProto]:
    """``onnx_graph.trace``, but the graph of one task adds a number to its first output."""
    trace = onnx_graph.trace

    def broken(module: Any, declared: Any, name: str) -> onnx.ModelProto:
        model = trace(module, declared, name)
        if name == task:
            output = model.graph.output[0].name
            (last,) = (node for node in model.graph.node if output in node.output)
            last.output[list(last.output).index(output)] = "exact"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(amount), "amount"))
            model.graph.node.append(onnx.helper.make_node("Add", ["exact", "amount"], [output]))
        return model

    return broken


@pytest.mark.parametrize("task", ["encode", "decode"])
def test_a_graph_that_computes_something_else_is_not_released(
    task: str, shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-3, task))
    refused("export", shelf.run("vae"), "--to", "new", says=("Parity failed", f"task '{task}'", "0.001", "Nothing was"))


def test_a_text_graph_that_computes_something_else_is_not_released(
    gpt: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-2, "step"))
    refused("export", gpt, "--to", "new", says=("Parity failed", "task 'step'", "Nothing was released"))


def test_a_run_whose_release_fails_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-3, "decode"))
    with pytest.raises(ParityError):
        zoo.train("dcgan.tiny", set={"steps": 1}, out=tmp_path / "run", quiet=True)
    assert checkpoints.steps(tmp_path / "run") == [1]
    assert not [path for path in (tmp_path / "run").iterdir() if "release" in path.name]
