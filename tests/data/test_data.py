"""Data sets: names, the bundled, MNIST as published, and the table."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from conftest import raises, slow
from data_files import NAMED, NOISE, SPLITS, as_it_lies, closed_port, known, put, usable
from zoo.contract.specs import Image, Label, Sample
from zoo.core.errors import DataError, MissingPackageError, SettingError
from zoo.data import data_folder, idx, load, named, where
from zoo.data.data_split import fingerprint

pytestmark = pytest.mark.usefixtures("no_proxy")


# Names and folders


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mnits",
            [
                "'mnits'",
                "Did you mean 'mnist'?",
                "digits, emoji, fashion-mnist, fsdd, mnist",
                "array:FILE",
                "audio:DIR",
                "folder:DIR",
                "text:FILE",
                "video:DIR",
            ],
        ),
        ("foldr:pics", ["'foldr:pics'", "Did you mean 'folder'?"]),
        ("mnist:train", ["'mnist:train'", "Did you mean 'mnist'?"]),
        ("", ["''", "digits"]),
        ("folder:", ["'folder:'", "Write folder:DIR"]),
        ("folder", ["'folder'", "Write folder:DIR"]),
        ("text:", ["'text:'", "Write text:FILE"]),
        ("audio:", ["'audio:'", "Write audio:DIR"]),
        ("new\nline", [r"'new\nline'"]),
    ],
)
def test_unknown_name(name: str, words: list[str]) -> None:
    with raises(DataError, *words):
        load(name, "train")


def test_a_path_without_its_kind(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("x")
    with raises(DataError, f"Did you mean {f'folder:{tmp_path}'!r}?"):
        load(str(tmp_path), "train")
    with raises(DataError, f"Did you mean {f'text:{tmp_path}/some.txt'!r}?"):
        load(f"{tmp_path}/some.txt", "train")


def test_bad_options() -> None:
    with raises(SettingError, "'val'", "train or test"):
        load("digits", "val")  # type: ignore[arg-type]
    with raises(SettingError, "'shakespeare'", "length = 1", "at least 2"):
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
        assert not {"sklearn", "urllib.request", "numpy", "PIL"} & sys.modules.keys()
        assert len(zoo.data.load("digits", "train")) == 1500
        """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True)


# digits


def test_digits() -> None:
    pytest.importorskip("sklearn")
    train, test = load("digits", "train"), load("digits", "test")
    assert train.sample == test.sample == Sample(Image(1, 8, 8), {"label": Label(10)})
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


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, target = datasets.load_digits(return_X_y=True)
    read = [load("digits", split) for split in ("train", "test")]
    monkeypatch.setattr(Path, "is_file", lambda self: False)  # of a version that keeps its file elsewhere
    for sets in (read, [load("digits", split) for split in ("train", "test")]):
        x = np.concatenate([part.x for part in sets]).reshape(-1, 64)
        assert np.array_equal(x, np.rint(images * (255 / 16)))
        assert np.array_equal(np.concatenate([part.labels for part in sets]), target)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with raises(MissingPackageError, "scikit-learn", "'digits'", "pip install 'genzoo[train]'"):
        load("digits", "train")


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
    assert train.sample == Sample(Image(1, 28, 28), {"label": Label(10)})
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
    for file in named("mnist").files["test"]:
        content = gzip.decompress((real / "mnist" / file.name).read_bytes())
        (tmp_path / file.name.removesuffix(".gz")).write_bytes(content)
    assert len(load("mnist", "test", data_dir=tmp_path)) == 10000


