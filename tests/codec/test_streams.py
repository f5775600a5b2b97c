"""Streams of releases: in both backends, on the command line, damaged, cut, foreign and made up."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save

import codec_plugin
import zoo
from conftest import TRAINING, Command, Refused, Shelf, patch_registry, plugged, python, raises
from spoil import edit, places, put
from zoo.codec import stream
from zoo.contract.codec import MOST_SYMBOLS
from zoo.core.errors import DataError, EvaluationError, ExportError, PluginError, ReleaseError, SettingError, ZooError
from zoo.release import MANIFEST, WEIGHTS, read

MODELS = {"pixels": "codec_plugin:pixels", "latent": "codec_plugin:latent"}


@pytest.fixture(scope="module")
def runs(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Path]]:
    """A run of each model of codec_plugin.py, and within the module's tests the plugin itself."""
    with plugged(tmp_path_factory.mktemp("codecs"), **MODELS):
        yield {name: shelf.run(name) for name in MODELS}


@pytest.fixture
def release(runs: Mapping[str, Path], tmp_path: Path) -> Path:
    """A release with a codec and a context, to spoil."""
    return Path(shutil.copytree(runs["pixels"] / "release", tmp_path / "release"))


def images(count: int = 5) -> NDArray[np.uint8]:
    """Test images of digits, as people hold them."""
    from zoo import data

    return data.load("digits", "test").array[:count, 0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, 5, 100])
def test_a_stream_is_the_same_in_both_backends_and_comes_back(name: str, count: int, runs: Mapping[str, Path]) -> None:
    x, done = images(count), []
    with zoo.load(runs[name]) as model, zoo.load(runs[name], backend="torch") as other:
        codec = model.release.codec
        assert codec is not None
        data = model.compress(x, progress=lambda *progress: done.append(progress))
        assert data == other.compress(x)
        assert done[-1] == (count, count)
        assert len(data) < 60 + 64 * count
        made = model.run(codec.decode, model.run(codec.encode, x))
        expected = made["image"] if isinstance(made, dict) else made
        assert np.array_equal(model.decompress(data), expected)
        assert np.array_equal(model.decompress(bytearray(data)), expected)
        if name == "pixels":
            assert np.array_equal(expected, x), "it is lossless"


def test_one_sample_needs_no_batch_axis(runs: Mapping[str, Path]) -> None:
    with zoo.load(runs["pixels"]) as model:
        assert np.array_equal(model.decompress(model.compress(images()[0])), images(1))


def test_tables_are_worth_their_bits(runs: Mapping[str, Path]) -> None:
    """Pixels by those to the left and above cost less than each alone would by the best table of its own."""
    x = images(297)
    levels = np.rint(x / 255 * 16).astype(int)
    p = np.bincount(levels.ravel(), minlength=17) / levels.size
    alone = -(p[p > 0] * np.log2(p[p > 0])).sum()
    with zoo.load(runs["pixels"]) as model:
        bits = 8 * len(model.compress(x)) / x.size
    assert bits < 0.9 * alone


