"""Running a released model: threads, memory, what it takes, what it says, and what closing it frees."""

from __future__ import annotations

import copy
import gc
import io
import json
import os
import pickle
import pydoc
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import zoo
from conftest import Refused, Shelf, python, raises, slow
from zoo import data, registry
from zoo.contract.specs import Audio, Label, LogMel, Noise, Score, Spec, Text, Vector
from zoo.core.cgroups import cores
from zoo.core.errors import DataError, ExistsError, NotFoundError, ReleaseError, SettingError, ZooError
from zoo.media.convert import to_batch
from zoo.modules.torch_backend import TorchBackend
from zoo.release import ReleasedTask, seal
from zoo.runtime import LoadedModel
from zoo.sampling import generation

DIGITS = data.load("digits", "test").x[:, 0]


# Sessions


def mapped(folder: Path) -> list[str]:
    """The files of a folder that this process has mapped into its memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line.split(maxsplit=5)[-1] for line in lines if str(folder) in line]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of what is mapped")
def test_with_frees_every_session_and_every_mapped_file(release: Path) -> None:
    with zoo.load(release) as model:
        assert mapped(release) == []  # no session is open before it is needed
        model.reconstruct(DIGITS[:2])
        assert set(mapped(release)) == {str(release / "model.safetensors")}
    assert mapped(release) == []
    other = zoo.load(release)
    other.generate(2)
    assert mapped(release)
    gc.disable()
    try:
        del other  # nothing refers back to a model, so it goes at once
        assert mapped(release) == []
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_closed_model_says_so(backend: Any, release: Path) -> None:
    with zoo.load(release, backend=backend) as model:
        encode = model.encode
        encode(DIGITS[:1])
    model.close()  # again
    for use in (lambda: model.generate(1), lambda: model.encode(DIGITS[:1]), lambda: encode(DIGITS[:1])):
        with raises(ZooError, "vae.tiny was closed. Load it again."):
            use()
    assert model.tasks == ("encode", "decode", "reconstruct", "score")
    assert "vae.tiny" in repr(model)
    assert model.providers


def test_a_model_may_be_closed_while_it_runs(release: Path) -> None:
    """Each thread ends with what it would have got, or with the line that says why it got nothing."""
    images = np.tile(DIGITS, (4, 1, 1))
    with zoo.load(release) as model:
        codes = model.encode(images)
    model = zoo.load(release)
    start = Barrier(5)

    def encode(_: int) -> Any:
        start.wait()
        try:
            return model.encode(images)
        except ZooError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(encode, index) for index in range(4)]
        start.wait()
        model.close()
        for future in found:
            result = future.result()
            assert result == "vae.tiny was closed. Load it again." or np.array_equal(result, codes)


def test_providers_are_what_runs_before_and_after_a_session_is_opened(release: Path) -> None:
    with zoo.load(release, device="cpu") as model:
        assert model.providers == ["CPUExecutionProvider"]
        model.encode(DIGITS[:1])
        assert model.providers == ["CPUExecutionProvider"] == model.backend.session("encode.onnx").get_providers()
    with zoo.load(release, backend="torch", device="cpu") as model:
        assert model.providers == ["torch:cpu"]


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA"
)
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_cuda_that_is_only_named_is_no_provider(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu names CUDA on machines without it; what a session says is what holds."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    with zoo.load(release) as model:
        assert model.providers == ["CPUExecutionProvider"]
        model.decode(model.encode(DIGITS[:1]))
        assert model.providers == ["CPUExecutionProvider"]
    with zoo.load(release, device="cuda") as model, pytest.raises(ZooError, match="CUDA was requested"):
        model.encode(DIGITS[:1])


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, "2"])
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_threads_are_a_number_of_them(threads: Any, backend: Any, release: Path) -> None:
    with raises(SettingError, f"threads = {threads!r} is not an integer from 1 to"):
        zoo.load(release, threads=threads, backend=backend)


def test_threads_are_always_set(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, found in ((3, 3), (None, cores())):
        with zoo.load(release, threads=given) as model:
            assert model.backend.session("encode.onnx").get_session_options().intra_op_num_threads == found


# Pickles, which other processes open again


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_pickle_and_a_copy_are_the_same_model(backend: Any, release: Path) -> None:
    with zoo.load(release, backend=backend, device="cpu", threads=1) as model:
        made = model.generate(2, seed=3)
        for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
            with again:
                assert again.backend.options() == model.backend.options()
                assert np.array_equal(again.generate(2, seed=3), made)
        encode = pickle.loads(pickle.dumps(model.encode))
        assert np.array_equal(encode(made), model.encode(made))
        assert encode.__doc__ == model.encode.__doc__


def test_what_cannot_be_pickled(release: Path, tmp_path: Path) -> None:
    model = zoo.load(release)
    pickled = pickle.dumps(model)
    content = (release / "manifest.json").read_bytes()
    (release / "decode.onnx").write_bytes(b"")
    with pickle.loads(pickled) as again, raises(ReleaseError, "decode.onnx", "expected SHA-256"):
        again.generate()
    manifest = json.loads(content)
    (release / "manifest.json").write_text(json.dumps(seal({**manifest, "metrics": []})))
    with raises(ReleaseError, f"{release} has changed since the model was pickled"):
        pickle.loads(pickled)
    shutil.rmtree(release)
    with raises(NotFoundError, f"{release} is gone"):
        pickle.dumps(model)
    with raises(NotFoundError, str(release)):
        pickle.loads(pickled)
    model.close()


def test_a_closed_model_and_one_in_memory_cannot_be_pickled(release: Path) -> None:
    for backend in ("onnx", "torch"):
        model = zoo.load(release, backend=backend)  # type: ignore[arg-type]
        model.close()
        with raises(ZooError, "was closed"):
            pickle.dumps(model)
    module = zoo.load_module(release)
    tasks = registry.load("vae").tasks(module)
    with raises(ZooError, "A module in memory has no path", "release"):
        pickle.dumps(LoadedModel(model.release, TorchBackend.of_module(module, tasks)))


@pytest.mark.slow
def test_spawned_processes_share_the_work(release: Path) -> None:
    with zoo.load(release, threads=1) as model, get_context("spawn").Pool(2) as pool:
        made = pool.map(model.generate, [1, 2, 3])
        codes = pool.map(model.encode, made)
        for one, code in zip(made, codes, strict=True):
            assert np.array_equal(one, model.generate(len(one)))
            assert np.array_equal(code, model.encode(one))


# Threads


@pytest.mark.parametrize(
    ("name", "backend"), [("vae", "onnx"), ("dcgan", "onnx"), ("chargpt", "onnx"), ("vae", "torch")]
)
def test_many_threads_get_what_one_gets(name: str, backend: Any, shelf: Shelf) -> None:
    """Bit for bit, the first use included."""

    def use(model: zoo.LoadedModel, seed: int) -> list[Any]:
        made = [model.generate(5, seed=seed)]
        return made if "encode" not in model.tasks else [*made, model.encode(DIGITS[seed : seed + 70])]

    with zoo.load(shelf.release(name), backend=backend, threads=1) as model:
        alone = [use(model, seed) for seed in range(8)]
    for _ in range(3):
        start = Barrier(8)
        with zoo.load(shelf.release(name), backend=backend, threads=1) as model, ThreadPoolExecutor(8) as pool:

            def together(seed: int, model: zoo.LoadedModel = model, start: Barrier = start) -> list[Any]:
                start.wait()
                return use(model, seed)

            for seed, found in enumerate(pool.map(together, range(8))):
                for one, other in zip(alone[seed], found, strict=True):
                    assert np.array_equal(one, other)


def test_a_session_is_opened_once(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    with zoo.load(release) as model, ThreadPoolExecutor(8) as pool:
        real = model.backend._open

        def slowly(graph: str) -> Any:
            opened.append(graph)
            time.sleep(0.02)
            return real(graph)

        monkeypatch.setattr(model.backend, "_open", slowly)
        assert len({id(session) for session in pool.map(model.backend.session, ["encode.onnx"] * 8)}) == 1
    assert opened == ["encode.onnx"]


# Memory


def test_rows_follow_the_size_of_a_sample() -> None:
    def rows(*shapes: tuple[int, ...]) -> int:
        return generation.rows(form(*shapes))

    def form(*shapes: tuple[int, ...]) -> ReleasedTask:
        outputs = {str(n): Vector(shape) for n, shape in enumerate(shapes[1:])}
        return ReleasedTask("", {"x": Vector(shapes[0])}, outputs)

    assert rows((), ()) == rows((784,), (784,)) == 64
    assert rows((3, 1024, 1024), (3, 1024, 1024)) == 3
    assert rows((8,), (3, 1024, 1024)) == 6
    assert rows((8,), (3, 1024, 1024), (3, 1024, 1024)) == 3
    assert rows((2**28,), (2**28,)) == 1
    assert generation.rows(form((8,), (8,)), form((3, 1024, 1024), (3, 1024, 1024))) == 3  # of a chain, the larger


@pytest.mark.parametrize("name", ["vae", "chargpt", *slow("dcgan", "features")])
def test_how_a_batch_is_split_changes_nothing(name: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of more than a part, of a part and one, and one by one, with each part no larger than it may be."""
    images = DIGITS[:70]
    options: dict[str, Any] = {"length": 6} if name == "chargpt" else {}
    found: dict[int, list[Any]] = {}
    for most in (64, 69, 7, 1):
        sizes = []
        monkeypatch.setattr(generation, "rows", lambda *forms, most=most: most)
        with zoo.load(shelf.release(name)) as model:
            run = model.backend.run

            def counted(task: str, inputs: Any, run: Any = run, sizes: list[int] = sizes) -> Any:
                sizes.append(len(next(iter(inputs.values()))))
                return run(task, inputs)

            monkeypatch.setattr(model.backend, "run", counted)
            tasks = [task for task in ("encode", "reconstruct", "classify") if task in model.tasks]
            found[most] = [getattr(model, task)(images) for task in tasks]
            if model.release.generation is not None:
                found[most].append(model.generate(70, seed=1, **options))
        assert max(sizes) == most
        assert sum(sizes) % 70 == 0
    assert found[64]
    for other in (69, 7, 1):
        for one, two in zip(found[64], found[other], strict=True):
            if isinstance(one, list):
                assert one == two
            elif one.dtype == np.uint8:
                assert np.abs(one.astype(int) - two).max() <= 1
            else:
                np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6)


