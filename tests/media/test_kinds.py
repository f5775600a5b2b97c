"""Images of any number of channels, videos and arrays: what people give and get, how each is shown and written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import zoo
from conftest import raises
from zoo.contract.spec_json import sample_from_json, sample_to_json, spec_from_json, to_json
from zoo.core.errors import DataError, PluginError, ReleaseError, SettingError
from zoo.media import animation, display, kinds, save
from zoo.media.convert import fitted, from_batch, gives, takes, to_batch

RANDOM = np.random.default_rng(0)
SPECS = (
    zoo.Image(1, 4, 5), zoo.Image(2, 4, 5), zoo.Image(3, 4, 5), zoo.Image(4, 4, 5), zoo.Image(7, 4, 5),
    zoo.Video(1, 3, 4, 5), zoo.Video(3, 3, 4, 5),
    zoo.Array(()), zoo.Array((3,), 0, 1), zoo.Array((2, 3), -5, None), zoo.Array((2, 2, 2), None, 0.1),
)  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_what_a_graph_gives_can_be_given_again(spec: Any, tmp_path: Path) -> None:
    kind = kinds.of_sample(spec)
    batch = kind.example(spec, 6, 0)
    assert batch.shape == (6, *spec.shape)
    assert batch.dtype == np.float32
    assert np.array_equal(batch, kind.example(spec, 6, 0))
    held = from_batch(batch, spec)
    assert np.array_equal(to_batch(held, spec, "x"), batch)
    assert np.array_equal(to_batch(held[0], spec, "x"), batch[:1])
    assert kind.is_displayed(held, spec)
    assert held.shape[1:] == kind.display_shape(spec)
    assert save.as_samples(held, [spec])[1] == spec
    for ending in (".npy", ".csv") if spec.kind == "array" else (".npy",):
        (path,) = save.save(held, tmp_path / f"held{ending}", spec)
        assert np.array_equal(to_batch(path, spec, "x"), batch)
        assert np.array_equal(to_batch([path, str(path)], spec, "x"), np.concatenate([batch, batch]))
    assert spec_from_json(to_json(spec), "here") == spec
    assert all(words(spec) for words in (kind.describe, takes, gives))


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_planes_of_images_of_other_channels_are_shown_side_by_side(channels: int, tmp_path: Path) -> None:
    spec = zoo.Image(channels, 4, 5)
    held = RANDOM.integers(0, 256, (3, 4, 5, channels)).astype(np.uint8)
    shown = display.frames(held, spec)
    assert shown.shape == (3, *kinds.of_sample(spec).cell(spec)) == (3, 4, 5 * channels)
    for plane in range(channels):
        assert np.array_equal(shown[..., 5 * plane : 5 * plane + 5], held[..., plane])
    (path,) = save.save(held, tmp_path / "a.png", spec)
    with Pillow.open(path) as opened:
        assert opened.mode == "L"


def test_models_of_four_channels_take_alpha(tmp_path: Path) -> None:
    spec, held = zoo.Image(4, 4, 5), RANDOM.integers(0, 256, (4, 5, 4)).astype(np.uint8)
    Pillow.fromarray(held).save(tmp_path / "a.png")
    Pillow.fromarray(held[..., :3]).save(tmp_path / "opaque.png")
    with Pillow.open(tmp_path / "opaque.png") as opaque:
        batch = to_batch([tmp_path / "a.png", opaque], spec, "x")
    assert np.array_equal(from_batch(batch, spec)[0], held)
    assert np.array_equal(from_batch(batch, spec)[1], np.dstack([held[..., :3], np.full((4, 5), 255, np.uint8)]))
    assert fitted([tmp_path / "a.png"], zoo.Image(4, 2, 2), "white", "crop").shape == (1, 2, 2, 4)
    with raises(DataError, "a.png is an image file, and images of this model have 2 channels. Give a .npy file."):
        to_batch(tmp_path / "a.png", zoo.Image(2, 4, 5), "x")


def test_videos_are_cut_and_never_made_longer(tmp_path: Path) -> None:
    frames = RANDOM.integers(0, 256, (5, 4, 5)).astype(np.uint8)
    path, folder = tmp_path / "a.gif", tmp_path / "frames"
    path.write_bytes(animation.gif(list(frames)))
    folder.mkdir()
    for number, frame in enumerate(frames):
        Pillow.fromarray(frame).save(folder / f"{number}.png")
    spec = zoo.Video(1, 3, 4, 5)
    with Pillow.open(path) as opened:
        assert np.array_equal(from_batch(to_batch(opened, spec, "x"), spec)[0], frames[:3])
    for given in (path, str(path), folder, [folder], frames[:3], frames[:3] / 255):
        assert np.array_equal(from_batch(to_batch(given, spec, "x"), spec)[0], frames[:3])
    assert to_batch([path, folder], zoo.Video(3, 5, 4, 5), "x").shape == (2, 5, 3, 4, 5)
    with raises(DataError, f"{path} has 5 frames, and this model takes 6. Give a longer video."):
        to_batch(path, zoo.Video(1, 6, 4, 5), "x")
    with raises(DataError, "is 5×4 pixels; this model takes 2×2", "--fit crop"):
        to_batch(path, zoo.Video(1, 5, 2, 2), "x")
    assert fitted([path], zoo.Video(1, 5, 2, 2), "white", "crop").shape == (1, 5, 2, 2)
    with raises(SettingError, "x has shape (4, 5); videos for this model are (n, 3, 4, 5)."):
        to_batch(frames[0], spec, "x")
    with raises(SettingError, "x has dtype int64; videos are uint8 from 0 to 255, or floats in [0, 1]."):
        to_batch(frames[:3].astype(np.int64), spec, "x")


def test_videos_are_written_as_one_grid_that_moves(tmp_path: Path) -> None:
    spec = zoo.Video(3, 4, 4, 5)
    held = RANDOM.integers(0, 256, (6, 4, 4, 5, 3)).astype(np.uint8)
    held[:, 1] = held[:, 0]
    for ending in (".png", ".gif"):
        (path,) = save.save(held, tmp_path / f"a{ending}", spec, columns=3)
        with Pillow.open(path) as opened:
            assert opened.n_frames == 4
    assert np.array_equal(display.frames(held, spec), held[:, 0])
    still, *others = display.images(held, spec, 3)
    assert np.array_equal(still, display.image(held, spec, 3))
    assert len(others) == 3
    again = Pillow.open(io.BytesIO(display.contents(held, spec)[".png"]))
    scale = again.width // display.image(held, spec).shape[1]
    again.seek(3)
    assert np.array_equal(np.asarray(again)[::scale, ::scale], display.images(held, spec)[3])


def test_arrays_are_never_an_image(tmp_path: Path) -> None:
    spec, held = zoo.Array((2, 3)), RANDOM.normal(size=(3, 2, 3)).astype(np.float32)
    with raises(SettingError, "Arrays are shown as numbers, never as images. Write a .csv file."):
        display.image(held, spec)
    with raises(SettingError, "it must end in .npy or .csv or .json"):
        save.save(held, tmp_path / "a.png", spec)
    assert [*display.contents(held, spec)] == [".csv"]
    (path,) = save.save(held, tmp_path / "a.json", spec)
    assert path.read_text().startswith("[[[")


def test_bounds_of_arrays_hold() -> None:
    spec = zoo.Array((2,), 0.1, 1)
    assert to_batch([0.1, 1], spec, "x").tolist() == [[np.float32(0.1), 1]]
    assert from_batch(np.array([[-3, np.inf]], np.float32), spec).tolist() == [[np.float32(0.1), 1]]
    with raises(SettingError, "x has values from 0.05 to 0.5; they must be in [0.1, 1]."):
        to_batch([0.05, 0.5], spec, "x")
    with raises(SettingError, "they must be at least 0."):
        to_batch([-1, 1], zoo.Array((2,), low=0), "x")
    with raises(SettingError, "they must be at most 0."):
        to_batch([-1, 1], zoo.Array((2,), high=0), "x")
    with raises(SettingError, "not finite in float32"):
        to_batch([1, 1e300], zoo.Array((2,)), "x")
    with raises(ReleaseError, "values that are not finite"):
        from_batch(np.array([[1, np.inf]], np.float32), zoo.Array((2,)))
    assert "in [0.1, 1]" in gives(spec)
    for bounds in ((None, None), (0, None), (None, -3), (5, 6)):
        spec = zoo.Array((4,), *bounds)
        low, high = kinds.of_sample(spec).bounds(spec)
        assert (
            (kinds.of_sample(spec).example(spec, 100, 0) >= low) & (kinds.of_sample(spec).example(spec, 100, 0) <= high)
        ).all()


def test_tables_are_rows_of_arrays(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c,d\n1,2,3,4\n5,6,7,8\n")
    batch = to_batch(tmp_path / "a.csv", zoo.Array((2, 2)), "x")
    assert batch.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    with raises(DataError, "a.csv has 4 columns; this model takes 3 numbers a row."):
        to_batch(tmp_path / "a.csv", zoo.Array((3,)), "x")
    with raises(SettingError, "a.txt' must end in .npy, .csv or .parquet."):
        to_batch(tmp_path / "a.txt", zoo.Array((3,)), "x")


NAMED = zoo.Array((3,), names=("a", "b b", "é"))


def test_columns_of_tables_are_matched_by_name(tmp_path: Path) -> None:
    """Extra columns are skipped; a table without names, or with those of places alone, is taken by position."""
    path, wanted = tmp_path / "a.csv", [[1, 2, 3], [4, 5, 6]]
    for text in (
        "a,b b,é\n1,2,3\n4,5,6",
        "é,label,b b,a\n3,up,2,1\n6,down,5,4",
        "1,2,3\n4,5,6",
        "x0,x1,x2\n1,2,3\n4,5,6",
    ):
        path.write_text(text, "utf-8")
        assert to_batch(path, NAMED, "x").tolist() == wanted
    (written,) = save.save(np.array(wanted, np.float32), tmp_path / "b.csv", NAMED)
    assert written.read_text("utf-8").splitlines()[0] == "a,b b,é"
    assert to_batch(written, NAMED, "x").tolist() == wanted
    path.write_text("a,b b\n1,2\n", "utf-8")
    with raises(DataError, "a.csv has no column 'é'. Add it. It has: a, b b."):
        to_batch(path, NAMED, "x")
    path.write_text("1,2\n", "utf-8")
    with raises(DataError, "a.csv has 2 columns; this model takes 3 numbers a row. Give a table of 3 columns."):
        to_batch(path, NAMED, "x")
    path.write_text("x0,x1,x2,label\n1,2,3,up\n", "utf-8")
    with raises(DataError, "a.csv has 4 columns; this model takes 3 numbers a row."):
        to_batch(path, zoo.Array((3,)), "x")
    assert "(n, 3), columns a, b b, é" in gives(NAMED)
    assert gives(zoo.Array((20,), names=tuple(map(str, range(20))))).endswith("6, 7, …")


def test_names_change_no_form() -> None:
    assert zoo.Array((3,)) == NAMED
    assert hash(zoo.Array((3,))) == hash(NAMED)
    assert zoo.Label(2, names=("a", "b")) == zoo.Label(2)
    assert "names" not in to_json(NAMED)
    sample = zoo.Sample(NAMED, {"label": zoo.Label(2, names=("down", "up")), "row": zoo.Array((3,))})
    again = sample_from_json(json.loads(json.dumps(sample_to_json(sample))), "here")
    assert (again.x.names, again["label"].names, again["row"].names) == (NAMED.names, ("down", "up"), ())  # type: ignore[union-attr]
    assert "names" not in sample_to_json(zoo.Sample(zoo.Array((3,))))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "has the names [], which are not usable"),
        ({"x": "abc"}, "has the names {'x': 'abc'}, which are not usable"),
        ({"x": ["a", "b"]}, "Array: it has 2 names, and its shape is (3,)"),
        ({"x": ["a", "b", 3]}, "Array: names[2] is 3, and should be text"),
        ({"x": ["a", "b", "a"]}, "Array: two of its names are 'a'. Rename one."),
        ({"label": ["a"]}, "Label: it has 1 names, and 2 classes"),
        ({"other": ["a"]}, "there are names of 'other', which is neither an array nor a label"),
    ],
)
def test_names_of_a_manifest_are_checked(found: Any, words: str) -> None:
    about = sample_to_json(zoo.Sample(zoo.Array((3,)), {"label": zoo.Label(2)}))
    with raises(ReleaseError, "here", words):
        sample_from_json({**about, "names": found}, "here")


def test_a_large_array_has_few_samples_in_a_release() -> None:
    kind = kinds.SAMPLES["array"]
    assert [kind.count(zoo.Array(shape)) for shape in ((2,), (2**13,), (64, 64, 64))] == [16, 8, 1]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: zoo.Video(2, 3, 4, 5), "Video: channels is 2, and must be 1 (grey) or 3 (colour)."),
        (lambda: zoo.Video(1, 0, 4, 5), "Video: frames is 0, and must be at least 1."),
        (lambda: zoo.Image(0, 4, 5), "Image: channels is 0, and must be at least 1."),
        (lambda: zoo.Array((2,), 1, 1), "Array: low is 1 and high is 1; low must be below high."),
        (lambda: zoo.Array((2,), float("nan")), "Array: low is nan, and must be a finite number"),
        (lambda: zoo.Array((2,), high=float("inf")), "Array: high is inf, and must be a finite number"),
        (lambda: zoo.Array((2, 0)), "Array: shape is (2, 0), and must be at least 1."),
        (lambda: zoo.Array(2), "Array: shape is 2, and should be a tuple of integers. Write (2,)."),
        (
            lambda: zoo.Sample(zoo.Array((2,))).form(zoo.Vector),
            "zoo.Video, zoo.Text, zoo.Audio, zoo.LogMel or zoo.Array",
        ),
    ],
)
def test_forms_that_cannot_be_are_one_line(made: Any, words: str) -> None:
    with raises(PluginError, words):
        made()


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "video", "channels": 2, "frames": 3, "height": 4, "width": 5},
        {"kind": "video", "channels": 1, "frames": 2**20, "height": 2**10, "width": 2**10},
        {"kind": "image", "channels": 2**20, "height": 2**10, "width": 2**10},
        {"kind": "array", "shape": [2**15, 2**15], "low": None, "high": None},
        {"kind": "array", "shape": [2], "low": "0"},
        {"kind": "array", "shape": [2], "low": 1e400, "high": None},
        {"kind": "array", "low": 0, "high": 1},
    ],
)
def test_a_manifest_cannot_ask_for_other_forms(value: Any) -> None:
    with pytest.raises(ReleaseError, match="here"):
        spec_from_json(value, "here")
