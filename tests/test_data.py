"""Data sets: the bundled, the published, the user's own, and the downloads, against a server on this machine."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile

import zoo.data
from zoo.data import DataSet, data_folder, digits, folder, load, mnist, text
from zoo.data.dataset import fingerprint
from zoo.data.download import fetch
from zoo.data.store import KnownFile, obtain
from zoo.errors import DataError, MissingPackageError, SettingError, ZooError
from zoo.specs import Image, Sample, Text

NOISE = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


@contextmanager
def refused(*words: object, kind: type[ZooError] = DataError) -> Iterator[None]:
    """The block raises an error of `kind` in one line that has all `words`."""
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    assert type(caught.value) is kind
    assert len(message.splitlines()) == 1
    assert message.endswith((".", "]'"))
    for word in words:
        assert str(word) in message


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor the data folder of whoever runs the tests has a part in them."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with the published files."""
    if not (given := REAL):
        pytest.skip("set ZOO_DATA_DIR to a folder with mnist/ and shakespeare/ to test the published files")
    return Path(given)


REAL = os.environ.get("ZOO_DATA_DIR")


def known(address: str, content: bytes = NOISE, name: str = "noise.bin", *more: str) -> KnownFile:
    return KnownFile(
        name=name,
        folders=("set", ""),
        addresses=(address, *more),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


# Names and folders


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mnits",
            ["'mnits'", "Did you mean 'mnist'?", "digits, mnist, shakespeare, descriptions", "folder:DIR", "text:FILE"],
        ),
        ("foldr:pics", ["'foldr:pics'", "Did you mean 'folder'?"]),
        ("mnist:train", ["'mnist:train'", "Did you mean 'mnist'?"]),
        ("", ["''", "digits"]),
        ("folder:", ["'folder:'", "Write folder:DIR"]),
        ("folder", ["'folder'", "Write folder:DIR"]),
        ("text:", ["'text:'", "Write text:FILE"]),
        ("new\nline", [r"'new\nline'"]),
    ],
)
def test_unknown_name(name: str, words: list[str]) -> None:
    with refused(*words):
        load(name, "train")


