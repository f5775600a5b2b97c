"""Text: the published, the bundled, and the user's own."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from conftest import raises
from data_files import closed_port, known, put, usable
from zoo.contract.specs import Audio, Label, LogMel, Sample, Text
from zoo.core.errors import DataError
from zoo.data import DataSplit, load, named

pytestmark = pytest.mark.usefixtures("no_proxy")


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
    assert train.sha256 == named("shakespeare").files["train"][0].sha256
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
    assert train.sample == test.sample == Sample(Audio(8000, 8000), {"label": Label(3)})
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
    (file,) = named("shakespeare").files["test"]
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
    data = DataSplit(
        name="t", split="train", sample=Sample(Text("ab", length)), fields={"x": x}, source="", licence="", sha256=""
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
        with raises(
            DataError, "100 characters", "90 for training", "10 for testing", "one window of 11", "smaller length"
        ):
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
