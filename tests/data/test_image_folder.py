"""folder:DIR: the user's own images, in memory and as a stream."""

from __future__ import annotations

import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile, features

import zoo
from conftest import raises
from data_files import NOISE, usable
from zoo.contract.data import Split
from zoo.contract.specs import Image, Label, Sample
from zoo.core import memory
from zoo.core.errors import DataError, SettingError
from zoo.data import load, stream
from zoo.data.stream import Stream
from zoo.media import images
from zoo.training import batches


def saved(path: Path, mode: str = "L", size: tuple[int, int] = (4, 3), value: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new(mode, size, value if len(mode) < 3 or mode.startswith("I") else (value,) * len(mode)).save(
        path, **options
    )
    return path


def writable(ending: str) -> bool:
    """Whether this Pillow was built with what files of that ending need."""
    return {".jp2": features.check("jpg_2000"), ".avif": "AVIF" in images.formats()}.get(ending, True)


def test_folder_with_classes(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    for index in range(12):
        saved(root / "dog" / f"{index:02}.png", value=100 + index)
    for index in range(9):
        saved(root / "cat" / "deeper" / "still" / f"{index}.BMP", value=index)
    saved(root / "dog" / ".hidden.png", value=9, size=(9, 9))
    saved(root / "dog" / ".thumbnails" / "1.png", size=(9, 9))
    saved(root / ".cache" / "a.png", size=(9, 9))
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("no image")
    (root / "dog" / "labels.csv").write_text("no image")
    train, test = load(f"folder:{root}", "train"), load(f"folder:{root}", "test")
    assert train.sample == test.sample == Sample(Image(1, 3, 4), {"label": Label(2)})
    assert sorted(test.x[:, 0, 0, 0].tolist()) == [0, 101, 111]  # the first, the eleventh and the last of 21
    assert sorted(train.x[:, 0, 0, 0].tolist()) == [*range(1, 9), 100, *range(102, 111)]
    assert test.labels is not None
    assert train.labels is not None
    for part in (test, train):  # in a mixed order
        assert part.labels is not None
        assert part.labels.tolist() == (part.x[:, 0, 0, 0] >= 100).astype(int).tolist()
    assert set(train.labels[:6]) == {0, 1}
    assert train.labels.dtype == np.int64
    assert (train.name, train.licence) == ("folder:pics", "unknown")
    assert str(tmp_path) not in repr(train)
    usable(train)


def test_folder_without_classes(tmp_path: Path) -> None:
    endings = [ending for ending in images.ENDINGS if ending not in (".pgm", ".pbm") and writable(ending)]
    for index, ending in enumerate(endings):
        saved(tmp_path / f"{index:02}{ending}", "RGB", value=10 * index)
    train, test = load(f"folder:{tmp_path}", "train"), load(f"folder:{tmp_path}", "test")
    count = len(endings)
    assert (len(train), len(test)) == (count - 2, 2)
    assert count > 10
    assert train.sample == Sample(Image(3, 3, 4))
    assert train.labels is None
    values = np.sort(train.x[:, :, 0, 0].astype(int), axis=0)
    expected = [10 * index for index in range(count) if index % 10]
    assert np.abs(values - np.array(expected)[:, None]).max() <= 2  # some are lossy


def test_folder_with_its_own_splits(tmp_path: Path) -> None:
    saved(tmp_path / "train" / "b" / "1.png", value=1)
    saved(tmp_path / "train" / "c" / "1.png", value=2)
    saved(tmp_path / "test" / "a" / "1.png", "RGB", value=3)
    saved(tmp_path / "test" / "c" / "1.png", value=4)
    train, test = load(f"folder:{tmp_path}", "train"), load(f"folder:{tmp_path}", "test")
    assert (
        train.sample == test.sample == Sample(Image(3, 3, 4), {"label": Label(3)})
    )  # what either split has, both have
    assert train.labels is not None
    assert test.labels is not None
    assert dict(zip(train.labels.tolist(), train.x[:, :, 0, 0].tolist(), strict=True)) == {1: [1] * 3, 2: [2] * 3}
    assert dict(zip(test.labels.tolist(), test.x[:, :, 0, 0].tolist(), strict=True)) == {0: [3] * 3, 2: [4] * 3}


def test_a_class_folder_may_be_a_link_and_links_in_a_circle_end(tmp_path: Path) -> None:
    saved(tmp_path / "elsewhere" / "1.png")
    root = tmp_path / "pics"
    saved(root / "a" / "1.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "round").symlink_to(root)
    assert load(f"folder:{root}", "train").sample.classes == 2


MODES = {
    "png": ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"],
    "jpg": ["1", "L", "RGB", "CMYK"],
    "bmp": ["1", "L", "P", "RGB", "RGBA"],
    "gif": ["1", "L", "P", "LA", "RGB", "RGBA"],
    "webp": ["L", "RGB", "RGBA"],
}


@pytest.mark.parametrize(("ending", "mode"), [(ending, mode) for ending in MODES for mode in MODES[ending]])
def test_modes(mode: str, ending: str, tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    image = Pillow.fromarray(colours)
    image = Pillow.fromarray(colours[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    for index in range(2):
        image.save(tmp_path / f"{index}.{ending}", **({"lossless": True} if ending == "webp" else {}))
    data = load(f"folder:{tmp_path}", "train")
    grey = mode in ("1", "L", "LA", "I;16") and ending != "webp"
    assert data.sample.x.shape == (1 if grey else 3, 8, 8)
    usable(data)
    if ending != "jpg" and mode in ("RGB", "RGBA") and ending != "gif":
        assert (data.x[0].transpose(1, 2, 0) == colours).all()
    if ending == "png" and mode == "I;16":
        assert (data.x[0, 0] == colours[..., 0]).all()
    if ending in ("png", "gif", "bmp") and mode == "L":
        assert (data.x[0, 0] == np.asarray(Pillow.fromarray(colours).convert("L"))).all()


def test_grey_and_colour_together_are_colour(tmp_path: Path) -> None:
    saved(tmp_path / "0.png", "RGB", value=1)
    saved(tmp_path / "1.png", "L", value=2)
    saved(tmp_path / "2.png", "LA", value=255)
    Pillow.fromarray(np.full((3, 4), 4 * 257, np.uint16)).save(tmp_path / "3.png")
    data = load(f"folder:{tmp_path}", "train")
    assert sorted(data.x[:, :, 0, 0].tolist()) == [[2] * 3, [4] * 3, [255] * 3]


def test_transparent_palette_and_animation(tmp_path: Path) -> None:
    palette = Pillow.new("P", (4, 3), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    palette.save(tmp_path / "b.png", transparency=1)
    frames = [Pillow.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    both = np.concatenate([load(f"folder:{tmp_path}", split).x for split in ("test", "train")])  # type: ignore[arg-type]
    half = [132, 137, 142]  # of 10, 20, 30 on white
    assert sorted(both[:, :, 0, 0].tolist()) == [half, [255, 0, 0], [255, 255, 255]]


def test_folder_errors(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    with raises(DataError, root, "does not exist", "after 'folder:'"):
        load(f"folder:{root}", "train")
    with raises(DataError, r"new\nline"):
        load("folder:new\nline", "train")
    root.mkdir()
    (root / "movie.mp4").write_bytes(b"")
    with raises(DataError, root, "no images", ".png, .jpg, .jpeg, .jfif, .bmp, .gif, .webp, .tif, .tiff"):
        load(f"folder:{root}", "train")
    with raises(DataError, root / "movie.mp4", "is a file", "Name the folder"):
        load(f"folder:{root}/movie.mp4", "train")
    saved(root / "1.png")
    with raises(DataError, root, "1 image", "at least 2", "Add more"):
        load(f"folder:{root}", "train")
    odd = saved(root / "2.png", size=(5, 7))
    with raises(DataError, root / "1.png", "4x3", odd, "5x7", "--set data.size=64", "fit=pad", "remove the odd ones"):
        load(f"folder:{root}", "train")
    odd.unlink()
    saved(root / "cats" / "2.png")
    with raises(DataError, root, "'1.png'", "'cats'", "Move them"):
        load(f"folder:{root}", "train")


@pytest.mark.parametrize("names", [("train",), ("train", "val"), ("Test", "cat")])
def test_names_of_splits_are_no_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        for index in range(3):
            saved(tmp_path / name / "a" / f"{index}.png")
    split_names = [name for name in names if name != "cat"]
    with raises(
        DataError, f"has the folders {', '.join(split_names)}, which are names of splits", "Name them train and test"
    ):
        load(f"folder:{tmp_path}", "train")


def test_files_and_classes_that_are_not_trained_on_are_said(tmp_path: Path) -> None:
    for index in range(10):
        saved(tmp_path / "a" / f"{index}.png")
    assert load(f"folder:{tmp_path}", "train").note == ""
    saved(tmp_path / "b" / "1.png")  # the eleventh, which is to test
    for name in ("1.heic", "2.heic", "3.txt", "Thumbs.db"):
        (tmp_path / "a" / name).touch()
    (tmp_path / ".DS_Store").touch()
    assert load(f"folder:{tmp_path}", "train").note == (
        "4 files do not have the extension of an image and were ignored: '1.heic', '2.heic', '3.txt', …; "
        "the class 'b' has no training image"
    )
    data, recipe = load(f"folder:{tmp_path}", "train"), zoo.plugin.Recipe(leave_out=0)
    with raises(
        SettingError, "leave_out = 0 leaves nothing of the train split", "only that class", "Leave out another"
    ):
        batches.split(data, recipe)


def test_split_folder_errors(tmp_path: Path) -> None:
    saved(tmp_path / "train" / "cat" / "1.png")
    (tmp_path / "test").mkdir()
    with raises(DataError, tmp_path / "test", "no images"):
        load(f"folder:{tmp_path}", "train")
    saved(tmp_path / "test" / "1.png")
    with raises(DataError, tmp_path, "class folders in train and none in test"):
        load(f"folder:{tmp_path}", "train")
    (tmp_path / "test" / "1.png").unlink()
    odd = saved(tmp_path / "test" / "cat" / "1.png", size=(9, 9))
    with raises(DataError, odd, "9x9"):  # also when only the other split is wanted
        load(f"folder:{tmp_path}", "train")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.6])
def test_damaged_image(keep: float, ending: str, tmp_path: Path) -> None:
    for index in range(2):
        path = tmp_path / f"{index}.{ending}"
        Pillow.fromarray(np.frombuffer(NOISE[: 64 * 64 * 3], np.uint8).reshape(64, 64, 3)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with raises(DataError, path, "damaged or not an image", "Replace it or remove it"):
        load(f"folder:{tmp_path}", "train")


def test_random_damage_is_an_error_or_a_image(tmp_path: Path) -> None:
    numbers = np.random.default_rng(2)
    for ending in ("png", "jpg", "gif", "bmp", "webp"):
        path = tmp_path / ending / f"1.{ending}"
        path.parent.mkdir()
        for name in ("0", "1"):
            Pillow.fromarray(numbers.integers(0, 256, (9, 9, 3), np.uint8)).save(path.with_name(f"{name}.{ending}"))
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        errors = []
        for _ in range(60):
            content = whole.copy()
            content[numbers.integers(0, len(content), 4)] = numbers.integers(0, 256, 4)
            path.write_bytes(content.tobytes())
            try:
                load(f"folder:{path.parent}", "train")
            except DataError as error:
                errors.append(str(error))
        assert errors
        assert all(str(path) in error and len(error.splitlines()) == 1 for error in errors)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(4097, 1), (1, 4097), (10_000, 10_000), (60_000, 60_000)])
def test_huge_image(size: tuple[int, int], tmp_path: Path) -> None:
    saved(tmp_path / "0.png")
    path = tmp_path / "1.png"
    path.write_bytes(png_header(*size))
    with raises(DataError, path, "larger than 4096x4096", "--set data.size=64"):
        load(f"folder:{tmp_path}", "train")


def test_more_images_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "0.png")
    saved(tmp_path / "1.png")

    def none_left(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", none_left)
    with raises(DataError, "1 images of 4x3", "12 bytes", "Set ZOO_MEMORY to less"):
        load(f"folder:{tmp_path}", "train")


def test_images_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "a" / "0.png")
    saved(tmp_path / "a" / "1.png")
    with monkeypatch.context() as patch:

        def deny(path: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        for name in ("listdir", "scandir"):
            with patch.context() as inner:
                inner.setattr(os, name, deny)
                with raises(DataError, tmp_path, "Permission denied"):
                    load(f"folder:{tmp_path}", "train")
        patch.setattr(Pillow, "open", lambda path, formats: deny(path))
        with raises(DataError, tmp_path / "a" / "1.png", "Permission denied", "permissions"):
            load(f"folder:{tmp_path}", "train")


def test_warnings_are_as_they_were(tmp_path: Path) -> None:
    saved(tmp_path / "0.png")
    saved(tmp_path / "1.png")
    before = list(warnings.filters)
    load(f"folder:{tmp_path}", "train")
    assert warnings.filters == before


# Streams


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Forty images in colour and two classes, of every kind of file."""
    numbers = np.random.default_rng(3)
    for index in range(40):
        ending = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif")[index % 7]
        pixels = numbers.integers(0, 256, (12, 10, 3), np.uint8)
        path = tmp_path / "many" / ("even" if index % 2 == 0 else "odd") / f"{index:02}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Pillow.fromarray(pixels)
        if ending == ".png":
            image = image.convert("P")
        image.save(path, **({"transparency": bytes([0, 9, 200])} if ending == ".png" else {}))
    return tmp_path / "many"


@pytest.mark.parametrize("small", [0, stream.SMALL], ids=["threads", "one after the other"])
def test_a_stream_gives_the_pixels_of_memory(small: int, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SMALL", small)
    splits: tuple[Split, Split] = ("train", "test")
    for split in splits:
        monkeypatch.setenv("ZOO_MEMORY", str(40 * 360))  # exactly what both splits take
        held = load(f"folder:{many}", split)
        monkeypatch.setenv("ZOO_MEMORY", str(40 * 360 - 1))
        streamed = load(f"folder:{many}", split)
        assert isinstance(held.x, np.ndarray)
        assert isinstance(streamed.x, Stream)
        assert streamed.x.shape == held.x.shape
        assert len(streamed) == len(held)
        assert streamed.sample == held.sample
        assert (streamed.labels == held.labels).all()  # type: ignore[union-attr]
        order = np.random.default_rng(4).permutation(len(held))
        for indices in (order, order[:1], order[:0], np.array([0, 0, len(held) - 1])):
            read = streamed.x.read(indices)
            assert read.dtype == np.uint8
            assert read.flags.c_contiguous
            assert read.flags.writeable
            assert (read == held.x[indices]).all()
            assert (streamed.read(indices) == held.read(indices)).all()


def test_a_stream_is_read_from_several_threads(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load(f"folder:{many}", "train")
    monkeypatch.setenv("ZOO_MEMORY", "0")
    images = load(f"folder:{many}", "train").x
    assert isinstance(images, Stream)
    orders = [np.random.default_rng(seed).permutation(len(whole)) for seed in range(8)]
    before = list(warnings.filters)
    monkeypatch.setattr("zoo.data.stream.SMALL", 0)
    with ThreadPoolExecutor(4) as pool:
        for order, read in zip(orders, pool.map(images.read, orders), strict=True):
            assert (read == whole.read(order)).all()
    assert warnings.filters == before


@pytest.mark.parametrize("small", [0, stream.SMALL], ids=["threads", "one after the other"])
def test_nothing_is_decoded_before_it_is_asked_for(small: int, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged image is an error when it is read, one of another size at once."""
    monkeypatch.setattr(stream, "SMALL", small)
    path = many / "even" / "00.png"
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with raises(DataError, path, "damaged"):
        load(f"folder:{many}", "test")
    monkeypatch.setenv("ZOO_MEMORY", "1KB")
    images = load(f"folder:{many}", "test").x
    assert isinstance(images, Stream)
    images.read(np.array([place for place, one in enumerate(images.paths) if one != path]))
    with raises(DataError, path, "damaged or not an image", "Replace it or remove it"):
        images.read(np.arange(len(images)))
    saved(path, "RGB", size=(5, 5))
    with raises(DataError, path, "is now 5x5 pixels, and was 10x12"):
        images.read(np.arange(len(images)))
    with raises(DataError, path, "5x5"):
        load(f"folder:{many}", "test")
    path.unlink()
    with raises(DataError, path, "No such file"):
        images.read(np.arange(len(images)))


def test_the_fingerprint_of_a_stream(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, sizes, classes and the form: what is known without reading the files."""
    monkeypatch.setenv("ZOO_MEMORY", "0")

    def fingerprint() -> str:
        return load(f"folder:{many}", "train").sha256

    first = fingerprint()
    assert fingerprint() == first
    assert load(f"folder:{many}", "test").sha256 != first
    moved = many.rename(many.with_name("moved"))
    assert load(f"folder:{moved}", "train").sha256 == first  # wherever it lies
    path = moved.rename(many) / "odd" / "03.bmp"
    with open(path, "ab") as file:
        file.write(b"x")
    longer = fingerprint()
    path.rename(path.with_name("03b.bmp"))
    renamed = fingerprint()
    assert len({first, longer, renamed}) == 3


@pytest.mark.parametrize(
    ("given", "found"),
    [("1000", 1000), ("2KB", 2000), ("1.5 GB", 1_500_000_000), ("3mib", 3 * 2**20), ("0", 0), (" 8GiB ", 8 * 2**30)],
)
def test_amounts_of_memory(given: str, found: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_MEMORY", given)
    assert memory.limit() == found


@pytest.mark.parametrize("given", ["much", "-1", "5 bananas", "GB", "1,5GB"])
def test_what_is_no_amount_of_memory(given: str, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_MEMORY", given)
    with raises(SettingError, f"ZOO_MEMORY = {given!r}", "8GB"):
        load(f"folder:{many}", "train")


def test_half_of_the_memory_that_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_MEMORY", raising=False)
    monkeypatch.setattr(memory, "_machine", lambda: 2**20)
    assert memory.limit() <= 2**19
    monkeypatch.undo()
    assert 2**24 < memory.limit() < 2**45


@pytest.mark.slow
def test_a_model_trains_on_a_stream_as_on_memory(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    for limit in ("1GB", "0"):
        monkeypatch.setenv("ZOO_MEMORY", limit)
        run = zoo.train("ae.tiny", data=f"folder:{many}", set={"steps": 3}, out=tmp_path / limit, quiet=True)
        weights.append((run.folder / "release" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
