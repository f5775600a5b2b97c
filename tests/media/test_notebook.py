"""What a model returns shows itself in a notebook, and is a plain array or list in every other way."""

from __future__ import annotations

import copy
import io
import pickle
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import zoo
from zoo.contract.specs import LogMel
from zoo.media import animation, grid, notebook, wav
from zoo.media.convert import from_batch, join
from zoo.media.kinds import of_sample

RANDOM = np.random.default_rng(0)
IMAGE = zoo.Image(1, 8, 8)
AUDIO = zoo.Audio(8000, 400)
MEL = LogMel(8000, 1024, 16, 256, 128)
TEXT = zoo.Text("ab\n<&", 6)


def made(spec: Any, count: int) -> Any:
    return from_batch(of_sample(spec).example(spec, count, 0), spec)


def opened(png: bytes) -> Any:
    return np.asarray(Pillow.open(io.BytesIO(png)))


def clips_in(html: str) -> list[tuple[int, Any]]:
    """The rate and the waveform of each player."""
    found = re.findall(r'<audio controls[^>]* src="data:audio/wav;base64,([^"]+)"></audio>', html)
    return [wav.read(b64decode(clip), "clip") for clip in found]


def images_in(html: str) -> list[Any]:
    return [opened(b64decode(image)) for image in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]


@pytest.mark.parametrize("spec", [IMAGE, zoo.Image(3, 5, 4), zoo.Image(4, 5, 4)], ids=str)
def test_images_are_a_grid(spec: zoo.Image) -> None:
    held = made(spec, 6)
    wanted = grid.enlarge(grid.grid(of_sample(spec).frames(held, spec)))
    assert np.array_equal(opened(held._repr_png_()), wanted)
    assert max(wanted.shape) > 400
    assert held._repr_html_() is None


def test_a_slice_is_shown_and_another_form_is_not() -> None:
    held = made(IMAGE, 16)
    alone = opened(held[2]._repr_png_())
    assert np.array_equal(alone, grid.enlarge(grid.grid(np.asarray(held)[2:3])))
    assert np.array_equal(opened(held[2:3]._repr_png_()), alone)
    assert held[3:7].shape == (4, 8, 8)
    for part in (held[3:7], held[held.mean((1, 2)) > 0], held[:, ::-1], held[[5, 5]], held.copy(), held[:]):
        assert part._repr_png_() is not None
    for other in (held.T, held[0, 0], held[:, :4], held[:0], held.reshape(-1), held.astype(np.float32), held[0, 0, 0:]):
        assert other._repr_png_() is None
        assert other._repr_html_() is None


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x / 255, lambda x: 255 - x, lambda x: x > 3, lambda x: x.sum(0), lambda x: np.concatenate([x, x]),
        lambda x: np.stack([x, x]), lambda x: np.clip(x, 1, 2), lambda x: np.where(x > 3, x, 0), np.asarray,
        lambda x: pickle.loads(pickle.dumps(x)), lambda x: pickle.loads(pickle.dumps(x, 5)),
    ],
)  # fmt: skip
def test_what_is_computed_is_plain(compute: Callable[[Any], Any]) -> None:
    held = made(IMAGE, 16)
    found, wanted = compute(held), compute(held.view(np.ndarray))
    assert type(found) is np.ndarray
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", ["mean", "max", "min", "std", "sum", "all", "any", "argmax", "prod"])
def test_reductions_are_scalars(name: str) -> None:
    held = made(IMAGE, 4)
    found, wanted = getattr(held, name)(), getattr(held.view(np.ndarray), name)()
    assert type(found) is type(wanted)
    assert found == wanted
    assert type(held[0, 0, 0]) is np.uint8
    assert held.reshape(-1)[3:4].squeeze().shape == ()


def test_other_libraries_take_it_as_an_array(tmp_path: Path) -> None:
    held = made(IMAGE, 4)
    plain = held.view(np.ndarray)
    np.save(tmp_path / "held.npy", held)
    np.save(tmp_path / "plain.npy", plain)
    assert (tmp_path / "held.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()
    assert np.array_equal(torch.from_numpy(held).numpy(), plain)
    assert np.array_equal(np.asarray(Pillow.fromarray(held[0])), plain[0])
    assert (repr(held), str(held), held.tolist()) == (repr(plain), str(plain), plain.tolist())
    np.testing.assert_array_equal(held, plain)
    for twin in (copy.copy(held), copy.deepcopy(held)):
        assert np.array_equal(twin, plain)
        assert twin._repr_png_() == held._repr_png_()
    held //= 2
    assert held._repr_png_() is not None


def test_a_large_batch_is_cut_and_says_so() -> None:
    held = made(IMAGE, 300)
    first = grid.enlarge(grid.grid(np.asarray(held)[:256]))
    assert np.array_equal(opened(held._repr_png_()), first)
    html = held._repr_html_()
    assert html.endswith("<p>The first 256 of 300 images.</p>")
    assert np.array_equal(images_in(html)[0], first)
    wide = made(zoo.Image(3, 1024, 1024), 4)
    assert wide._repr_html_().endswith("<p>The first 2 of 4 images.</p>")
    assert opened(wide._repr_png_()).shape == (1026, 2051, 3)


def test_batches_that_are_joined_are_shown() -> None:
    held = made(IMAGE, 4)
    both = join([held, held])
    assert both.shape == (8, 8, 8)
    assert both._repr_png_() is not None
    assert "<hr>" in join([made(TEXT, 1), made(TEXT, 1)])._repr_html_()


def test_videos_move() -> None:
    spec = zoo.Video(1, 3, 4, 5)
    held = made(spec, 4)
    frames = [grid.enlarge(grid.grid(np.asarray(held)[:, moment])) for moment in range(3)]
    assert held._repr_png_() == animation.png(frames)
    with Pillow.open(io.BytesIO(held[1]._repr_png_())) as file:
        assert file.n_frames == 3
    assert held._repr_html_() is None
    assert held[0, 0]._repr_png_() is None


def test_audio_clips_have_players() -> None:
    held = made(AUDIO, 20)
    html = held._repr_html_()
    clips = clips_in(html)
    assert len(clips) == len(images_in(html)) == 16
    assert html.endswith("<p>The first 16 of 20 audio clips.</p>")
    for (rate, clip), wanted in zip(clips, np.asarray(held), strict=False):
        assert rate == 8000
        assert np.array_equal(clip, wav.to_int16(wanted))
    assert len(clips_in(held[3]._repr_html_())) == 1
    assert held._repr_png_() is not None
    assert held.astype(np.float64)._repr_html_() is None
    held[0, 0] = np.nan
    assert held._repr_html_() is None
    assert held[1:]._repr_html_() is not None


def test_an_audio_clip_that_is_too_long_is_an_image_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "LENGTH", 399)
    html = made(AUDIO, 2)._repr_html_()
    assert clips_in(html) == []
    assert len(images_in(html)) == 2
    assert "These are too long to play here" in html


