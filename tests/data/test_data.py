"""Data sets: names, the bundled, the published, the user's own text."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import io
import lzma
import os
import re
import struct
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from conftest import raises, slow
from data_files import NOISE, closed_port, known, usable
from zoo.contract.specs import Audio, Image, LogMel, Sample, Text
from zoo.core.errors import DataError, MissingPackageError, SettingError
from zoo.data import NAMED, DataSet, archives, cifar, data_folder, idx, load
from zoo.data.dataset import Split, fingerprint
from zoo.data.known_file import KnownFile, listing
from zoo.media import wav

SPLITS: tuple[Split, Split] = ("train", "test")
REAL = os.environ.get("ZOO_DATA_DIR")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor the data folder of whoever runs the tests has a part in them."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with the published files."""
    if not REAL:
        pytest.skip("set ZOO_DATA_DIR to a folder with mnist/, cifar10/, fsdd/ … to test the published files")
    return Path(REAL)


@cache
def as_it_lies(name: str, split: Split, folder: Path) -> DataSet:
    """A split of a published set; read once, since one takes seconds. Not to be changed."""
    return load(name, split, data_dir=folder)


def archive_of(name: str, content: bytes) -> KnownFile:
    """The archive of a named set, with this content and at an address where nobody answers."""
    (file, *_) = NAMED[name].files["train"]
    sha256, size = hashlib.sha256(content).hexdigest(), len(content)
    return dataclasses.replace(file, folders=("set", ""), addresses=(closed_port(),), size=size, sha256=sha256)


def put(monkeypatch: pytest.MonkeyPatch, name: str, **files: Mapping[Split, tuple[KnownFile, ...]]) -> None:
    """Let a named set have other files."""
    monkeypatch.setitem(NAMED, name, dataclasses.replace(NAMED[name], **files))  # type: ignore[arg-type]


# Names and folders


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mnits",
            [
                "'mnits'",
                "Did you mean 'mnist'?",
                "digits, mnist, fashion-mnist",
                "audio:DIR",
                "folder:DIR",
                "text:FILE",
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
    with raises(SettingError, "length 1", "at least 2"):
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
    for file in NAMED["mnist"].files["test"]:
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
    for file, array in zip(NAMED["mnist"].files["train"], (images, labels), strict=True):
        files.append(dataclasses.replace(known(closed_port(), as_idx(array), file.name), folders=("mnist", "")))
        packed[file.name] = gzip.compress(as_idx(array))
    put(monkeypatch, "mnist", files={**NAMED["mnist"].files, "train": tuple(files)})
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
    address = NAMED["mnist"].files["train"][0].addresses[0]
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
    path.write_bytes(content)
    with raises(
        DataError,
        path,
        f"SHA-256 {NAMED['mnist'].files['train'][0].sha256}",
        f"found {found}",
        "Delete it",
        "run again",
    ):
        load("mnist", "train", data_dir=tmp_path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read(
    small_mnist: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b""))

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
        (b"\0\0\x08\x02" + bytes(8), ["begins with 00 00 08 02", "1 dimensions"]),
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
        for file, content in zip(NAMED[name].files["train"], map(as_idx, (images, labels)), strict=True)
    )
    put(monkeypatch, name, files={"train": files, "test": files})
    (tmp_path / name).mkdir()
    for file, content in zip(files, map(as_idx, (images, labels)), strict=True):
        path = tmp_path / name / file.name
        path.with_suffix("" if form == "unpacked" else ".gz").write_bytes(
            gzip.compress(content, 1) if form == "anew" else content
        )
    data = load(name, "train", data_dir=tmp_path)
    assert data.sample == Sample(Image(1, 28, 28), 10)
    assert (data.x == images[:, None]).all()
    assert data.labels is not None
    assert data.labels.tolist() == [9, 3]
    assert (data.name, data.classes) == (name, NAMED[name].classes)
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


# cifar10, binary


def records(count: int, first: int) -> bytes:
    """A file of the binary version: one byte of label, then 1,024 of red, of green and of blue."""
    return b"".join(
        bytes([(first + index) % 10]) + bytes([first + index]) * 1024 + bytes([2]) * 1024 + bytes(range(256)) * 4
        for index in range(count)
    )