# What it takes


def test_images_of_every_mode(release: Path, tmp_path: Path) -> None:
    """Grey, colour, palettes, alpha and 16 bits, as files and as PIL images: the same image, the same code."""
    digit = DIGITS[3] & 0xF0
    grey = Image.fromarray(digit)
    palette = Image.fromarray(digit >> 4)
    palette = Image.frombytes("P", (8, 8), palette.tobytes())
    palette.putpalette([level for index in range(16) for level in [index * 16] * 3])
    alpha = Image.merge("LA", (grey, Image.new("L", (8, 8), 255)))
    wide = digit.astype(np.uint16) * 256 + 255
    same = {
        "grey": grey,
        "rgb": grey.convert("RGB"),
        "rgba": Image.merge("RGBA", (grey, grey, grey, Image.new("L", (8, 8), 255))),
        "la": alpha,
        "palette": palette,
        "sixteen": Image.fromarray(wide),
        "integers": Image.fromarray(wide.astype(np.int32)),
        "floats": Image.fromarray(digit / np.float32(255)),
    }
    assert [image.mode for image in same.values()] == ["L", "RGB", "RGBA", "LA", "P", "I;16", "I", "F"]
    with zoo.load(release) as model:
        code = model.encode(digit)
        assert code.shape == (1, 2)
        for name, image in same.items():
            np.testing.assert_allclose(model.encode(image), code, atol=1e-5, err_msg=name)
        for name in ("grey", "rgb", "rgba", "la", "palette", "sixteen"):
            same[name].save(tmp_path / f"{name}.png")
            for path in (tmp_path / f"{name}.png", str(tmp_path / f"{name}.png")):
                np.testing.assert_allclose(model.encode(path), code, atol=1e-5, err_msg=name)
        unseen = Image.merge("LA", (grey, Image.new("L", (8, 8), 0)))  # transparent, so its background shows: white
        np.testing.assert_allclose(model.encode(unseen), model.encode(np.full((8, 8), 255, np.uint8)), atol=1e-5)
        mixed = [digit, grey, tmp_path / "rgb.png", str(tmp_path / "palette.png"), digit / 255]
        np.testing.assert_allclose(model.encode(mixed), np.repeat(code, 5, 0), atol=1e-5)
        np.save(tmp_path / "two.npy", np.stack([digit, digit]))
        np.save(tmp_path / "one.npy", digit)
        files = [tmp_path / "two.npy", str(tmp_path / "one.npy")]
        np.testing.assert_allclose(model.encode(files), np.repeat(code, 3, 0), atol=1e-5)
        np.testing.assert_allclose(model.encode(files[1]), code, atol=1e-5)