def test_a_few_spectrograms_are_played() -> None:
    held = made(MEL, 6)
    html = held._repr_html_()
    assert len(clips_in(html)) == 4
    assert [clip.shape for _, clip in clips_in(html)] == [(1024,)] * 4
    assert len(images_in(html)) == 6
    assert "Only the first 4 can be played here" in html


def test_texts_keep_the_ends_of_lines_and_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    held = from_batch(np.array([[0, 2, 3, 4, 1, 0], [0] * 6]), TEXT)
    assert held == ["a\n<&ba", "aaaaaa"]
    html = held._repr_html_()
    assert html.count("</pre>") == 2
    assert ">a\n&lt;&amp;ba</pre>" in html
    assert type(pickle.loads(pickle.dumps(held))) is list
    assert repr(held) == repr(list(held))
    monkeypatch.setattr(notebook, "CHARACTERS", 3)
    html = held._repr_html_()
    assert ">a\n&lt;…</pre>" in html
    assert html.endswith("<p>The first 1 of 2 texts.</p>")
    assert notebook.Texts()._repr_html_() is None


def test_numbers_stay_plain() -> None:
    for spec in (zoo.Array((8, 8)), zoo.Vector((3,)), zoo.Label(4), zoo.Score()):
        batch = np.zeros((2, *spec.shape), spec.dtype)
        assert type(from_batch(batch, spec)) is np.ndarray


CELLS = (
    "import zoo\nmodel = zoo.load('vae.digits')\nmodel",
    "images = model.generate(16)\nimages",
    "images / 255",
    "zoo.load('audio-vae.fsdd').generate(2)",
    "zoo.load('chargpt.shakespeare').generate(2, length=40)",
    "from zoo.media.convert import from_batch\nfrom zoo.media.kinds import of_sample\n"
    "spec = zoo.Video(1, 3, 4, 5)\nfrom_batch(of_sample(spec).example(spec, 4, 0), spec)",
    "import sys\nprint(sorted({'torch', 'zoo.modules'} & {*sys.modules}))",
)


@pytest.mark.slow
def test_a_kernel_shows_what_a_model_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    nbclient = pytest.importorskip("nbclient", reason="needs the extra docs")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in book.cells]
    assert [len(found) for found in outputs] == [1] * len(CELLS)
    table, images, plain, audio, text, video = (found[0]["data"] for found in outputs[:-1])
    assert outputs[-1][0]["text"] == "[]\n"
    with zoo.load("vae.digits") as model:
        assert table["text/html"] == model._repr_html_()
        assert table["text/plain"] == repr(model)
        wanted = model.generate(16)
    assert images.keys() == {"image/png", "text/plain"}
    assert images["text/plain"].startswith("array([[[")
    assert np.array_equal(opened(b64decode(images["image/png"])), grid.enlarge(grid.grid(np.asarray(wanted))))
    assert plain.keys() == {"text/plain"}
    assert [(rate, clip.ndim) for rate, clip in clips_in(audio["text/html"])] == [(8000, 1)] * 2
    assert opened(b64decode(audio["image/png"])).ndim == 2
    assert text["text/html"].count("</pre>") == 2
    assert b64decode(video["image/png"]) == made(zoo.Video(1, 3, 4, 5), 4)._repr_png_()  # an animated one, unchanged


@pytest.mark.slow
def test_training_in_a_kernel_says_a_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    source = f"import zoo\nrun = zoo.train('vae.tiny', out={str(tmp_path / 'run')!r})"
    nbclient = pytest.importorskip("nbclient", reason="needs the extra docs")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    said = "".join(output["text"] for output in book.cells[0].outputs)
    assert 2 < len(said.splitlines()) < 40
    assert "Warning" not in said
    assert "\x1b" not in said