def test_the_format_is_as_documented(runs: Mapping[str, Path]) -> None:
    """A reader of a stream written from docs/how-to/compress.md alone, for static tables."""
    x = images(7)
    with zoo.load(runs["latent"]) as model:
        data, symbols = model.compress(x), model.run("analyse", x)
        tables = load_file(model.release.folder / WEIGHTS)["tables"]
    assert data[:8] == b"ZOOC\x01\x01\x02\x00"
    assert data[8:40].hex() == json.loads((runs["latent"] / "release" / MANIFEST).read_text())["sha256"]
    count, size, *shape = struct.unpack("<4I", data[40:56])
    assert (count, shape, len(data)) == (7, [3, 4], 56 + size + 4)
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])
    state, words = int.from_bytes(data[56:62], "little"), list(struct.unpack(f"<{(size - 6) // 2}H", data[62:-4]))
    found = []
    for place in np.ndindex(count, *shape):
        low = state % 65536
        symbol = start = 0
        while low >= start + int(tables[place[1:]][symbol]):
            start += int(tables[place[1:]][symbol])
            symbol += 1
        state = int(tables[place[1:]][symbol]) * (state // 65536) + low - start
        if state < 2**32:
            state = state * 65536 + words.pop(0)
        found.append(symbol)
    assert (state, words) == (2**32, [])
    assert np.array_equal(np.reshape(found, (count, *shape)), symbols)


# What is not a whole stream of this release


@pytest.mark.parametrize("name", MODELS)
def test_every_byte_counts(name: str, runs: Mapping[str, Path]) -> None:
    """Every byte changed, every cut, and bytes at the end: one line, and the first byte of the file says which."""
    with zoo.load(runs[name]) as model:
        data = model.compress(images(2))
        for at in range(len(data)):
            for flip in (0x01, 0x80, 0xFF):
                other = bytearray(data)
                other[at] ^= flip
                with raises(DataError, "The stream "):
                    model.decompress(bytes(other))
            with raises(DataError, "The stream ", "is no stream" if at < 4 else "is cut short"):
                model.decompress(data[:at])
        for tail in (b"\0", b"\0\0\0\0", data):
            with raises(DataError, f"The stream is damaged: {len(tail)} bytes follow its end"):
                model.decompress(data + tail)


def test_streams_of_others(runs: Mapping[str, Path], release: Path) -> None:
    edit(release, lambda manifest: manifest["provenance"].update(commit="another"))
    with zoo.load(runs["pixels"]) as model, zoo.load(release) as other, zoo.load(runs["latent"]) as third:
        data = model.compress(images())
        for foreign in (other, third):
            with raises(DataError, "of another release", model.release.manifest["sha256"], foreign.name):
                foreign.decompress(data)
        for nothing in (b"", b"\x89PNG\r\n", b"zooc" + data[4:]):
            with raises(DataError, "is no stream of zoo compress"):
                model.decompress(nothing)


def forged(data: bytes, at: int, content: bytes, payload: bytes | None = None) -> bytes:
    """A stream with other bytes in its header, or another payload, whose length and checksum are right."""
    head = bytearray(data[:56])
    if payload is not None:
        head[44:48] = struct.pack("<I", len(payload))
    head[at : at + len(content)] = content
    made = bytes(head) + (data[56:-4] if payload is None else payload)
    return made + struct.pack("<I", zlib.crc32(made))


@pytest.mark.parametrize(
    ("at", "content", "says"),
    [
        (4, b"\2", "has version 2, and this zoo reads 1. Run: pip install --upgrade genzoo"),
        (4, b"\0", "does not fit the codec"),
        (5, b"\2", "does not fit the codec"),
        (7, b"\1", "does not fit the codec"),
        (48, struct.pack("<2I", 4, 16), "does not fit the codec"),
        (40, struct.pack("<I", 0), "it has 0 samples"),
        (40, struct.pack("<I", 2**32 - 1), "it has 4,294,967,295 samples"),
        (40, struct.pack("<I", 2**28 // 64), "does not end with its last symbol"),
        (40, struct.pack("<I", 4), "does not end with its last symbol"),
        (40, struct.pack("<I", 6), "does not end with its last symbol"),
    ],
)
def test_headers_with_a_right_checksum(at: int, content: bytes, says: str, runs: Mapping[str, Path]) -> None:
    """They cannot ask for more memory than the payload has symbols for."""
    with zoo.load(runs["pixels"]) as model:
        data = model.compress(images())
        assert np.array_equal(model.decompress(forged(data, 0, b"")), images())
        with raises(DataError, "The stream ", says):
            model.decompress(forged(data, at, content))


def test_payloads_with_a_right_checksum(runs: Mapping[str, Path]) -> None:
    draw = np.random.default_rng(0)
    with zoo.load(runs["pixels"]) as model:
        data = model.compress(images())
        payloads = [b"", b"\0" * 6, b"\xff" * 6, data[56:-5], data[56:-4] + b"\0\0", data[58:-4]]
        for payload in (*payloads, *(draw.bytes(int(size)) for size in draw.integers(0, 400, 40))):
            with raises(DataError, "does not end with its last symbol"):
                model.decompress(forged(data, 0, b"", payload))


def test_what_is_no_stream_and_no_sample(runs: Mapping[str, Path], shelf: Shelf, tmp_path: Path) -> None:
    with zoo.load(runs["pixels"]) as model:
        with raises(DataError, "is no file. Check the path"):
            model.decompress(tmp_path)
        with raises(SettingError, "bytes or the name of a file, and this is int"):
            model.decompress(3)  # type: ignore[arg-type]
        with raises(SettingError, "image"):
            model.compress(np.zeros((2, 9, 9), np.uint8))
        with pytest.MonkeyPatch.context() as patch, raises(SettingError, "holds at most 1 samples, and these are 2"):
            patch.setattr(stream, "MOST", 127)
            model.compress(images(2))
    with raises(ZooError, "closed"):
        model.compress(images())
    with zoo.load(shelf.release("vae")) as model, raises(SettingError, "vae.tiny has no codec", "encode, decode"):
        model.compress(images())


# The command line


def test_the_commands(runs: Mapping[str, Path], zoo_call: Command, tmp_path: Path) -> None:
    x = images(2)
    for name, image in zip(("a.png", "b.png"), x, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    done = zoo_call("compress", runs["pixels"], "a.png", "b.png", "-o", "two.zooc")
    assert done.returncode == 0, done.stderr
    size = (tmp_path / "two.zooc").stat().st_size
    bits = 8 * size / 128
    assert f"2 images: {size} bytes, {bits:.4g} bits per dimension, header included." in done.stderr
    assert done.stdout == "two.zooc written\n"
    done = zoo_call("decompress", runs["pixels"], "two.zooc", "-o", "again.npy")
    assert done.returncode == 0, done.stderr
    assert f"2 images from {size} bytes." in done.stderr
    assert np.array_equal(np.load(tmp_path / "again.npy"), x)
    assert zoo_call("compress", runs["pixels"], "a.png").stdout == "a.zooc written\n"
    assert zoo_call("decompress", runs["pixels"], "a.zooc", "--backend", "torch").returncode == 0
    assert (tmp_path / "pixels.tiny.png").is_file()
    Image.fromarray(x[0]).resize((20, 12)).save(tmp_path / "large.png")
    assert zoo_call("compress", runs["pixels"], "large.png", "--fit", "crop", "-o", "c.zooc").returncode == 0


def test_commands_that_cannot(runs: Mapping[str, Path], refused: Refused, shelf: Shelf, tmp_path: Path) -> None:
    Image.fromarray(images(1)[0]).save(tmp_path / "a.png")
    with zoo.load(runs["pixels"]) as model:
        (tmp_path / "one.zooc").write_bytes(model.compress(images(1)))
        (tmp_path / "cut.zooc").write_bytes(model.compress(images(1))[:-9])
    refused("compress", runs["pixels"], says=("Missing argument",))
    refused("compress", runs["pixels"], "b.png", says=("b.png", "does not exist"))
    refused("compress", runs["pixels"], "a.png", "-o", "one.zooc", says=("one.zooc exists already",))
    refused("compress", shelf.release("vae"), "a.png", says=("vae.tiny has no codec",))
    refused("decompress", shelf.release("vae"), "one.zooc", says=("vae.tiny has no codec",))
    refused("decompress", runs["pixels"], "cut.zooc", says=("'cut.zooc' is cut short",))
    refused("decompress", runs["pixels"], "a.png", says=("'a.png' is no stream of zoo compress",))
    refused("decompress", runs["pixels"], "none.zooc", says=("'none.zooc' is no file",))
    refused("decompress", runs["latent"], "one.zooc", says=("'one.zooc' is of another release",))
    refused("decompress", runs["pixels"], "one.zooc", "-o", "x.wav", says=("must end in .png or .npy",))


def test_without_torch(runs: Mapping[str, Path], tmp_path: Path) -> None:
    with zoo.load(runs["pixels"]) as model:
        (tmp_path / "one.zooc").write_bytes(model.compress(images(3)))
    code = """
import sys, zoo
with zoo.load(sys.argv[1]) as model:
    x = model.decompress(sys.argv[2])
    print(model.compress(x) == open(sys.argv[2], "rb").read(), "torch" in sys.modules)
"""
    assert python(code, runs["pixels"] / "release", tmp_path / "one.zooc", block=TRAINING) == "True False\n"


# Releases


def test_verify_and_info_know_the_codec(runs: Mapping[str, Path], zoo_call: Command) -> None:
    done = zoo_call("verify", runs["latent"])
    assert "3 examples become" in done.stdout
    assert "and come back as synthesise gives them" in done.stdout
    assert json.loads(zoo_call("info", runs["latent"], "--json").stdout)["compresses"] == "analyse → synthesise"
    assert "compresses" in zoo_call("info", runs["latent"] / "release").stdout
    assert "zoo compress . FILE.png -o ../small.zooc" in (runs["latent"] / "release" / "README.md").read_text("utf-8")


def test_tables_are_in_the_release_although_no_task_reads_them(runs: Mapping[str, Path]) -> None:
    for name, key in (("pixels", "frequencies"), ("latent", "tables")):
        release = read(runs[name] / "release")
        assert key in load_file(release.folder / WEIGHTS)
        assert key not in release.manifest["left_out"]
        assert torch.equal(
            getattr(zoo.load_module(runs[name]), key), torch.from_numpy(load_file(release.folder / WEIGHTS)[key])
        )


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda codec: codec.pop("tables"), "must have the fields encode, decode, tables, context"),
        (lambda codec: codec.update(kind="rans"), "must have the fields"),
        (lambda codec: codec.update(encode=3), "encode is 3, and should be text"),
        (lambda codec: codec.update(context=[[0, 1]]), "leads to no earlier symbol"),
        (lambda codec: codec.update(context=[[0, -1], [-1]]), "must have one length"),
        (lambda codec: codec.update(context=[["0"]]), "context[0][0] is '0'"),
        (lambda codec: codec.update(context=[[-1]]), "offsets of 1 numbers, and its grid of symbols has 2 axes"),
        (lambda codec: codec.update(context=[[0, -step] for step in range(1, 9)]), "at most 4"),
        (lambda codec: codec.update(encode="decode"), "must take one sample"),
        (lambda codec: codec.update(decode="encode"), "must take the symbols of 'encode'"),
        (lambda codec: codec.update(decode="nothing"), "task 'nothing', which is not there"),
    ],
)
def test_a_damaged_manifest(change: Change, says: str, release: Path) -> None:
    edit(release, lambda manifest: change(manifest["codec"]))
    with raises(ReleaseError, MANIFEST, says):
        zoo.load(release)


@pytest.mark.parametrize("codec", [None, [], "encode", {}])
def test_a_codec_that_is_none(codec: object, release: Path) -> None:
    edit(release, lambda manifest: manifest.update(codec=codec))
    with raises(ReleaseError, "codec is", "must have the fields"):
        zoo.load(release)


@pytest.mark.parametrize(
    "value", [None, True, -1, 2**70, 0.5, "", "x", [], [[]], [[-(2**70), 0]], [0, -1], {}, {"a": 1}]
)
def test_any_value_in_a_codec_is_used_or_refused(value: object, release: Path) -> None:
    sound = (release / MANIFEST).read_bytes()
    for place in places(json.loads(sound)["codec"]):
        (release / MANIFEST).write_bytes(sound)

        def change(manifest: dict[str, Any], place: tuple[str | int, ...] = place) -> None:
            inside: Any = manifest["codec"]
            for key in place[:-1]:
                inside = inside[key]
            inside[place[-1]] = value

        edit(release, change)
        said = ""
        try:
            with zoo.load(release) as model:
                model.decompress(model.compress(images(1)))
        except ReleaseError as error:
            said = str(error)
        assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("spec", [{"classes": 65_537, "shape": [8, 8]}, {"classes": 2, "shape": [MOST_SYMBOLS + 1]}])
def test_a_manifest_cannot_ask_for_all_memory(spec: dict[str, Any], release: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for side in (manifest["tasks"]["encode"]["outputs"], manifest["tasks"]["decode"]["inputs"]):
            side["levels"].update(spec)
        manifest["codec"]["context"] = []

    edit(release, change)
    with raises(ReleaseError, f"at most 65,536 and {MOST_SYMBOLS:,} are possible"):
        zoo.load(release)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tables: tables + np.eye(17, dtype=np.int32)[0], "have the sum 65537 in row [0, 0, 0, 0]"),
        (lambda tables: tables[:5], "have the shape (5, 17, 1, 1, 17)"),
        (lambda tables: tables.astype(np.float32), "are float32"),
        (lambda tables: 0 * tables, "have the frequency 0"),
        (None, "has no usable tensor 'frequencies'"),
    ],
)
def test_tables_that_were_altered(
    change: Callable[[NDArray[np.int32]], NDArray[Any]] | None, says: str, release: Path, refused: Refused
) -> None:
    tensors = load_file(release / WEIGHTS)
    found = tensors.pop("frequencies")
    put(release, WEIGHTS, save(tensors if change is None else {**tensors, "frequencies": change(found)}))
    with zoo.load(release) as model:
        with raises(ReleaseError, says, "Get the release again"):
            model.compress(images())
        with raises(ReleaseError, says):
            model.decompress(b"")
    refused("verify", release, says=(says,))