def packed(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """CIFAR-10 with two images a file; the archive at an address where nobody answers. Its unpacked files."""
    names = {split: [file.name for file in NAMED["cifar10"].unpacked[split]] for split in SPLITS}
    assert names["train"] == [f"data_batch_{number}.bin" for number in range(1, 6)]
    files = {name: records(2, 2 * index) for index, name in enumerate([*names["train"], *names["test"]])}
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}
    content = packed({"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", **inside, "../escape.bin": b"x"})
    archive = dataclasses.replace(archive_of("cifar10", content), folders=("cifar10", ""))

    def small(file: KnownFile) -> KnownFile:
        held = files[file.name]
        return dataclasses.replace(file, size=len(held), sha256=hashlib.sha256(held).hexdigest())

    unpacked = {split: tuple(map(small, NAMED["cifar10"].unpacked[split])) for split in SPLITS}
    put(monkeypatch, "cifar10", files=dict.fromkeys(SPLITS, (archive,)), unpacked=unpacked)
    return {"cifar-10-binary.tar.gz": content, **files}


def test_cifar_from_its_archive_and_from_the_unpacked_folder(small_cifar: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "packed" / "cifar10").mkdir(parents=True)
    (tmp_path / "packed" / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(small_cifar.pop("cifar-10-binary.tar.gz"))
    (tmp_path / "unpacked" / "cifar-10-batches-bin").mkdir(parents=True)
    for name, content in small_cifar.items():
        (tmp_path / "unpacked" / "cifar-10-batches-bin" / name).write_bytes(content)
    for split, labels in (("train", list(range(10))), ("test", [0, 1])):
        one, other = (load("cifar10", split, data_dir=tmp_path / form) for form in ("packed", "unpacked"))  # type: ignore[arg-type]
        assert one.sample == other.sample == Sample(Image(3, 32, 32), 10)
        for data in (one, other):
            usable(data)
            assert data.labels is not None
            assert data.labels.tolist() == labels
            assert isinstance(data.x, np.ndarray)
            first = 10 if split == "test" else 0
            assert data.x[:, 0, 5, 5].tolist() == [first + index for index in range(len(labels))]
            assert (data.x[:, 1] == 2).all()
            assert data.x[0, 2, :2].ravel().tolist() == list(range(64))  # row by row
        assert one.sha256 == other.sha256
    (tmp_path / "packed" / "cifar-10-batches-bin").mkdir()
    for name in small_cifar:
        (tmp_path / "packed" / "cifar-10-batches-bin" / name).write_bytes(b"not looked at where the archive is there")
    assert len(load("cifar10", "test", data_dir=tmp_path / "packed")) == 2
    assert not list(tmp_path.rglob("escape.bin"))


def test_cifar_errors(small_cifar: dict[str, bytes], tmp_path: Path) -> None:
    with raises(DataError, "cifar-10-binary.tar.gz", f"into {tmp_path / 'cifar10'}", "refused"):
        load("cifar10", "train", data_dir=tmp_path)
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in list(small_cifar)[1:5]:  # one of those to train on is lacking, and that to test
        (folder / name).write_bytes(small_cifar[name])
    with raises(DataError, "Put cifar-10-binary.tar.gz into"):
        load("cifar10", "train", data_dir=tmp_path)
    (folder / "data_batch_5.bin").write_bytes(b"other")
    with raises(DataError, folder / "data_batch_5.bin", "not the right file", hashlib.sha256(b"other").hexdigest()):
        load("cifar10", "train", data_dir=tmp_path)
    with raises(DataError, "some.bin has 3,072 bytes", "records of 3,073"):
        cifar.parse(bytes(3072), "some.bin", 10)
    with raises(DataError, "some.bin has 0 bytes"):
        cifar.parse(b"", "some.bin", 10)
    with raises(DataError, "some.bin has the label 11, and there are 10"):
        cifar.parse(records(1, 0) + b"\x0b" + bytes(3072), "some.bin", 10)


def test_an_archive_without_a_file(
    small_cifar: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = packed({"cifar-10-batches-bin/test_batch.bin": records(1, 0)})
    archive = archive_of("cifar10", content)
    put(monkeypatch, "cifar10", files=dict.fromkeys(SPLITS, (archive,)))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / archive.name).write_bytes(content)
    assert len(load("cifar10", "test", data_dir=tmp_path)) == 1
    with raises(DataError, "cifar-10-binary.tar.gz has no data_batch_1.bin"):
        load("cifar10", "train", data_dir=tmp_path)


# Archives


def test_archives_are_read_in_memory_and_within_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind in (("a.txt", tarfile.REGTYPE), ("link.txt", tarfile.SYMTYPE), ("d.txt", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert list(archives.members(buffer.getvalue(), "a.tar.gz")) == [("a.txt", b"")]
    content = packed({"a": bytes(600), "b": bytes(600)})
    assert [len(held) for _, held in archives.members(content, "a.tar.gz")] == [600, 600]
    monkeypatch.setattr(archives, "LARGEST", 1000)
    with raises(DataError, "a.tar.gz unpacks to more than 1,000 bytes"):
        list(archives.members(content, "a.tar.gz"))
    for damaged in (b"", b"no archive", content[:50], gzip.compress(b"no archive" * 100), b"PK\3\4 no zip"):
        with raises(DataError, "a.tar.gz is a damaged archive"):
            list(archives.members(damaged, "a.tar.gz"))


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_is_known_by_what_is_inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However it is packed, under whatever folder, beside whatever else, or unpacked."""
    files = {f"recordings/{digit}_ann_{index}.wav": wav.write(np.full(9, digit, np.int16), 8000)
             for digit in range(10) for index in (0, 7)}  # fmt: skip
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    known = NAMED["fsdd"].files["train"][0]
    assert known.inside is not None
    small = dataclasses.replace(known, inside=dataclasses.replace(known.inside, sha256=listing(hashes)))
    put(monkeypatch, "fsdd", files=dict.fromkeys(SPLITS, (small,)))
    more = {"README.md": b"more", **{f"clone-main/{name}": content for name, content in files.items()}}
    plain = gzip.decompress(packed(files))
    for name, content in {
        "fsdd-recordings.tar.gz": packed(dict(reversed(files.items()))),
        "fsdd-recordings.tgz": packed(more),
        "fsdd-recordings.tar": plain,
        "fsdd-recordings.tar.xz": lzma.compress(plain),
        "fsdd-recordings.tar.bz2": bz2.compress(plain),
        "fsdd-recordings.zip": zipped(more),
    }.items():
        folder = tmp_path / name / "fsdd"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
        assert len(load("fsdd", "test", data_dir=tmp_path / name, seconds=0.001)) == 10
    for name, content in files.items():
        path = tmp_path / "unpacked" / "fsdd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (path.parent / "notes.txt").write_text("not looked at")
    unpacked = load("fsdd", "train", data_dir=tmp_path / "unpacked", seconds=0.001)
    assert unpacked.sha256 == load("fsdd", "train", data_dir=tmp_path / known.name, seconds=0.001).sha256
    assert NAMED["fsdd"].place(tmp_path / "unpacked") == str(tmp_path / "unpacked" / "fsdd")
    path.write_bytes(wav.write(np.full(9, 5, np.int16), 8000))
    with raises(DataError, tmp_path / "unpacked" / "fsdd", listing(hashes), "of 20 files", "Delete it (or move it"):
        load("fsdd", "train", data_dir=tmp_path / "unpacked")
    for other in (files | {"recordings/1_eve_0.wav": b""}, dict(list(files.items())[1:])):
        (tmp_path / known.name / "fsdd" / known.name).write_bytes(packed(other))
        with raises(DataError, known.name, "is not the right data", listing(hashes), f"of {len(other)} files"):
            load("fsdd", "train", data_dir=tmp_path / known.name)


# cifar10-jpeg


def jpeg(value: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (32, 32), (value, 0, 255 - value)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_cifar_jpeg_from_an_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def there(files: Mapping[str, bytes]) -> Path:
        content = packed(files)
        archive = archive_of("cifar10-jpeg", content)
        put(monkeypatch, "cifar10-jpeg", files=dict.fromkeys(SPLITS, (archive,)))
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / archive.name).write_bytes(content)
        return tmp_path

    files = {f"train/{name}/{number:04}.jpg": jpeg(20 * number) for name in ("cat", "truck") for number in range(3)}
    where = there({**files, "test/bird/0000.jpg": jpeg(200)})
    train, test = (load("cifar10-jpeg", split, data_dir=where) for split in SPLITS)
    assert train.labels is not None
    assert train.labels.tolist() == [3, 9] * 3  # the classes take turns
    assert isinstance(train.x, np.ndarray)
    assert np.abs(train.x[:, 0].mean((1, 2)) - [0, 0, 20, 20, 40, 40]).max() < 3
    assert np.abs(train.x[:, 2].mean((1, 2)) - [255, 255, 235, 235, 215, 215]).max() < 3
    assert (len(test), test.sample) == (1, Sample(Image(3, 32, 32), 10))
    usable(train)
    with raises(DataError, "unknown class 'cats'"):
        load("cifar10-jpeg", "train", data_dir=there({"train/cats/0000.jpg": jpeg(0)}))
    with raises(DataError, "cifar10-jpeg.tar.gz is damaged at cat/0000.jpg"):
        load("cifar10-jpeg", "train", data_dir=there({"train/cat/0000.jpg": jpeg(0)[:100]}))


@pytest.mark.slow
def test_cifar_jpeg_as_it_lies(real: Path) -> None:
    train, test = (as_it_lies("cifar10-jpeg", split, real) for split in SPLITS)
    assert (train.x.shape, test.x.shape) == ((50000, 3, 32, 32), (10000, 3, 32, 32))
    assert train.labels is not None
    assert test.labels is not None
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert np.bincount(test.labels[:2000]).tolist() == [200] * 10
    assert isinstance(train.x, np.ndarray)
    # Of the lossless images these are 0.4914, 0.4822, 0.4465, which is known to everybody.
    np.testing.assert_allclose(train.x.mean((0, 2, 3)) / 255, [0.4914, 0.4822, 0.4465], atol=1e-3)
    usable(train)


# fsdd


def test_fsdd_from_an_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def there(files: Mapping[str, bytes]) -> None:
        content = packed(files)
        archive = archive_of("fsdd", content)
        put(monkeypatch, "fsdd", files=dict.fromkeys(SPLITS, (archive,)))
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / archive.name).write_bytes(content)

    def sound(value: int, samples: int = 900) -> bytes:
        return wav.write(np.full(samples, value, np.int16), 8000)

    names = [(digit, speaker, index) for digit in (3, 7) for speaker in ("ann", "bob") for index in (0, 4, 5, 11)]
    there({f"recordings/{d}_{s}_{i}.wav": sound(100 * d + 10 * (s == "bob") + i) for d, s, i in names})
    train, test = (load("fsdd", split, data_dir=tmp_path, seconds=0.1) for split in SPLITS)
    assert train.sample == test.sample == Sample(Audio(8000, 800), 10)
    assert isinstance(train.x, np.ndarray)
    assert isinstance(test.x, np.ndarray)
    assert test.x[:, 0].tolist() == [300, 700, 310, 710, 304, 704, 314, 714]
    assert train.x[:, -1].tolist() == [305, 705, 315, 715, 311, 711, 321, 721]
    assert test.labels is not None
    assert test.labels.tolist() == [3, 7] * 4
    assert load("fsdd", "test", data_dir=tmp_path, seconds=0.1, bands=9).sample.x == LogMel(8000, 800, 9, 256, 64)
    usable(train)
    there({"recordings/three.wav": sound(1)})
    with raises(DataError, "'recordings/three.wav'", "not of the set"):
        load("fsdd", "test", data_dir=tmp_path)


def test_fsdd_as_it_lies(real: Path) -> None:
    train, test = (load("fsdd", split, data_dir=real) for split in SPLITS)
    assert (train.x.shape, test.x.shape) == ((2700, 8000), (300, 8000))
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [270] * 10
    assert isinstance(train.x, np.ndarray)
    assert train.x.dtype == np.int16
    usable(train)
    mel = load("fsdd", "test", data_dir=real, seconds=1.024, bands=64)
    assert mel.x.shape == (300, 64, 128)
    assert isinstance(mel.x, np.ndarray)
    loud = mel.x.max((1, 2))  # in each recording something is said, and the loudest is near full scale
    assert loud.min() > 0.4
    assert 0.8 < loud.max() <= 1


@pytest.mark.parametrize("name", ["cifar10-jpeg", "fsdd"])
def test_what_no_address_gives_has_to_be_put_there(name: str, tmp_path: Path) -> None:
    (file,) = NAMED[name].files["train"]
    with raises(
        DataError, file.name, "no address gives exactly that file", file.expected, f"into {tmp_path / file.folders[0]}"
    ):
        load(name, "train", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


# The table


def test_the_table_is_complete() -> None:
    for name, entry in NAMED.items():
        assert entry.name == name
        assert entry.source
        assert entry.citation
        assert entry.licence
        assert set(entry.files) == (set() if entry.package else set(SPLITS))
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
def test_the_table_is_true(name: str, real: Path) -> None:
    entry = NAMED[name]
    if entry.place(real) is None:
        pytest.skip(f"{name} is not in the data folder")
    for split, count in (("train", entry.train), ("test", entry.test)):
        data = as_it_lies(name, split, real)  # type: ignore[arg-type]
        assert data.sample.x.kind == entry.kind
        assert data.sample.classes == len(entry.classes)
        assert (data.name, data.source, data.licence) == (name, entry.source, entry.licence)
        assert data.x.shape[1:] == entry.shape
        if count is not None:
            assert len(data.x) == count


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
    assert train.sha256 == NAMED["shakespeare"].files["train"][0].sha256
    assert len(train) == (1003854 - 1) // 127
    usable(train)


def test_descriptions_need_no_download(tmp_path: Path) -> None:
    train, test = (load("descriptions", split, data_dir=tmp_path, length=16) for split in ("train", "test"))
    assert len(train.x) > 8 * len(test.x) > 8_000
    assert train.sample == test.sample
    words = "".join(train.sample.x.vocabulary[index] for index in train.x)
    assert "Fisher" in words
    assert not list(tmp_path.iterdir())


def test_tones_are_what_they_are_called(tmp_path: Path) -> None:
    """Their pitch stays, rises by an octave or falls by one, and the splits differ."""
    train, test = (load("tones", split, data_dir=tmp_path, seconds=1.0) for split in ("train", "test"))
    assert train.sample == test.sample == Sample(Audio(8000, 8000), classes=3)
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [80, 80, 80]
    assert train.sha256 != test.sha256
    assert np.abs(train.array).max(1).min() > 1000
    for wave, label in zip(train.array[:12], train.labels, strict=False):
        heard = int(np.flatnonzero(wave).max()) + 1
        thirds = [piece * np.hanning(len(piece)) for piece in np.split(wave[: heard - heard % 3].astype(float), 3)]
        peaks = [np.abs(np.fft.rfft(piece, 2**16)).argmax() / 2**16 * 8000 for piece in thirds]
        octaves = np.log2(peaks[2] / peaks[0]) * 3 / 2  # from the middle of the first third to that of the last
        assert octaves == pytest.approx([0, 1, -1][label], abs=0.15)
    assert load("tones", "train", seconds=0.256, bands=16).sample.x == LogMel(8000, 2048, 16, 256, 64)
    assert not list(tmp_path.iterdir())


def test_shakespeare_is_looked_for_in_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"To be, or not to be: that is the question.\n" * 4
    (file,) = NAMED["shakespeare"].files["test"]
    small = dataclasses.replace(known(closed_port(), content, "input.txt"), folders=file.folders)
    put(monkeypatch, "shakespeare", files={"train": (small,), "test": (small,)})
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
    for place in ("shakespeare", "tinyshakespeare", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        path = tmp_path / place / "input.txt"
        path.write_bytes(content)
        assert load("shakespeare", "test", length=8).name == "shakespeare"
        path.unlink()
    with raises(DataError, f"Put input.txt into {tmp_path / 'shakespeare'}", small.addresses[0]):
        load("shakespeare", "test", length=8)
    path.write_bytes(b"My own.")
    with raises(DataError, path, small.sha256, hashlib.sha256(b"My own.").hexdigest()):
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
    with raises(DataError, path, "does not exist", "after 'text:'"):
        load(f"text:{path}", "train")
    with raises(DataError, tmp_path, "is a folder", "folder:"):
        load(f"text:{tmp_path}", "train")
    path.write_bytes(b"good" * 100 + b"\xff\xfe")
    with raises(DataError, "text:a.txt", "not UTF-8", "byte at 400 is 0xff", "Save it as UTF-8"):
        load(f"text:{path}", "train")
    path.write_bytes(b"x" * 100)
    for split in ("train", "test"):
        with raises(DataError, "100 characters", "90 are to train", "10 to test", "one window of 11", "smaller length"):
            load(f"text:{path}", split, length=11)  # type: ignore[arg-type]
    assert len(load(f"text:{path}", "test", length=10)) == 1
    path.write_bytes(b"")
    with raises(DataError, "0 characters", "one window of 128"):
        load(f"text:{path}", "train")
    path.write_text("".join(map(chr, range(0x10000, 0x20000))), "utf-8")
    with raises(DataError, "65,536 different characters", "at most 65,535"):
        load(f"text:{path}", "train")
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with raises(DataError, path, "Permission denied"):
        load(f"text:{path}", "train")
