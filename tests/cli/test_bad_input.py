"""Bad input is one line, with the value and the next step, and nothing is lost or left half-written."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from conftest import Command, Refused, Shelf, Words, contents, one_error, python, raises
from zoo.contract import settings
from zoo.core.errors import DataError, DeviceError, NotFoundError, PluginError, SettingError, ZooError
from zoo.release import MANIFEST
from zoo.training import checkpoints

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
    sizes: tuple[int, ...] = zoo.setting((8, 4), "a list", ge=1)
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
        ({"precision": "fp64"}, "precision = 'fp64' is not one of auto, fp32, tf32, bf16"),
    ],
)
def test_a_bad_setting_in_python(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    with raises(SettingError, says):
        zoo.train("ae.tiny", set=values, out=tmp_path / "run")
    assert contents(tmp_path) == {}


def test_bad_options_of_train(refused: Refused) -> None:
    refused("train", "ae.tiny", "--checkpoint-every", "0", says=("checkpoint_every = 0 is out of range", "at least 1"))
    refused("train", "ae.tiny", "--precision", "fp64", says=("'fp64'", "'fp32', 'tf32', 'bf16'", "zoo train --help"))
    refused("train", "ae.tiny", "--device", "gpu", says=("device = 'gpu' is not one of auto, cpu, cuda",))


def test_data_that_the_model_cannot_take(refused: Refused) -> None:
    refused("train", "chargpt.tiny", "--data", "digits", says=("it models text, and this data is image",))


@pytest.mark.parametrize("name", ["ae.tiny", "vae.tiny", "dcgan.tiny"])
def test_images_models_on_text(name: str, tmp_path: Path) -> None:
    with raises(PluginError, name, "models images", "text"):
        zoo.train(name, data="descriptions", out=tmp_path / "run", quiet=True)


def test_batches_of_one_sample_for_batch_norm_are_one_line(tmp_path: Path) -> None:
    with raises(SettingError, "vae.tiny has batch norm", "at least 2 samples", "batch=2"):
        zoo.train("vae.tiny", set={"batch": 1}, out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 2.5}, "n = 2.5 is not an integer"),
        ({"seed": "1"}, "seed = '1' is not an integer"),
        ({"label": 1.5}, "1.5"),
        ({"prompt": 5}, "prompt = 5"),
    ],
)
def test_bad_types_in_python(options: dict[str, Any], says: str, release: Path) -> None:
    with pytest.raises(SettingError, match=says.split()[0]):
        zoo.load(release).generate(**options)


def test_nothing_is_written_into_a_release(release: Path, refused: Refused) -> None:
    words = ("inside the release", "never changes")
    refused("generate", release, "-o", release / "new.png", says=words)
    refused("generate", release, "-o", release / "sub" / "new.png", says=words)
    refused("export", release, "-o", release / "copy", says=words)
    refused("train", "ae.tiny", "-o", release / "run", says=words)
    refused("demo", "-o", release / "demo", says=words)


# Inputs of a task


def image(path: Path, size: tuple[int, int]) -> Path:
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
    small = image(tmp_path / "small.png", (8, 8))
    refused("run", release, "encdoe", small, says=("vae.tiny has no task 'encdoe'", "encode, decode, reconstruct"))


def test_a_image_of_the_wrong_size(release: Path, refused: Refused, tmp_path: Path) -> None:
    wide = image(tmp_path / "wide.png", (16, 8))
    refused("run", release, "encode", wide, says=("wide.png is 16×8 pixels", "takes 8×8", "Resize"))
    huge = claims_to_be_huge(tmp_path / "huge.png")
    refused("run", release, "encode", huge, says=("huge.png is 12000×12000 pixels",))


def test_a_image_that_cannot_be_read(release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "encode", "nosuch.png", says=("nosuch.png does not exist",))
    refused("run", release, "encode", release, says=("release is a folder; the name of an image file is needed",))
    half = image(tmp_path / "half.png", (8, 8))
    half.write_bytes(half.read_bytes()[:44])
    refused("run", release, "reconstruct", half, says=("half.png is no image", "damaged"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((2, 9, 9), np.uint8), "image has shape (2, 9, 9); images for this model are (n, 8, 8)"),
        (np.zeros((8, 8, 3), np.uint8), "image has shape (8, 8, 3)"),
        (np.zeros((2, 8, 8), np.int64), "image has dtype int64; images are uint8 from 0 to 255, or floats in [0, 1]"),
        (np.full((8, 8), 2.0), "image has values from 2 to 2; floats must lie in [0, 1]"),
        (np.full((8, 8), np.nan), "image has values from nan to nan"),
        (np.zeros((0, 8, 8), np.uint8), "empty batch"),
    ],
)
def test_an_array_that_is_no_image(value: Any, says: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "encode", array(tmp_path / "a.npy", value), says=(says,))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((2, 3), np.float32), "z has shape (2, 3); it must be (n, 2)"),
        (np.zeros((2, 2), complex), "z has dtype complex128; it must be float32"),
        (np.array(["a", "b"]), "z has dtype <U1; it must be float32"),
        (np.float32(1), "z has shape ()"),
        (np.full((2, 2), np.nan), "z has the value nan, which is not finite in float32"),
        (np.full((2, 2), 1e300), "z has the value 1e+300, which is not finite in float32"),
    ],
)
def test_an_array_that_is_no_code(value: Any, says: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "decode", array(tmp_path / "a.npy", value), says=(says,))


def test_an_array_that_cannot_be_read(release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("run", release, "decode", "nosuch.npy", says=("nosuch.npy does not exist",))
    refused("run", release, "decode", image(tmp_path / "a.png", (8, 8)), says=("takes arrays, as .npy files", "a.png"))
    pickled = array(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    refused("run", release, "decode", pickled, says=("pickled.npy is no array that can be read",))
    cut = array(tmp_path / "cut.npy", np.zeros((2, 2), np.float32))
    cut.write_bytes(cut.read_bytes()[:-4])
    refused("run", release, "decode", cut, says=("cut.npy is no array that can be read",))
    two = [array(tmp_path / f"{name}.npy", np.zeros((1, size), np.float32)) for name, size in (("b", 2), ("c", 3))]
    refused("run", release, "decode", *two, says=("c.npy has shape (1, 3); it must be (n, 2)",))


def test_inputs_too_few_and_of_two_sizes(gpt: Path, refused: Refused, tmp_path: Path) -> None:
    token = array(tmp_path / "token.npy", np.zeros(3, np.int64))
    refused("run", gpt, "step", token, token, says=("step takes 3 inputs (token, position, cache); 2 were given",))
    with zoo.load(gpt) as model:
        cache = np.zeros((2, *model.release.tasks["step"].inputs["cache"].shape), np.float32)
        with raises(SettingError, "token: 3, position: 3, cache: 2"):
            model.step([0, 1, 2], [0, 0, 0], cache)
        with raises(SettingError, "token has the value 999; it must be from 0 to"):
            model.step([0, 999], [0, 0], cache)
        with raises(SettingError, "step takes token, position, cache; it was given 0 by position and ['tokn'] by name"):
            model.step(tokn=[0])


def test_a_method_that_is_no_task(release: Path) -> None:
    with zoo.load(release) as model, pytest.raises(AttributeError, match=r"no task 'paint'\. It has: encode"):
        model.paint()


# Options of generate


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--label", "3"), ("label = 3 is for models with labels, and this is none. Leave it out.",)),
        (("--prompt", "the"), ("prompt = 'the' is for models that write text, and this is none. Leave it out.",)),
        (("--length", "9"), ("length = 9 is for models that write text",)),
        (("--temperature", "0.5"), ("temperature = 0.5 is for models that sample tokens",)),
        (("--top-k", "3"), ("top_k = 3 is for models that sample tokens",)),
        (("--top-p", "0.5"), ("top_p = 0.5 is for models that sample tokens",)),
        (("--steps", "9"), ("steps = 9 is for models that turn noise into a sample step by step",)),
        (("--eta", "1"), ("No such option '--eta'", "Run: zoo generate /", "release --help")),
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
def test_a_image_model_refuses(
    options: tuple[str, ...], says: tuple[str, ...], release: Path, refused: Refused
) -> None:
    refused("generate", release, *options, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--prompt", "the £"), ("'£' is not one of the",)),
        (("--temperature", "-0.5"), ("temperature = -0.5 is out of range", "at least 0")),
        (("--temperature", "nan"), ("temperature = nan is out of range",)),
        (("--top-k", "-1"), ("top_k = -1 is out of range", "0: all")),
        (("--top-p", "0"), ("top_p = 0.0 is out of range", "at most 1")),
        (("--top-p", "nan"), ("top_p = nan is out of range",)),
        (("--length", "0"), ("length = 0 is not an integer", "at least 1")),
        (("--label", "3"), ("label = 3 is for models with labels",)),
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
    refused("generate", "hub:someone/vae", says=("hub:someone/vae",))


def test_a_run_without_a_release(run: Path, refused: Refused) -> None:
    shutil.rmtree(run / "release")
    refused("generate", run, says=("run has no release yet", "--resume", "zoo export"))


def test_a_folder_that_is_neither(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refused("generate", "other", says=("other is neither a run folder nor a release folder", "recipe.json", MANIFEST))
    refused("export", "other", "-o", "new", says=("other is neither",))


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
        ("torch", "train", ("export", "run", "-o", "new")),
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
        ("scikit-learn", "sklearn", "train"),
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
    refused("export", run, "-o", "new", says=(f"needs {package}", f"pip install 'genzoo[{extra}]'"))


def test_load_module_without_torch(release: Path) -> None:
    code = "import zoo\ntry: zoo.load_module(sys.argv[1])\nexcept zoo.ZooError as error: print(error)"
    assert "pip install 'genzoo[train]'" in python(code, release, block=["torch"])


# Devices that are not there


no_cuda = pytest.mark.skipif(
    torch.cuda.is_available() or Path("/dev/nvidia0").exists(), reason="there is a CUDA device"
)


@no_cuda
def test_cuda_is_not_there(release: Path, refused: Refused) -> None:
    refused("train", "vae.tiny", "--device", "cuda", says=("'cuda' was requested", "--device cpu"))
    refused("generate", release, "--device", "cuda", says=("CUDA was requested", "--device cpu"))
    refused("generate", release, "--device", "cuda", "--backend", "torch", says=("CUDA", "--device cpu"))
    refused("run", release, "encode", "x.png", "--device", "cuda", says=("CUDA was requested", "--device cpu"))
    with raises(DeviceError, "CUDA was requested"):
        zoo.load(release, device="cuda")


@no_cuda
def test_a_run_is_not_replaced_for_a_device_that_is_not_there(run: Path, refused: Refused) -> None:
    refused("train", "ae.tiny", "-o", run, "--force", "--device", "cuda:7", says=("'cuda:7' was requested",))


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
    small = image(tmp_path / "small.png", (8, 8))
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
    refused("export", release, "-o", "file/new", says=("file/new cannot be made", "file is a file"))
    refused("train", "ae.tiny", "-o", "file/run", says=("file/run could not be made", "--output"))


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
        refused("export", release, "-o", there, says=("exists already and was kept", "--force"))
    for there in ("folder", "folder/precious.txt", "."):
        refused(
            "export",
            release,
            "--output",
            there,
            "--force",
            says=("has no manifest.json, so --force does not replace it",),
        )


def test_export_with_force_replaces_a_release(release: Path, shelf: Shelf, tmp_path: Path) -> None:
    other = zoo.export(shelf.release("ae"), tmp_path / "other")
    zoo.export(release, other, force=True)
    assert contents(other) == contents(release)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "release"]


def test_train_keeps_what_is_there(run: Path, refused: Refused, tmp_path: Path) -> None:
    refused("train", "ae.tiny", "-o", run, says=("run already holds a run", "--resume", "--force", "--output"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.txt").write_text("mine")
    refused("train", "ae.tiny", "-o", "folder", "--force", says=("folder already exists and is not a run", "--output"))
    refused("train", "ae.tiny", "-o", "folder/precious.txt", "--force", says=("is a file, and a run is a folder",))


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