def test_symbols_out_of_range_are_no_stream(runs: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with zoo.load(runs["pixels"]) as model:
        run = model.backend.run
        monkeypatch.setattr(model.backend, "run", lambda *call: {key: v + 5 for key, v in run(*call).items()})
        with raises(ReleaseError, "encode gives symbols from 5 to 21, and must give 0 to 16"):
            model.compress(images())


def spoil_tables(net: codec_plugin.Pixels, batches: object, recipe: object) -> None:
    net.frequencies += 1


def test_tables_that_finish_spoils_end_the_run_at_its_first_checkpoint(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = dataclasses.replace(codec_plugin.pixels, finish=spoil_tables)
    patch_registry(monkeypatch, load=lambda name: spoiled)
    says = (
        "the tables 'frequencies' of the codec have the sum 65553 in row [0, 0, 0, 0], and each row must sum to 65536"
    )
    with raises(PluginError, "Plugin 'pixels'", says):
        zoo.train("pixels.tiny", out=tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_tables_of_an_old_checkpoint_are_checked_at_the_release(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch_registry(
            patch, load=lambda name: dataclasses.replace(codec_plugin.pixels, codec=None, finish=spoil_tables)
        )
        zoo.train("pixels.tiny", out=tmp_path / "run", quiet=True, release=False)
    patch_registry(monkeypatch, load=lambda name: codec_plugin.pixels)
    says = ("the tables 'frequencies' of its codec have the sum 65604 in row [0, 0, 0, 0]", "Nothing was released")
    with raises(ExportError, "pixels.tiny", *says):
        zoo.export(tmp_path / "run", tmp_path / "release")
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_a_quantised_release_keeps_its_codec(kind: str, runs: Mapping[str, Path], tmp_path: Path) -> None:
    folder = zoo.export(runs["latent"], tmp_path / kind, quantize=kind, quantize_loss=10.0)
    with zoo.load(folder) as model, zoo.load(runs["latent"]) as before:
        data = model.compress(images())
        assert model.decompress(data).shape == images().shape
        assert abs(len(data) - len(before.compress(images()))) < 8
        with raises(DataError, "of another release"):
            before.decompress(data)


def test_the_metric_is_of_the_real_stream(runs: Mapping[str, Path]) -> None:
    (rate,) = zoo.evaluate(runs["pixels"] / "release", only=["codec"], quiet=True).measurements
    x = images(2000)
    with zoo.load(runs["pixels"]) as model:
        assert rate.value == 8 * len(model.compress(x)) / x.size
    assert rate.count == len(x) == 297
    assert rate.baseline is not None
    assert rate.baseline[0] == "one PNG of all"
    column = io.BytesIO()
    Image.fromarray(x.reshape(-1, 8)).save(column, "PNG")
    assert rate.baseline[1] == 8 * len(column.getvalue()) / x.size
    trained = json.loads((runs["latent"] / "release" / MANIFEST).read_text())["metrics"]
    assert "bits_per_dimension" in [metric["name"] for metric in trained]


def test_what_has_no_codec_has_no_rate(shelf: Shelf) -> None:
    with raises(EvaluationError, "codec: vae.tiny has no codec"):
        zoo.evaluate(shelf.release("vae"), only=["bits_per_dimension"], quiet=True)


def test_the_guide_is_a_working_codec(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "compress.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n# zoo_mine/coded.py\n(.*?)```", text, re.S)
    (tmp_path / "coded_plugin.py").write_text(code)
    with plugged(tmp_path, coded="coded_plugin:coded"):
        run = zoo.train("coded.tiny", quiet=True, out=tmp_path / "run")
        with zoo.load(run.folder) as model:
            data = model.compress(images(297))
            assert np.array_equal(model.decompress(data), model.decode(model.encode(images(297))))
            assert 8 * len(data) < 0.9 * 3 * model.encode(images(297)).size, (
                "3 bits a symbol are those of uniform tables"
            )
