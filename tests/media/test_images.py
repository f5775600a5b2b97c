"""Images as people have them: rotated, transparent, of 16 bits, of several sizes; in folders and as inputs of tasks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import zoo
from conftest import Command, Refused, Shelf, one_error, raises
from zoo.contract.data import ImageOptions
from zoo.contract.specs import Image
from zoo.core.errors import DataError, SettingError
from zoo.data import load
from zoo.media import images
from zoo.media.convert import to_batch

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 8, 3), np.uint8)
GREYS = COLOURS[..., 0]


def pair(folder: Path, image: Pillow.Image, name: str, **options: object) -> np.ndarray:
    """An image, written twice into a folder, as the data layer reads it: uint8 (c, h, w)."""
    folder.mkdir(parents=True, exist_ok=True)
    for copy in "ab":
        image.save(folder / f"{copy}{name}", **options)
    data = load(f"folder:{folder}", "train")
    assert data.sample.x.shape == data.x.shape[1:]
    return data.read(np.array([0]))[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".png", ".webp", ".tif"])
def test_rotated_as_every_viewer_shows_it(orientation: int, ending: str, tmp_path: Path) -> None:
    turned = {
        1: GREYS, 2: GREYS[:, ::-1], 3: GREYS[::-1, ::-1], 4: GREYS[::-1], 5: GREYS.T, 6: np.rot90(GREYS, -1),
        7: GREYS[::-1, ::-1].T, 8: np.rot90(GREYS),
    }[orientation]  # fmt: skip
    exif = Pillow.Exif()
    exif[274] = orientation
    options = {"exif": exif} | ({"lossless": True} if ending == ".webp" else {})
    read = pair(tmp_path / "pics", Pillow.fromarray(GREYS), ending, **options)
    assert (read == turned).all()
    file = tmp_path / "pics" / f"a{ending}"
    spec = Image(1, *turned.shape)
    assert (to_batch(file, spec, "x")[0, 0] * 255 == turned).all()
    with Pillow.open(file) as opened:
        assert (to_batch(opened, spec, "x")[0, 0] * 255 == turned).all()
        assert (to_batch(opened, spec, "x")[0, 0] * 255 == turned).all()  # loaded by now


def test_photographs_of_both_ways_have_one_size(tmp_path: Path) -> None:
    """A camera stores a portrait as a landscape and says how to turn it."""
    exif = Pillow.Exif()
    exif[274] = 6
    Pillow.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    Pillow.fromarray(COLOURS.transpose(1, 0, 2)).save(tmp_path / "b.jpg")
    assert load(f"folder:{tmp_path}", "train").sample.x == Image(3, 8, 6)


def on(ground: int, alpha: np.ndarray, above: np.ndarray) -> np.ndarray:
    """What is seen of colours with an alpha channel, by the formula of Porter and Duff."""
    part = alpha.astype(float) / 255
    return np.rint(part * above + (1 - part) * ground)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "I;16"])
def test_what_is_transparent_is_laid_on_the_background(mode: str, tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, GREYS.shape, np.uint8)
    seen: np.ndarray
    options: dict[str, object] = {}
    if mode == "RGBA":
        image = Pillow.fromarray(np.dstack([COLOURS, alpha]))
        seen = on(255, alpha[..., None], COLOURS).transpose(2, 0, 1)
    elif mode == "LA":
        image = Pillow.merge("LA", (Pillow.fromarray(GREYS), Pillow.fromarray(alpha)))
        seen = on(255, alpha, GREYS)[None]
    elif mode == "P":
        image = Pillow.fromarray(GREYS % 4, "P")
        image.putpalette([10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40])
        options["transparency"] = bytes([0, 255, 128, 255])
        table = on(255, np.array([0, 255, 128, 255]), np.array([10, 20, 30, 40]))
        seen = table[GREYS % 4][None]
    elif mode == "I;16":
        image = Pillow.fromarray(GREYS.astype(np.uint16) * 256)
        options["transparency"] = int(GREYS[2, 3]) * 256
        seen = np.where(GREYS[2, 3] == GREYS, 255, GREYS)[None]
    else:
        array = COLOURS if mode == "RGB" else GREYS
        image, key = Pillow.fromarray(array), array[2, 3]
        options["transparency"] = tuple(map(int, key)) if mode == "RGB" else int(key)
        hidden = (key == COLOURS).all(-1, keepdims=True) if mode == "RGB" else (key == GREYS)[..., None]
        seen = np.where(hidden, 255, array.reshape(*GREYS.shape, -1)).transpose(2, 0, 1)
    read = pair(tmp_path / "pics", image, ".png", **options)
    assert read.shape == seen.shape
    assert np.abs(read - seen).max() <= 1
    file = tmp_path / "pics" / "a.png"
    given = to_batch(file, Image(*read.shape), "x")[0] * 255
    assert (np.rint(given) == read).all()
    with Pillow.open(file) as opened:
        assert (to_batch(opened, Image(*read.shape), "x")[0] * 255 == given).all()
    red = load(f"folder:{tmp_path / 'pics'}", "train", background="#ff0000")
    assert red.sample.x == Image(3, 6, 8)  # its background makes it colour
    assert red.source.endswith(", transparency on #ff0000")
    assert load(f"folder:{tmp_path / 'pics'}", "train").source.endswith(", transparency on white")
    wrong = to_batch(file, Image(3, 6, 8), "x", background="#ff0000")[0] * 255
    assert (np.rint(wrong) == red.read(np.array([0]))[0]).all()


def test_sixteen_bits_and_more(tmp_path: Path) -> None:
    """The upper half of 16 bits, whatever their order; floats from 0 to 1; anything else is said, not guessed."""
    wide = RNG.integers(0, 65536, (6, 8), np.uint16)
    wide[0, :2] = 0, 65535
    for name, array in {
        "a.tif": wide, "b.tiff": wide.astype(">u2"), "c.png": wide, "d.tif": wide.astype(np.int32),
        "e.tif": (wide >> 8).astype(np.float32) / 255, "f.TIF": (wide >> 8).astype(np.uint8),
    }.items():  # fmt: skip
        read = pair(tmp_path / name, Pillow.fromarray(array), name)
        assert (read == wide >> 8).all(), name
        assert (np.rint(to_batch(tmp_path / name / f"a{name}", Image(1, 6, 8), "x")[0] * 255) == wide >> 8).all(), name
    white_is_zero = pair(tmp_path / "inverted", Pillow.fromarray(wide), ".tif", tiffinfo={262: 0})
    assert (white_is_zero == (65535 - wide) >> 8).all()
    for array, words in (
        (np.array([[0, 70_000]], np.int32), ("values from 0 to 70000", "from 0 to 65535")),
        (np.array([[-1, 3]], np.int32), ("values from -1 to 3",)),
        (np.array([[0, 1.5]], np.float32), ("floats from 0 to 1.5", "black is 0")),
        (np.array([[0, np.nan]], np.float32), ("nan",)),
    ):
        folder = tmp_path / str(array.max())
        with raises(DataError, folder / "bx.tif", *words, "8 or 16 bits"):
            pair(folder, Pillow.fromarray(array), "x.tif")


def several(folder: Path) -> Path:
    """Images of several sizes, each with a black left and a white right half."""
    for index, (width, height) in enumerate([(40, 20), (20, 40), (64, 64), (8, 6)]):
        halves = np.zeros((height, width), np.uint8)
        halves[:, width // 2 :] = 255
        folder.mkdir(exist_ok=True)
        Pillow.fromarray(halves).save(folder / f"{index}.png")
    return folder


def test_images_of_several_sizes_are_cut_or_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"folder:{several(tmp_path / 'pics')}"
    with raises(DataError, "Images must have one size", " is 20x40 pixels", "--set data.size=64", "fit=pad"):
        load(name, "train")
    cut, padded = load(name, "train", size=16), load(name, "train", size=16, fit="pad", background="#808080")
    assert cut.sample.x == padded.sample.x == Image(1, 16, 16)
    assert cut.source == "The user's own folder of images 'pics', cropped and resized to 16x16 pixels"
    assert padded.source.endswith(", padded with #808080 and resized to 16x16 pixels")
    assert cut.sha256 != padded.sha256
    assert (cut.x[:, :, :, :6] < 8).all()
    assert (cut.x[:, :, :, 10:] > 247).all()
    tall = next(image[0] for image in padded.x if (image[0, :, 0] == 128).all())  # 20x40 becomes 8x16
    assert (tall[:, [0, 1, 2, 3, 12, 13, 14, 15]] == 128).all()
    assert (tall[:, 4:7] < 16).all()
    assert (tall[:, 9:12] > 239).all()
    blue = load(name, "train", size=16, fit="pad", background="blue")
    assert blue.sample.x == Image(3, 16, 16)
    monkeypatch.setenv("ZOO_MEMORY", "0")
    stream = load(name, "train", size=16, fit="pad", background="#808080")
    assert (stream.read(np.arange(3)) == padded.x).all()
    assert stream.sha256 != load(name, "train", size=16).sha256
    with raises(SettingError, "size = -1", "at least 0"):
        load(name, "train", size=-1)
    with raises(SettingError, "fit = 'stretch'", "crop, pad"):
        load(name, "train", fit="stretch")  # type: ignore[arg-type]
    for colour in ("whitish", "#ff", "#11223344"):
        with raises(SettingError, f"background = {colour!r} is no colour", "#rrggbb"):
            load(name, "train", background=colour)


def test_resampling_is_antialiased() -> None:
    """Lines of one pixel become grey, not black or white by chance."""
    lines = Pillow.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    made = images.pixels(lines, 1, "lines", ImageOptions(size=8))
    assert np.abs(made[:, 1:-1].astype(int) - 128).max() <= 3


def test_a_named_set_is_resized_too() -> None:
    digits, large = load("digits", "test"), load("digits", "test", size=12)
    assert large.sample.x == Image(1, 12, 12)
    assert large.x.shape == (297, 1, 12, 12)
    assert large.source.endswith(", cropped and resized to 12x12 pixels")
    assert (large.labels == digits.labels).all()
    assert load("digits", "test", size=8).source == digits.source


@pytest.mark.slow
def test_what_is_trained_on_resized_images_says_so(tmp_path: Path, zoo_call: Command) -> None:
    folder = several(tmp_path / "pics")
    (folder / "notes.txt").write_text("no image")
    Pillow.fromarray(np.full((5, 5, 4), 128, np.uint8)).save(folder / "9.png")
    one_error(zoo_call("train", "vae.tiny", "--data", f"folder:{folder}", "-o", "run"), "--set data.size=64")
    settings = ("--set", "data.size=8", "--set", "data.fit=pad", "--set", "data.background=black", "--set", "steps=2")
    done = zoo_call("train", "vae.tiny", "--data", f"folder:{folder}", "-o", "run", *settings)
    assert done.returncode == 0, done.stderr
    assert "1 file does not have the extension of an image and was ignored: 'notes.txt'" in done.stderr
    manifest = json.loads((tmp_path / "run" / "release" / "manifest.json").read_text())
    assert manifest["recipe"]["data"] == {
        "name": "folder:pics",
        "options": {"size": 8, "fit": "pad", "background": "black", "flip": False, "crop": 0},
    }
    source = manifest["provenance"]["data"]["source"]
    assert source.endswith("'pics', padded with black and resized to 8x8 pixels, transparency on black")
    assert zoo_call("evaluate", "run", "--only", "negative_elbo").returncode == 0
    clear = tmp_path / "clear.png"
    Pillow.new("RGBA", (8, 8), (255, 255, 255, 0)).save(clear)
    with zoo.load("./run") as model:  # transparency shows the background of its training
        expected = model.reconstruct(np.zeros((8, 8, 3), np.uint8))
        assert (model.reconstruct(clear) == expected).all()
    large = tmp_path / "pics" / "2.png"
    one_error(zoo_call("run", "run", "reconstruct", large), "64×64", "takes 8×8", "--fit crop", "--fit pad")
    for fit in ("crop", "pad"):
        done = zoo_call("run", "run", "reconstruct", large, "--fit", fit, "-o", f"{fit}.png")
        assert done.returncode == 0, done.stderr


def test_a_size_that_an_input_has_not(refused: Refused, shelf: Shelf, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((1, 2), np.float32))
    says = ("--fit is for images", "decode takes none")
    refused("run", shelf.release("vae"), "decode", "z.npy", "--fit", "pad", says=says)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def not_utf8(tmp_path: Path) -> Path:
    """A folder of images of two classes; its name, those of the classes and of the images are not UTF-8."""
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/p\xe9"))
    for index in range(12):
        place = root / os.fsdecode(b"c\xe9" if index % 2 else b"d")
        place.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 256, (8, 8), np.uint8)
        Pillow.fromarray(pixels).save(place / os.fsdecode(b"\xe9%02d.png" % index))
    return root


def test_names_that_are_not_utf8(tmp_path: Path, zoo_call: Command) -> None:
    root = not_utf8(tmp_path)
    data = load(f"folder:{root}", "train")
    assert data.name == "folder:p\\xe9"
    assert data.classes == ("c\\xe9", "d")
    assert len(data) == 10
    out = root / "run"
    line = one_error(zoo_call("train", "vae.tiny", "-o", str(out)), "not UTF-8", "--output")
    assert line.encode()
    assert not out.exists()


@pytest.mark.slow
def test_training_on_names_that_are_not_utf8(tmp_path: Path, zoo_call: Command) -> None:
    root = not_utf8(tmp_path)
    train = ("train", "vae.tiny", "--data", f"folder:{root}", "-o", "run", "--set", "steps=2")
    done = zoo_call(*train)
    assert done.returncode == 0, done.stderr
    for path in ("run/recipe.json", "run/release/manifest.json", "run/release/README.md"):
        assert "p\\" in (tmp_path / path).read_bytes().decode("utf-8")
    assert zoo_call("evaluate", "run", "--only", "negative_elbo").returncode == 0  # it finds the folder again
    assert zoo_call(*train, "--resume").returncode == 0