def test_images_that_do_not_fit(release: Path, tmp_path: Path) -> None:
    grey = Image.fromarray(DIGITS[0])
    grey.save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:50])
    np.save(tmp_path / "wide.npy", np.zeros((8, 9), np.uint8))
    np.save(tmp_path / "good.npy", DIGITS[0])
    with zoo.load(release) as model:
        with raises(DataError, "image is 16×8 pixels; this model takes 8×8. Resize it first, or"):
            model.encode(Image.new("RGBA", (16, 8)))
        with raises(SettingError, "image has values from 2 to 2; floats must lie in [0, 1]"):
            model.encode(Image.new("F", (8, 8), 2.0))
        with raises(DataError, "cut.png is no image that can be read"):
            model.encode(tmp_path / "cut.png")
        with Image.open(tmp_path / "cut.png") as lazy, raises(DataError, "image is no image that can be read"):
            model.encode(lazy)
        with raises(SettingError, "wide.npy has shape (8, 9)"):
            model.encode([tmp_path / "good.npy", tmp_path / "wide.npy"])
        for value in (None, 3, iter([grey]), [], {}):
            with raises(SettingError, "image is", "it must be images, file names or an array"):
                model.encode(value)


def test_texts_and_arrays(tmp_path: Path) -> None:
    spec = Text("abc", 3)
    (tmp_path / "a.txt").write_text("abc")
    expected = np.array([[0, 1, 2], [2, 1, 0]])
    assert np.array_equal(to_batch("abc", spec, "text"), expected[:1])
    assert np.array_equal(to_batch([tmp_path / "a.txt", "cba"], spec, "text"), expected)
    with raises(DataError, "no.txt does not exist"):
        to_batch(tmp_path / "no.txt", spec, "text")
    for value in (5, [], [1], None):
        with raises(SettingError, "text is", "must be a str, the Path of a text, or a list"):
            to_batch(value, spec, "text")
    np.save(tmp_path / "a.npy", np.zeros((2, 4), np.float32))
    np.save(tmp_path / "b.npy", np.ones(4))
    assert to_batch([tmp_path / "a.npy", str(tmp_path / "b.npy")], Vector((4,)), "z").sum() == 4
    with raises(SettingError, "z takes arrays, as .npy files; 'a' is none"):
        to_batch(["a", "b"], Vector((4,)), "z")
    with raises(SettingError, "z is no array"):
        to_batch([[1.0], [1.0, 2.0]], Vector((4,)), "z")
    with raises(SettingError, "x has shape (2, 3); it must be (n,)"):
        to_batch(np.zeros((2, 3), int), Label(4), "x")