def test_a_path_without_its_kind(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("x")
    with refused(f"Did you mean {f'folder:{tmp_path}'!r}?"):
        load(str(tmp_path), "train")
    with refused(f"Did you mean {f'text:{tmp_path}/some.txt'!r}?"):
        load(f"{tmp_path}/some.txt", "train")


def test_bad_options() -> None:
    with refused("'val'", "train or test", kind=SettingError):
        load("digits", "val")  # type: ignore[arg-type]
    with refused("length 1", "at least 2", kind=SettingError):
        load("shakespeare", "train", length=1)


def test_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data_folder() == Path("/home/ada/.cache/zoo/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert data_folder() == Path("/home/ada/.cache/zoo/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder() == Path("/cache/zoo/data")
    monkeypatch.setenv("ZOO_DATA_DIR", "~/sets")
    assert data_folder() == Path("/home/ada/sets")
    assert data_folder("/mine") == Path("/mine")
    assert data_folder(Path("/mine")) == Path("/mine")


def test_needs_no_torch() -> None:
    pytest.importorskip("sklearn")
    code = """
        import sys
        from importlib.abc import MetaPathFinder

        class NoTorch(MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name.partition(".")[0] == "torch":
                    raise ModuleNotFoundError(name, name=name)

        sys.meta_path.insert(0, NoTorch())
        import zoo.data
        assert not {"sklearn", "urllib.request"} & sys.modules.keys()
        assert len(zoo.data.load("digits", "train")) == 1500
        """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True)


# digits


def test_digits() -> None:
    pytest.importorskip("sklearn")
    train, test = load("digits", "train"), load("digits", "test")
    assert train.sample == test.sample == Sample(Image(1, 8, 8), 10)
    assert (train.x.shape, test.x.shape) == ((1500, 1, 8, 8), (297, 1, 8, 8))
    assert (len(train), len(test)) == (1500, 297)
    usable(train)
    assert train.labels is not None
    assert train.labels[:5].tolist() == [0, 1, 2, 3, 4]
    assert train.labels.dtype == np.int64
    assert set(np.unique(train.x)) <= {round(value * 255 / 16) for value in range(17)}
    assert train.x[0, 0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0
    assert "Alpaydin" in train.source
    assert train.licence == "CC BY 4.0"
    assert train.sha256 != test.sha256
    assert train.sha256 == load("digits", "train").sha256


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with refused("scikit-learn", "'digits'", "pip install 'genzoo[train]'", kind=MissingPackageError):
        digits.load("train")


def usable(data: DataSet) -> None:
    """What torch.from_numpy wants, and a text for people in one line."""
    assert data.x.flags.c_contiguous
    assert data.x.flags.writeable
    assert len(repr(data).splitlines()) == len(data.source.splitlines()) == 1
    assert len(data.sha256) == 64


def test_fingerprint_tells_shapes_types_and_labels_apart() -> None:
    zeros, labels = np.zeros((2, 1, 2, 2), np.uint8), np.zeros(2, np.int64)
    prints = [
        fingerprint(zeros, None),
        fingerprint(zeros, labels),
        fingerprint(zeros, labels + 1),
        fingerprint(zeros.reshape(1, 2, 2, 2), None),
        fingerprint(zeros.view(np.int8), None),
        fingerprint(zeros + 1, None),
    ]
    assert len(set(prints)) == len(prints)


# mnist


def test_mnist_as_published(real: Path) -> None:
    train, test = load("mnist", "train", data_dir=real), load("mnist", "test", data_dir=real)
    assert (train.x.shape, test.x.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert train.sample == Sample(Image(1, 28, 28), 10)
    usable(train)
    usable(test)
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(train.x.mean() / 255, 4) == 0.1307  # the mean that everybody uses
    assert round(train.x.std() / 255, 4) == 0.3081
    assert train.licence == "CC BY-SA 3.0"


def test_mnist_reads_only_its_split_and_takes_unpacked_files_without_a_subfolder(real: Path, tmp_path: Path) -> None:
    for file in mnist.FILES["test"]:
        content = gzip.decompress((real / "mnist" / file.name).read_bytes())
        (tmp_path / file.name.removesuffix(".gz")).write_bytes(content)
    assert len(load("mnist", "test", data_dir=tmp_path)) == 10000


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """MNIST with three pictures to train on, at addresses where nobody answers; its packed files."""
    images, labels = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28), np.array([7, 0, 9], np.uint8)
    files, packed = [], {}
    for file, array in zip(mnist.FILES["train"], (images, labels), strict=True):
        files.append(known(closed_port(), idx(array), file.name))
        files[-1] = dataclasses.replace(files[-1], folders=("mnist", ""))
        packed[file.name] = gzip.compress(idx(array))
    monkeypatch.setitem(mnist.FILES, "train", tuple(files))
    return packed


def test_mnist_from_files(small_mnist: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for name, content in small_mnist.items():
        (tmp_path / "mnist" / name).write_bytes(content)
    data = load("mnist", "train", data_dir=tmp_path)
    assert data.x.ravel().tolist() == (np.arange(3 * 28 * 28) % 256).tolist()
    assert data.x.shape == (3, 1, 28, 28)
    assert data.labels is not None
    assert data.labels.tolist() == [7, 0, 9]
    unpacked = b"".join(gzip.decompress(content) for content in small_mnist.values())
    assert data.sha256 == hashlib.sha256(unpacked).hexdigest()
    usable(data)


def test_mnist_offline(small_mnist: dict[str, bytes], tmp_path: Path) -> None:
    address = mnist.FILES["train"][0].addresses[0]
    with refused("train-images-idx3-ubyte.gz", address, f"into {tmp_path / 'mnist'}", "ZOO_DATA_DIR", "refused"):
        load("mnist", "train", data_dir=tmp_path)
    assert list((tmp_path / "mnist").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (gzip.compress(b"other"), hashlib.sha256(b"other").hexdigest()),
        (b"<html>", "damaged gzip data"),
        (gzip.compress(NOISE[:2000])[:-9], "damaged gzip data"),
        (gzip.compress(bytes(10_000_000))[:-9], "more than 2,368 bytes"),
        (b"", hashlib.sha256(b"").hexdigest()),
    ],
    ids=["other", "html", "truncated", "bomb", "empty"],
)
def test_mnist_with_a_wrong_file(content: bytes, found: str, small_mnist: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.parent.mkdir()
    path.write_bytes(content)
    with refused(path, f"SHA-256 {mnist.FILES['train'][0].sha256}", f"found {found}", "Delete it", "run again"):
        load("mnist", "train", data_dir=tmp_path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read(
    small_mnist: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(b"")

    def deny(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(gzip, "open", deny)  # whoever runs as root may read every file
    with refused(path, "Permission denied", "Check its permissions"):
        load("mnist", "train", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["0 bytes", "begins with nothing"]),
        (b"\0\0\x0d\x01" + bytes(8), ["begins with 00 00 0d 01, not 00 00 08 01"]),
        (b"\0\0\x08\x02" + bytes(8), ["begins with 00 00 08 02", "1 dimensions"]),
        (b"\0\0\x08\x01\0\0", ["6 bytes"]),
        (idx(np.zeros(5, np.uint8))[:-1], ["shape (5,)", "5 bytes", "has 4"]),
        (idx(np.zeros(5, np.uint8)) + b"x", ["shape (5,)", "has 6"]),
        (b"\0\0\x08\x01\xff\xff\xff\xff", ["shape (4294967295,)", "has 0"]),
    ],
)
def test_damaged_idx(content: bytes, words: list[str]) -> None:
    with refused("labels.idx", "Delete it and run again", *words):
        mnist.parse_idx(content, 1, "labels.idx")


# Text


def test_shakespeare_as_published(real: Path) -> None:
    train, test = load("shakespeare", "train", data_dir=real), load("shakespeare", "test", data_dir=real)
    assert (len(train.x), len(test.x)) == (1003854, 111540)
    assert isinstance(train.sample.x, Text)
    vocabulary = train.sample.x.vocabulary
    assert vocabulary == test.sample.x.vocabulary  # type: ignore[union-attr]
    assert len(vocabulary) == 65
    assert vocabulary[0] == "\n"
    assert train.x.dtype == np.uint8
    assert "".join(vocabulary[index] for index in train.x[:14]) == "First Citizen:"
    assert train.labels is None
    assert train.sha256 == text.SHAKESPEARE.sha256
    assert len(train) == (1003854 - 1) // 127
    usable(train)


def test_descriptions_need_no_download(tmp_path: Path) -> None:
    train, test = (load("descriptions", split, data_dir=tmp_path, length=16) for split in ("train", "test"))
    assert len(train.x) > 8 * len(test.x) > 8_000
    assert train.sample == test.sample
    words = "".join(train.sample.x.vocabulary[index] for index in train.x)
    assert "Fisher" in words
    assert not list(tmp_path.iterdir())


def test_shakespeare_is_looked_for_in_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"To be, or not to be: that is the question.\n" * 4
    small = dataclasses.replace(known(closed_port(), content, "input.txt"), folders=text.SHAKESPEARE.folders)
    monkeypatch.setattr(text, "SHAKESPEARE", small)
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
    for place in ("shakespeare", "tinyshakespeare", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        path = tmp_path / place / "input.txt"
        path.write_bytes(content)
        assert load("shakespeare", "test", length=8).name == "shakespeare"
        path.unlink()
    with refused(f"Put input.txt into {tmp_path / 'shakespeare'}", small.addresses[0]):
        load("shakespeare", "test", length=8)
    path.write_bytes(b"My own.")
    with refused(path, small.sha256, hashlib.sha256(b"My own.").hexdigest()):
        load("shakespeare", "test", length=8)


def test_own_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    written = "ein Märchen\n\tzwei 🦊\n" * 10
    path.write_text(written, "utf-8")
    train, test = load(f"text:{path}", "train", length=5), load(f"text:{path}", "test", length=5)
    assert isinstance(train.sample.x, Text)
    vocabulary = train.sample.x.vocabulary
    assert vocabulary == "\n" + "".join(sorted(set(written) - {"\n"}))
    assert vocabulary[1] == "\t"
    assert "".join(vocabulary[index] for index in [*train.x, *test.x]) == written
    assert len(train.x) == len(written) * 9 // 10
    assert (train.name, train.licence, train.labels) == ("text:notes.txt", "unknown", None)
    assert train.sha256 == hashlib.sha256(written.encode()).hexdigest()
    assert str(tmp_path) not in repr(train)
    usable(train)
    usable(test)


@pytest.mark.parametrize("count", [10, 11, 12, 13, 14, 97])
@pytest.mark.parametrize("length", [2, 3, 4])
def test_windows_predict_each_character_but_the_first_once(count: int, length: int) -> None:
    x = np.arange(count)
    data = DataSet(
        name="t", split="train", sample=Sample(Text("ab", length)), x=x, labels=None, source="", licence="", sha256=""
    )
    windows = [x[index * (length - 1) :][:length] for index in range(len(data))]
    assert all(len(window) == length for window in windows)
    predicted = np.concatenate([window[1:] for window in windows]).tolist()
    assert predicted == list(range(1, len(predicted) + 1))
    assert count - 1 - len(predicted) < length - 1  # no whole window is left over


def test_text_without_newline_and_with_what_windows_adds(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"cab" * 20)
    assert load(f"text:{path}", "train", length=4).sample.x == Text("abc", 4)
    path.write_bytes(b"\xef\xbb\xbf" + b"one\r\ntwo\r\n" * 10)
    assert load(f"text:{path}", "train", length=4).sample.x == Text("\nenotw", 4)


def test_text_with_many_characters_takes_two_bytes_each(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    path.write_text(characters, "utf-8")
    data = load(f"text:{path}", "train", length=4)
    assert data.x.dtype == np.uint16
    assert data.x.tolist() == list(range(270))
    usable(data)


def test_text_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    with refused(path, "does not exist", "after 'text:'"):
        load(f"text:{path}", "train")
    with refused(tmp_path, "is a folder", "folder:"):
        load(f"text:{tmp_path}", "train")
    path.write_bytes(b"good" * 100 + b"\xff\xfe")
    with refused("text:a.txt", "not UTF-8", "byte at 400 is 0xff", "Save it as UTF-8"):
        load(f"text:{path}", "train")
    path.write_bytes(b"x" * 100)
    for split in ("train", "test"):
        with refused("100 characters", "90 are to train", "10 to test", "one window of 11", "smaller length"):
            load(f"text:{path}", split, length=11)  # type: ignore[arg-type]
    assert len(load(f"text:{path}", "test", length=10)) == 1
    path.write_bytes(b"")
    with refused("0 characters", "one window of 128"):
        load(f"text:{path}", "train")
    path.write_text("".join(map(chr, range(0x10000, 0x20000))), "utf-8")
    with refused("65,536 different characters", "at most 65,535"):
        load(f"text:{path}", "train")
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with refused(path, "Permission denied"):
        load(f"text:{path}", "train")


# Folders of pictures


def picture(path: Path, mode: str = "L", size: tuple[int, int] = (4, 3), value: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new(mode, size, value if len(mode) < 3 or mode.startswith("I") else (value,) * len(mode)).save(
        path, **options
    )
    return path


def test_folder_with_classes(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    for index in range(12):
        picture(root / "dog" / f"{index:02}.png", value=100 + index)
    for index in range(9):
        picture(root / "cat" / "deeper" / "still" / f"{index}.BMP", value=index)
    picture(root / "dog" / ".hidden.png", value=9, size=(9, 9))
    picture(root / "dog" / ".thumbnails" / "1.png", size=(9, 9))
    picture(root / ".cache" / "a.png", size=(9, 9))
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("no picture")
    (root / "dog" / "labels.csv").write_text("no picture")
    train, test = load(f"folder:{root}", "train"), load(f"folder:{root}", "test")
    assert train.sample == test.sample == Sample(Image(1, 3, 4), classes=2)
    assert test.x[:, 0, 0, 0].tolist() == [0, 101, 111]  # the first, the eleventh and the last of 21
    assert train.x[:, 0, 0, 0].tolist() == [*range(1, 9), 100, *range(102, 111)]
    assert test.labels is not None
    assert train.labels is not None
    assert test.labels.tolist() == [0, 1, 1]
    assert train.labels.tolist() == [0] * 8 + [1] * 10
    assert train.labels.dtype == np.int64
    assert (train.name, train.licence) == ("folder:pics", "unknown")
    assert str(tmp_path) not in repr(train)
    usable(train)


def test_folder_without_classes(tmp_path: Path) -> None:
    for index, ending in enumerate(folder.ENDINGS):
        picture(tmp_path / f"{index}{ending}", "RGB", value=40 * index)
    train, test = load(f"folder:{tmp_path}", "train"), load(f"folder:{tmp_path}", "test")
    assert (len(train), len(test)) == (5, 1)
    assert train.sample == Sample(Image(3, 3, 4), classes=0)
    assert train.labels is None
    assert np.abs(train.x[:, :, 0, 0].astype(int) - np.arange(40, 240, 40)[:, None]).max() <= 2  # some are lossy


def test_folder_with_its_own_splits(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "b" / "1.png", value=1)
    picture(tmp_path / "train" / "c" / "1.png", value=2)
    picture(tmp_path / "test" / "a" / "1.png", "RGB", value=3)
    picture(tmp_path / "test" / "c" / "1.png", value=4)
    train, test = load(f"folder:{tmp_path}", "train"), load(f"folder:{tmp_path}", "test")
    assert train.sample == test.sample == Sample(Image(3, 3, 4), classes=3)  # what either split has, both have
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels.tolist() == [1, 2]
    assert test.labels.tolist() == [0, 2]
    assert train.x[:, :, 0, 0].tolist() == [[1] * 3, [2] * 3]


def test_a_class_folder_may_be_a_link_and_links_in_a_circle_end(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "1.png")
    root = tmp_path / "pics"
    picture(root / "a" / "1.png")
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
    picture(tmp_path / "0.png", "RGB", value=1)
    picture(tmp_path / "1.png", "L", value=2)
    picture(tmp_path / "2.png", "LA", value=3)
    Pillow.fromarray(np.full((3, 4), 4 * 257, np.uint16)).save(tmp_path / "3.png")
    data = load(f"folder:{tmp_path}", "train")
    assert data.x[:, :, 0, 0].tolist() == [[2] * 3, [3] * 3, [4] * 3]


def test_transparent_palette_and_animation(tmp_path: Path) -> None:
    palette = Pillow.new("P", (4, 3), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    palette.save(tmp_path / "b.png", transparency=1)
    frames = [Pillow.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    both = np.concatenate([load(f"folder:{tmp_path}", split).x for split in ("test", "train")])  # type: ignore[arg-type]
    assert both[:, :, 0, 0].tolist() == [[10, 20, 30], [10, 20, 30], [255, 0, 0]]


def test_folder_errors(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    with refused(root, "does not exist", "after 'folder:'"):
        load(f"folder:{root}", "train")
    with refused(r"new\nline"):
        load("folder:new\nline", "train")
    root.mkdir()
    (root / "movie.mp4").write_bytes(b"")
    with refused(root, "no pictures", ".png, .jpg, .jpeg, .bmp, .gif, .webp"):
        load(f"folder:{root}", "train")
    with refused(root / "movie.mp4", "is a file", "Name the folder"):
        load(f"folder:{root}/movie.mp4", "train")
    picture(root / "1.png")
    with refused(root, "1 picture", "at least 2", "Add more"):
        load(f"folder:{root}", "train")
    odd = picture(root / "2.png", size=(5, 7))
    with refused(root / "1.png", "4x3", odd, "5x7", "Resize or remove"):
        load(f"folder:{root}", "train")
    odd.unlink()
    picture(root / "cats" / "2.png")
    with refused(root, "'1.png'", "'cats'", "Move them"):
        load(f"folder:{root}", "train")


def test_split_folder_errors(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "cat" / "1.png")
    (tmp_path / "test").mkdir()
    with refused(tmp_path / "test", "no pictures"):
        load(f"folder:{tmp_path}", "train")
    picture(tmp_path / "test" / "1.png")
    with refused(tmp_path, "class folders in train and none in test"):
        load(f"folder:{tmp_path}", "train")
    (tmp_path / "test" / "1.png").unlink()
    odd = picture(tmp_path / "test" / "cat" / "1.png", size=(9, 9))
    with refused(odd, "9x9"):  # also when only the other split is wanted
        load(f"folder:{tmp_path}", "train")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.6])
def test_damaged_picture(keep: float, ending: str, tmp_path: Path) -> None:
    for index in range(2):
        path = tmp_path / f"{index}.{ending}"
        Pillow.fromarray(np.frombuffer(NOISE[: 64 * 64 * 3], np.uint8).reshape(64, 64, 3)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with refused(path, "damaged or no picture", "Replace it or remove it"):
        load(f"folder:{tmp_path}", "train")


def test_random_damage_is_an_error_or_a_picture(tmp_path: Path) -> None:
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
def test_huge_picture(size: tuple[int, int], tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    path = tmp_path / "1.png"
    path.write_bytes(png_header(*size))
    with refused(path, "larger than 4096x4096", "Make it smaller"):
        load(f"folder:{tmp_path}", "train")


def test_more_pictures_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "0.png")
    picture(tmp_path / "1.png")

    def none_left(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", none_left)
    with refused("1 pictures of 4x3", "12 bytes", "fewer or smaller"):
        load(f"folder:{tmp_path}", "train")


def test_pictures_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a" / "0.png")
    picture(tmp_path / "a" / "1.png")
    with monkeypatch.context() as patch:

        def deny(path: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        for name in ("listdir", "scandir"):
            with patch.context() as inner:
                inner.setattr(os, name, deny)
                with refused(tmp_path, "Permission denied"):
                    load(f"folder:{tmp_path}", "train")
        patch.setattr(Pillow, "open", lambda path, formats: deny(path))
        with refused(tmp_path / "a" / "1.png", "Permission denied", "permissions"):
            load(f"folder:{tmp_path}", "train")


def test_warnings_are_as_they_were(tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    picture(tmp_path / "1.png")
    before = list(warnings.filters)
    load(f"folder:{tmp_path}", "train")
    assert warnings.filters == before


# Downloads


class Handler(BaseHTTPRequestHandler):
    """Answers a path by the next step of its plan; without a plan, well."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = self.headers.get("Range")
        self.server.log.append((path, asked))
        plan = self.server.plans.get(path, [])
        step = plan.pop(0) if plan else "well"
        content = self.server.files.get(path)
        if content is None or step.isdecimal():
            return self.send_error(int(step) if step.isdecimal() else 404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if step == "ignore range":
            start = 0
        if step == "corrupt":
            content = bytes(len(content))
        if start and start >= len(content):
            return self.send_error(416)
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            at = 0 if step == "other range" else start
            self.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        if step == "no length":
            self.close_connection = True
        else:
            self.send_header(
                "Content-Length", {"odd length": "soon", "endless length": "9" * 5000}.get(step, str(len(body)))
            )
        self.end_headers()
        if step == "wait":
            self.wfile.write(body[:1000])
            assert self.server.gate.wait(20)
            body = body[1000:]
        if step in ("cut", "reset", "odd length", "endless length"):
            self.close_connection = True
        if step in ("cut", "reset"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if step == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"noise.bin": NOISE}
        self.plans: dict[str, list[str]] = {}
        self.log: list[tuple[str, str | None]] = []
        self.gate = threading.Event()

    def address(self, path: str = "noise.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client went away, as some tests want


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None, str]] = []
    file = known(server.address())
    assert obtain(file, tmp_path, lambda *args: told.append(args)) == NOISE
    assert (tmp_path / "set" / "noise.bin").read_bytes() == NOISE
    assert names(tmp_path / "set") == ["noise.bin"]
    assert told[-1] == (len(NOISE), len(NOISE), "noise.bin")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert obtain(file, tmp_path) == NOISE
    assert len(server.log) == 1  # the second time it was there


def test_download_of_mnist(small_mnist: dict[str, bytes], server: Server, tmp_path: Path) -> None:
    server.files |= small_mnist
    files = mnist.FILES["train"]
    mnist.FILES["train"] = tuple(  # type: ignore[assignment]
        dataclasses.replace(file, addresses=(closed_port(), server.address(file.name))) for file in files
    )
    assert load("mnist", "train", data_dir=tmp_path).x.shape == (3, 1, 28, 28)
    assert names(tmp_path / "mnist") == sorted(small_mnist)
    assert (tmp_path / "mnist" / files[0].name).read_bytes() == small_mnist[files[0].name]  # kept packed


@pytest.mark.parametrize("step", ["cut", "reset"])
def test_a_connection_that_is_cut_is_resumed(step: str, server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = [step, step]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    assert server.log[0] == ("noise.bin", None)
    if step == "cut":
        assert server.log[1:] == [("noise.bin", "bytes=150000-"), ("noise.bin", "bytes=225000-")]
    assert len(server.log) == 3
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.parametrize("step", ["ignore range", "other range", "416"])
def test_a_part_that_cannot_be_resumed_is_started_over(step: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.part").write_bytes(NOISE[:1000])
    server.plans["noise.bin"] = [step]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    assert server.log[0] == ("noise.bin", "bytes=1000-")
    assert names(tmp_path) == ["noise.bin"]


def test_a_part_of_another_file_is_started_over_at_the_same_address(server: Server, tmp_path: Path) -> None:
    for left in (b"x" * 1000, b"x" * 400_000):  # the second is longer than the file: 416
        (tmp_path / "noise.bin.part").write_bytes(left)
        assert fetch(known(server.address()), tmp_path, tries=1, pause=0) == NOISE
    assert [asked for _, asked in server.log] == ["bytes=1000-", None, "bytes=400000-", None]


def test_a_part_that_is_complete_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.part").write_bytes(NOISE)
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log == [("noise.bin", "bytes=300000-")]
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.parametrize("step", ["no length", "odd length", "endless length"])
def test_without_a_length(step: str, server: Server, tmp_path: Path) -> None:
    told: list[int | None] = []
    server.plans["noise.bin"] = [step]
    assert fetch(known(server.address()), tmp_path, lambda done, total, name: told.append(total)) == NOISE
    assert set(told) == {None}


def test_a_corrupt_mirror_is_passed_over(server: Server, tmp_path: Path) -> None:
    server.files["mirror"] = NOISE
    server.plans["noise.bin"] = ["corrupt"]
    file = known(server.address(), NOISE, "noise.bin", server.address("mirror"))
    assert fetch(file, tmp_path) == NOISE
    assert server.log == [("noise.bin", None), ("mirror", None)]  # from the start, not onto the corrupt bytes


def test_corrupt_everywhere(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["corrupt"]
    file = known(closed_port(), NOISE, "noise.bin", server.address(), server.address("none"))
    found = hashlib.sha256(bytes(len(NOISE))).hexdigest()
    with refused(
        f"SHA-256 {file.sha256}", f"found {found}", server.address(), "2 more", f"Put noise.bin into {tmp_path}"
    ):
        fetch(file, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["well", "no length"])
def test_no_more_is_read_than_the_known_size(step: str, server: Server, tmp_path: Path) -> None:
    told: list[int] = []
    server.plans["noise.bin"] = [step]
    with refused("more than 1,000 bytes", "noise.bin"):
        fetch(known(server.address(), NOISE[:1000]), tmp_path, lambda done, *rest: told.append(done))
    assert told == []
    assert names(tmp_path) == []


def test_a_bomb_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    server.files["noise.bin"] = gzip.compress(bytes(20_000_000))[:-9]  # its damaged end is not reached
    with refused("more than 300,000 bytes", "noise.gz"):
        fetch(known(server.address(), NOISE, "noise.gz"), tmp_path)
    assert names(tmp_path) == []


def test_a_page_instead_of_a_file(server: Server, tmp_path: Path) -> None:
    server.files["noise.bin"] = b"<html>Please log in</html>"
    with refused("damaged gzip data", "noise.gz", hashlib.sha256(NOISE).hexdigest()):
        fetch(known(server.address(), NOISE, "noise.gz"), tmp_path)
    assert names(tmp_path) == []


def test_not_found_is_asked_once_and_a_busy_server_again(server: Server, tmp_path: Path) -> None:
    with refused("HTTP 404", server.address("none"), f"Put noise.bin into {tmp_path}", "ZOO_DATA_DIR"):
        fetch(known(server.address("none")), tmp_path, pause=0)
    assert len(server.log) == 1
    server.plans["noise.bin"] = ["503", "429"]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    server.plans["noise.bin"] = ["503"] * 5
    with refused("HTTP 503"):
        fetch(known(server.address()), tmp_path / "again", pause=0)
    assert server.plans["noise.bin"] == ["503"] * 2  # three tries


def test_a_server_that_falls_silent(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["wait"]
    assert fetch(known(server.address()), tmp_path, timeout=0.2, pause=0) == NOISE
    assert server.log == [("noise.bin", None), ("noise.bin", "bytes=1000-")]


def test_cut_too_often_keeps_the_part(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["cut"] * 3
    with refused("cut after 262,500 of 300,000 bytes", server.address()):
        fetch(known(server.address()), tmp_path, pause=0)
    assert names(tmp_path) == ["noise.bin.part"]
    assert (tmp_path / "noise.bin.part").read_bytes() == NOISE[:262_500]


def test_nobody_answers(tmp_path: Path) -> None:
    address = closed_port()
    with refused(f"from {address} (", "refused", f"Put noise.bin into {tmp_path}", "ZOO_DATA_DIR"):
        fetch(known(address), tmp_path)
    assert names(tmp_path) == []


def test_interrupted_by_the_keyboard(server: Server, tmp_path: Path) -> None:
    def press(done: int, total: int | None, name: str) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(known(server.address()), tmp_path, press)
    assert names(tmp_path) == ["noise.bin.part"]
    kept = (tmp_path / "noise.bin.part").stat().st_size
    assert kept > 100_000
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log[-1] == ("noise.bin", f"bytes={kept}-")
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks; parts are not resumed there")
def test_a_killed_process_leaves_a_part_that_is_resumed(server: Server, tmp_path: Path) -> None:
    code = f"""
        import os
        from pathlib import Path
        from zoo.data.download import fetch
        from zoo.data.store import KnownFile

        file = KnownFile(name="noise.bin", folders=("",), addresses=({server.address()!r},), size=300000, sha256="")
        fetch(file, Path({str(tmp_path)!r}), lambda done, total, name: done > 100_000 and os.kill(os.getpid(), 9))
        """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == -9
    assert names(tmp_path) == ["noise.bin.part"]
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log[-1][1] is not None


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    """The second comes while the first is in the middle, and is done before it."""
    server.plans["noise.bin"] = ["wait"]
    begun = threading.Event()
    results: list[bytes] = []
    file = known(server.address())
    first = threading.Thread(target=lambda: results.append(fetch(file, tmp_path, lambda *args: begun.set())))
    first.start()
    assert begun.wait(20)
    try:
        assert fetch(file, tmp_path) == NOISE
        assert server.log[-1] == ("noise.bin", None)  # not the first one's part
        assert (tmp_path / "noise.bin").read_bytes() == NOISE
        assert "noise.bin" in names(tmp_path)
    finally:
        server.gate.set()
        first.join()
    assert results == [NOISE]
    assert (tmp_path / "noise.bin").read_bytes() == NOISE
    assert names(tmp_path) == ["noise.bin"]


def test_many_at_once(server: Server, tmp_path: Path) -> None:
    """However they fall together, each gets the right bytes, and nothing is left lying."""
    server.plans["noise.bin"] = ["cut", "well", "cut", "ignore range", "reset", "503"]
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(known(server.address()), tmp_path, tries=8, pause=0)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {NOISE}
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_part_that_another_one_finishes_before_we_lock_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we have open then is no longer the part but the finished file, and must not be touched."""
    import fcntl

    lock = fcntl.flock

    def late(file: object, how: int) -> None:
        (tmp_path / "noise.bin.part").replace(tmp_path / "noise.bin")
        lock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    (tmp_path / "noise.bin.part").write_bytes(NOISE)
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log == [("noise.bin", None)]
    assert names(tmp_path) == ["noise.bin"]


def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with refused(tmp_path / "file" / "noise.bin", "could not be written", "ZOO_DATA_DIR"):
        fetch(known(server.address()), tmp_path / "file")
    (tmp_path / "noise.bin").mkdir()
    with refused(tmp_path / "noise.bin", "could not be written"):
        fetch(known(server.address()), tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_disk_that_is_full(server: Server, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the same call fails."""
    code = f"""
        import resource
        from pathlib import Path
        from zoo.data.download import fetch
        from zoo.data.store import KnownFile

        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        file = KnownFile(name="noise.bin", folders=("",), addresses=({server.address()!r},), size=300000, sha256="")
        fetch(file, Path({str(tmp_path)!r}))
        """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"zoo.errors.DataError: {str(tmp_path / 'noise.bin.part')!r} could not be written: File too")
    assert len(server.log) == 1  # asking again would not help


def test_names_are_what_load_takes() -> None:
    assert zoo.data.NAMES == ("digits", "mnist", "shakespeare", "descriptions")