def as_idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """MNIST with three images to train on, at addresses where nobody answers; its packed files."""
    images, labels = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28), np.array([7, 0, 9], np.uint8)
    files, packed = [], {}
    for file, array in zip(named("mnist").files["train"], (images, labels), strict=True):
        files.append(dataclasses.replace(known(closed_port(), as_idx(array), file.name), folders=("mnist", "")))
        packed[file.name] = gzip.compress(as_idx(array))
    put(monkeypatch, "mnist", files={**named("mnist").files, "train": tuple(files)})
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
    address = named("mnist").files["train"][0].addresses[0]
    with raises(
        DataError, "train-images-idx3-ubyte.gz", address, f"into {tmp_path / 'mnist'}", "ZOO_DATA_DIR", "refused"
    ):
        load("mnist", "train", data_dir=tmp_path)
    assert not (tmp_path / "mnist").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (gzip.compress(b"other"), hashlib.sha256(b"other").hexdigest()),
        (b"<html>", hashlib.sha256(b"<html>").hexdigest()),
        (gzip.compress(NOISE[:2000])[:-9], "damaged gzip data"),
        (gzip.compress(bytes(10_000_000))[:-9], "more than 2,368 bytes"),
        (b"", hashlib.sha256(b"").hexdigest()),
    ],
    ids=["other", "html", "truncated", "bomb", "empty"],
)
def test_mnist_with_a_wrong_file(content: bytes, found: str, small_mnist: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.parent.mkdir()
    for name, packed in small_mnist.items():
        (path.parent / name).write_bytes(packed)
    path.write_bytes(content)
    with raises(
        DataError,
        path,
        f"SHA-256 {named('mnist').files['train'][0].sha256}",
        f"found {found}",
        "Delete it",
        "run again",
    ):
        load("mnist", "train", data_dir=tmp_path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read(
    small_mnist: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, packed in small_mnist.items():
        (tmp_path / name).write_bytes(packed)
    path = tmp_path / "train-images-idx3-ubyte.gz"

    def deny(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(gzip, "open", deny)  # whoever runs as root may read every file
    with raises(DataError, path, "Permission denied", "Check its permissions"):
        load("mnist", "train", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["0 bytes", "begins with nothing"]),
        (b"\0\0\x0d\x01" + bytes(8), ["begins with 00 00 0d 01, not 00 00 08 01"]),
        (b"\0\0\x08\x02" + bytes(8), ["begins with 00 00 08 02", "1-dimensional"]),
        (b"\0\0\x08\x01\0\0", ["6 bytes"]),
        (as_idx(np.zeros(5, np.uint8))[:-1], ["shape (5,)", "5 bytes", "has 4"]),
        (as_idx(np.zeros(5, np.uint8)) + b"x", ["shape (5,)", "has 6"]),
        (b"\0\0\x08\x01\xff\xff\xff\xff", ["shape (4294967295,)", "has 0"]),
    ],
)
def test_damaged_idx(content: bytes, words: list[str]) -> None:
    with raises(DataError, "labels.idx", "Delete it and run again", *words):
        idx.parse_idx(content, 1, "labels.idx")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("form", ["anew", "unpacked", "unpacked by a browser"])
def test_what_is_inside_is_checked_however_it_is_packed(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, labels = np.arange(2 * 784).astype(np.uint8).reshape(2, 28, 28), np.array([9, 3], np.uint8)
    files = tuple(
        dataclasses.replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest(), addresses=())
        for file, content in zip(named(name).files["train"], map(as_idx, (images, labels)), strict=True)
    )
    put(monkeypatch, name, files={"train": files, "test": files})
    (tmp_path / name).mkdir()
    for file, content in zip(files, map(as_idx, (images, labels)), strict=True):
        path = tmp_path / name / file.name
        path.with_suffix("" if form == "unpacked" else ".gz").write_bytes(
            gzip.compress(content, 1) if form == "anew" else content
        )
    data = load(name, "train", data_dir=tmp_path)
    assert data.sample == Sample(Image(1, 28, 28), {"label": Label(10)})
    assert (data.x == images[:, None]).all()
    assert data.labels is not None
    assert data.labels.tolist() == [9, 3]
    assert (data.name, data.classes) == (name, named(name).classes)
    usable(data)
    path.with_suffix("" if form == "unpacked" else ".gz").write_bytes(gzip.compress(content[:-1] + b"\x04"))
    with raises(DataError, files[1].name.removesuffix(".gz"), f"SHA-256 {files[1].sha256}", "found"):
        load(name, "train", data_dir=tmp_path)


def test_fashion_mnist_as_it_lies(real: Path) -> None:
    """From the four files of Debian's package dataset-fashion-mnist, which packed them anew."""
    train, test = (as_it_lies("fashion-mnist", split, real) for split in SPLITS)
    assert (train.x.shape, test.x.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert isinstance(train.x, np.ndarray)
    assert round(float(train.x.mean()) / 255, 4) == 0.286  # as the literature has it
    assert train.classes[train.labels[0]] == "ankle boot"


# The table


@pytest.mark.parametrize("name", NAMED)
def test_a_data_set_says_all(name: str) -> None:
    entry = named(name)
    assert entry.card.source
    assert entry.card.citation
    assert entry.card.licence
    assert set(entry.files) in (set(), set(SPLITS))
    assert not (entry.files and entry.package)
    assert set(entry.unpacked) <= set(SPLITS)
    for file in (*entry.every_file, *(file for files in entry.unpacked.values() for file in files)):
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert file.folders
        assert all(address.endswith(file.name) for address in file.addresses)
        assert file.addresses or file.note or file in [f for files in entry.unpacked.values() for f in files]


@pytest.mark.parametrize(
    "name", [name for name in NAMED if "cifar" not in name] + slow(*(name for name in NAMED if "cifar" in name))
)
def test_what_a_data_set_says_is_true(name: str, real: Path) -> None:
    entry = named(name)
    if where.located(name, real) is None:
        pytest.skip(f"{name} is not in the data folder")
    for split, count in (("train", entry.train), ("test", entry.test)):
        data = as_it_lies(name, split, real)  # type: ignore[arg-type]
        assert entry.sample is None or data.sample == entry.sample(entry.options())
        assert data.sample.classes == len(entry.classes)
        assert (data.name, data.source, data.licence) == (name, entry.card.source, entry.card.licence)
        if count is not None:
            assert len(data.x) == count