# What it says


def test_help_says_what_a_task_takes_and_gives(shelf: Shelf) -> None:
    def shown(model: zoo.LoadedModel, task: str) -> str:
        return pydoc.plain(pydoc.render_doc(getattr(model, task)))

    with zoo.load(shelf.release("vae")) as model:
        text = shown(model, "encode")
        for words in (
            "encode(image)",
            "The task encode of vae.tiny",
            "image: images, uint8 (n, 8, 8), or floats in [0, 1]; PIL images",
            "Returns z: float32 (n, 2).",
            "Raises SettingError",
        ):
            assert words in text, text
        assert "z: float32 (n, 2), standard normal" in shown(model, "decode")
        assert set(model.tasks) <= set(dir(model))
    with zoo.load(shelf.release("chargpt")) as model:
        text = shown(model, "step")
        assert "step(token, position, cache)" in text
        assert "token: int64 (n,) from 0 to " in text
        assert "Returns a dict:\n        logits: float32 (n, " in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (zoo.Image(3, 32, 48), ("uint8 (n, 32, 48, 3)", "of 48×32 pixels")),
        (Text("ab", 7), ("7 characters", "list")),
        (Audio(8000, 100), ("float32 (n, 100) in [-1, 1]", "8000 Hz", "audio files")),
        (LogMel(8000, 100, 5, 20, 10), ("float32 (n, 5, 10) in [0, 1]", "audio files")),
        (Label(10), ("int64 (n,) from 0 to 9",)),
        (Noise((4, 2), "uniform"), ("float32 (n, 4, 2)", "uniform in [0, 1)")),
        (Score(), ("float32 (n,)", "more anomalous")),
        (Vector((), "int64"), ("int64 (n,)", ".npy")),
    ],
)
def test_every_form_has_words(spec: Spec, words: tuple[str, ...]) -> None:
    from zoo.media.convert import gives, takes

    text = f"{takes(spec)} {gives(spec)}"
    assert all(word in text for word in words), text


