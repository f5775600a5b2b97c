"""Data sets that come in archives: CIFAR-10, CIFAR-10 as JPEG, spoken digits."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from conftest import raises
from data_files import SPLITS, archive_of, as_it_lies, put, usable
from zoo.contract.data import KnownFile, listing
from zoo.contract.specs import Audio, Image, Label, LogMel, Sample
from zoo.core.errors import DataError
from zoo.data import archives, load, named, where
from zoo.media import wav
from zoo_data import cifar10

pytestmark = pytest.mark.usefixtures("no_proxy")


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
    names = {split: [file.name for file in named("cifar10").unpacked[split]] for split in SPLITS}
    assert names["train"] == [f"data_batch_{number}.bin" for number in range(1, 6)]
    files = {name: records(2, 2 * index) for index, name in enumerate([*names["train"], *names["test"]])}
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}
    content = packed({"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", **inside, "../escape.bin": b"x"})
    archive = dataclasses.replace(archive_of("cifar10", content), folders=("cifar10", ""))

    def small(file: KnownFile) -> KnownFile:
        held = files[file.name]
        return dataclasses.replace(file, size=len(held), sha256=hashlib.sha256(held).hexdigest())

    unpacked = {split: tuple(map(small, named("cifar10").unpacked[split])) for split in SPLITS}
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
        assert one.sample == other.sample == Sample(Image(3, 32, 32), {"label": Label(10)})
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
    with raises(DataError, "some.bin has 3,072 bytes", "multiple of 3,073"):
        cifar10.parse(bytes(3072), "some.bin", 10)
    with raises(DataError, "some.bin has 0 bytes"):
        cifar10.parse(b"", "some.bin", 10)
    with raises(DataError, "some.bin has the label 11, out of 10 classes"):
        cifar10.parse(records(1, 0) + b"\x0b" + bytes(3072), "some.bin", 10)


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
    known = named("fsdd").files["train"][0]
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
    assert where.located("fsdd", tmp_path / "unpacked") == str(tmp_path / "unpacked" / "fsdd")
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
    assert (len(test), test.sample) == (1, Sample(Image(3, 32, 32), {"label": Label(10)}))
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
    assert train.sample == test.sample == Sample(Audio(8000, 800), {"label": Label(10)})
    assert isinstance(train.x, np.ndarray)
    assert isinstance(test.x, np.ndarray)
    assert test.x[:, 0].tolist() == [300, 700, 310, 710, 304, 704, 314, 714]
    assert train.x[:, -1].tolist() == [305, 705, 315, 715, 311, 711, 321, 721]
    assert test.labels is not None
    assert test.labels.tolist() == [3, 7] * 4
    assert load("fsdd", "test", data_dir=tmp_path, seconds=0.1, bands=9).sample.x == LogMel(8000, 800, 9, 256, 64)
    usable(train)
    there({"recordings/three.wav": sound(1)})
    with raises(DataError, "'recordings/three.wav'", "not part of fsdd"):
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
    (file,) = named(name).files["train"]
    with raises(
        DataError, file.name, "no URL has exactly this file", file.expected, f"into {tmp_path / file.folders[0]}"
    ):
        load(name, "train", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())