def test_a_task_that_is_not_there(release: Path) -> None:
    with zoo.load(release) as model:
        with pytest.raises(AttributeError, match=r"no task 'translate'\. It has: encode, decode"):
            _ = model.translate
        assert not hasattr(model, "_repr_svg_")


# What it writes


def test_save_writes_what_a_model_gave(shelf: Shelf, tmp_path: Path) -> None:
    with zoo.load(shelf.release("vae")) as model:
        made, codes = model.generate(6), model.encode(DIGITS[:3])
        assert model.save(made, tmp_path / "grid.png", columns=6) == [tmp_path / "grid.png"]
        with Image.open(tmp_path / "grid.png") as image:
            scale = image.height // 10
            assert image.size == ((6 * 9 + 1) * scale, 10 * scale)  # 8 pixels each, 1 between
            pixels = np.asarray(image)[::scale, ::scale]
        assert np.array_equal(pixels[1:9, 10:18], made[1])
        model.save(made[0], str(tmp_path / "one.png"))
        with Image.open(tmp_path / "one.png") as image:
            assert image.width == image.height
        model.save(made, tmp_path / "made.npy")
        assert np.array_equal(np.load(tmp_path / "made.npy"), made)
        model.save(codes, tmp_path / "codes.npy")
        assert np.array_equal(np.load(tmp_path / "codes.npy"), codes)
        model.save({"codes": codes, "n": 3}, tmp_path / "sub" / "codes.json")
        assert json.loads((tmp_path / "sub" / "codes.json").read_text()) == {"codes": codes.tolist(), "n": 3}
        with raises(ExistsError, "made.npy exists already and was kept"):
            model.save(made, tmp_path / "made.npy")
        model.save(made[:1], tmp_path / "made.npy", force=True)
        assert len(np.load(tmp_path / "made.npy")) == 1
        with raises(SettingError, "codes.png' ends in '.png'; it must end in .npy or .json"):
            model.save(codes, tmp_path / "codes.png")
        with raises(SettingError, "'.jpg'; it must end in .png or .npy"):
            model.save(made, tmp_path / "made.jpg")
        with raises(SettingError, "These are codes, n; write them to a .json file"):
            model.save({"codes": codes, "n": 3}, tmp_path / "dict.npy")
        with raises(ExistsError, "inside the release", "never changes"):
            model.save(made, model.release.folder / "made.npy")
    with zoo.load(shelf.release("chargpt")) as model:
        texts = model.generate(2, length=5)
        model.save(texts, tmp_path / "texts.txt")
        assert (tmp_path / "texts.txt").read_text() == "\n\n".join(texts) + "\n"
        model.save(texts[0], tmp_path / "text.txt")
        assert (tmp_path / "text.txt").read_text() == texts[0] + "\n"


# What the guide says


def test_the_guide_runs(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "reference" / "runtime.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.S)
    shapes = "print([a.shape for a in (images, latents, same, way, also, walk, whole)])"
    shown = python(f"{code}\n{shapes}", block=("torch", "onnx"), cwd=tmp_path).splitlines()
    assert shown[-1] == str([(16, 8, 8), (16, 8), (16, 8, 8), (8, 8, 8), (8, 8, 8), (8, 8, 8), (16, 8, 8)])
    assert any("encode(image)" in line for line in shown)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents.json", "way.png"]


def test_more_threads_than_any_machine_uses(release: Path) -> None:
    with raises(SettingError, "threads = 100000 is not an integer from 1 to"):
        zoo.load(release, threads=100_000)


@pytest.mark.parametrize(
    ("value", "options", "words"),
    [
        (np.zeros((0, 8, 8), np.uint8), {}, "There is nothing to write"),
        (np.zeros((2, 8, 8), np.uint8), {"columns": -1}, "columns = -1 is not an integer of at least 1"),
        (np.zeros((2, 8, 8), np.uint8), {"columns": 1.5}, "columns = 1.5 is not"),
        (np.array([object()]), {}, "holds object, which is neither numbers nor text"),
        (object(), {}, "holds object, which is neither numbers nor text"),
    ],
    ids=["empty", "minus", "half", "objects", "object"],
)
def test_what_cannot_be_saved(value: Any, options: Any, words: str, release: Path, tmp_path: Path) -> None:
    with zoo.load(release) as model, raises(SettingError, words):
        model.save(value, tmp_path / "new" / "a.png", **options)
    assert not (tmp_path / "new").exists()


def test_a_source_that_is_none() -> None:
    with raises(NotFoundError, "SOURCE is None. Give a released name"):
        zoo.load(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_relative_path_survives_a_change_of_folder(
    backend: str, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(release, tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    with zoo.load("./here", backend=backend) as model:  # type: ignore[arg-type]
        monkeypatch.chdir("/")
        assert model.generate(1).shape == (1, 8, 8)


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")
def test_folders_whose_names_are_not_utf8(release: Path, refused: Refused, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xe9")
    shutil.copytree(release, odd)
    refused("generate", odd, says=("is not UTF-8", "Rename the folder"))
    refused("export", release, "-o", tmp_path / os.fsdecode(b"other\xe9"), says=("is not UTF-8", "Choose another"))
    assert not (tmp_path / os.fsdecode(b"other\xe9")).exists()


# What it is, in words


def test_print_lists_what_a_model_does(release: Path) -> None:
    with zoo.load(release) as model:
        lines = str(model).splitlines()
        assert repr(model) == "<vae.tiny: encode, decode, reconstruct, score>"
        assert "  generate     n, seed → images, uint8 (n, 8, 8)" in lines
        assert "  encode       image 8×8 → z (vector 2)" in lines
        assert any(line.startswith("  traverse     ") for line in lines)
        assert any(line.startswith("  negative_elbo  ") for line in lines)
        assert lines[0].split() == ["name", "vae.tiny"]
        assert lines[-1].split(maxsplit=1)[0] == "weights"
        cells = re.sub("<[^>]+>", " ", model._repr_html_())
        for word in ("vae.tiny", "n, seed → images, uint8 (n, 8, 8)", "negative_elbo", "CC BY 4.0"):
            assert word in cells
            assert word in str(model)
        assert '<a href="https://arxiv.org/abs/1312.6114">' in model._repr_html_()
        assert "color" not in model._repr_html_()


def test_states_of_a_loop_are_counted(gpt: Path) -> None:
    with zoo.load(gpt) as model:
        (line,) = (line for line in str(model).splitlines() if line.startswith("  step "))
    assert re.search(r"token \(label below \d+\), 2 states → logits \(vector \d+\), 2 states$", line)


def test_the_table_of_a_hostile_manifest_is_text(release: Path) -> None:
    path = release / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    script = "<script>alert(1)</script>"
    manifest["card"]["title"] = script
    manifest["card"]["citation"] = f'"><img src=x onerror="{script}">'
    manifest["metrics"][0]["name"] = script
    manifest["metrics"][0]["unit"] = script
    manifest["provenance"]["data"]["source"] = f"https://x/\"onclick='{script}"
    path.write_text(json.dumps(seal(manifest)), "utf-8")
    with zoo.load(release) as model:
        html = model._repr_html_()
    assert set(re.findall(r"<(/?\w+)", html)) <= {
        "table", "/table", "tr", "/tr", "td", "/td", "b", "/b", "code", "/code", "a", "/a",
    }  # fmt: skip
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 5


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_all_samples_show_themselves_in_a_notebook(release: Path, backend: Any) -> None:
    mask = np.zeros((8, 8), bool)
    mask[4:] = True
    with zoo.load(release, backend=backend) as model:
        for images in (
            model.generate(70),  # of two chunks
            model.reconstruct(DIGITS[:70]),
            model.run("decode", np.zeros((3, 2), np.float32)),
            model.interpolate(0, 1, steps=3),
            model.traverse(DIGITS[0], dimension=0, steps=3),
            model.inpaint(DIGITS[:3], mask, steps=2),
        ):
            with Image.open(io.BytesIO(images._repr_png_())) as grid:
                assert min(grid.size) > 100
        assert type(model.encode(DIGITS[:3])) is np.ndarray
        assert type(model.score(DIGITS[:3])) is np.ndarray
