"""emoji: two drawing styles, categories and captions, as published and from small archives."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from conftest import raises
from data_files import SPLITS, archive_of, put, usable
from zoo import data
from zoo.contract.specs import Image
from zoo.core.errors import DataError
from zoo_data import emoji


def png(colour: tuple[int, int, int, int]) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGBA", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


NAMES = [f"{code:04x}.png" for code in range(0x1F600, 0x1F640)]
"""Enough that both splits have some."""

ENTRIES: list[dict[str, Any]] = [
    {"name": f"FACE NO {index}", "category": "Smileys & Emotion", "image": name} for index, name in enumerate(NAMES)
] + [{"name": "SWATCH", "category": "Component", "image": "1f3fb.png"}]
WAVE = {
    "name": "RÉSUMÉ HAND", "category": "People & Body", "image": "1f44b.png",
    "skin_variations": {"1F3FB-1F3FF": {"image": "1f44b-a.png"}},
}  # fmt: skip


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"emoji-data/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def small(entries: list[dict[str, Any]]) -> dict[str, bytes]:
    """Clear emoji in one style, and half red ones in the other."""
    names = [name for entry in entries for name, _ in emoji._images(entry)]
    noto = {f"img-google-64/{name}": png((0, 0, 0, 0)) for name in names}
    twemoji = {f"img-twitter-64/{name}": png((255, 0, 0, 255)) for name in names}
    return {"emoji.json": json.dumps(entries).encode(), **noto, **twemoji}


def installed(files: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(files)
    known = archive_of("emoji", content)
    put(monkeypatch, "emoji", files={"train": (known,), "test": (known,)})
    monkeypatch.setattr(emoji, "ARCHIVE", known)
    (folder / "set").mkdir()
    (folder / "set" / known.name).write_bytes(content)


def test_a_small_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(small([*ENTRIES, WAVE]), tmp_path, monkeypatch)
    splits = [data.load("emoji", split, data_dir=tmp_path, background="#0000ff") for split in SPLITS]
    assert sum(map(len, splits)) == len(NAMES) + 2  # no swatches, and each skin tone
    for split in splits:
        usable(split)
        assert len(split) > 1
        assert np.unique(split.x[:, 2]).tolist() == [255]  # clear on blue
        assert np.unique(split.fields["other"][:, 0]).tolist() == [255]
    other = data.load("emoji", "test", data_dir=tmp_path, style="twemoji", background="#0000ff")
    assert np.array_equal(other.x, splits[1].fields["other"])
    captions = {caption for split in splits for caption in said(split)}
    assert {"face no 3", "resume hand", "resume hand, light and dark skin tone"} <= captions
    hands = [index for index, split in enumerate(splits) if "resume hand" in said(split)]
    assert "resume hand, light and dark skin tone" in said(splits[hands[0]])  # on the same side


def said(split: data.DataSplit) -> list[str]:
    return ["".join(emoji.VOCABULARY[index] for index in row).rstrip() for row in split.fields["caption"]]


def test_captions_are_cut_before_the_skin_tone() -> None:
    assert emoji.caption("A VERY LONG NAME", ("dark",), 24) == "a very l, dark skin tone"
    assert emoji.caption("A NAME", (), 24) == "a name"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("emoji.json", b"{", ("emoji.json", "is damaged")),
        ("emoji.json", b'[{"category": "Flags"}]', ("emoji.json", "is damaged", "image")),
        (f"img-twitter-64/{NAMES[0]}", b"no image", ("is damaged at img-twitter-64/1f600.png",)),
        (f"img-google-64/{NAMES[0]}", b"", ("is damaged at img-google-64/1f600.png",)),
    ],
)
def test_a_damaged_archive(
    name: str, content: bytes, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed({**small(ENTRIES), name: content}, tmp_path, monkeypatch)
    with raises(DataError, "emoji-data-64.tar.gz", "Delete it and run again", *words):
        for split in SPLITS:
            data.load("emoji", split, data_dir=tmp_path)


def test_a_missing_archive(tmp_path: Path) -> None:
    with raises(DataError, "emoji-data-64.tar.gz is missing", f"into {tmp_path / 'emoji'}", "iamcal/emoji-data"):
        data.load("emoji", "train", data_dir=tmp_path)


@pytest.mark.slow
def test_emoji_as_published(real: Path) -> None:
    """The counts and the classes of both splits; what a resized pair looks like; no name on both sides."""
    if not (real / "emoji").is_dir():
        pytest.skip("set ZOO_DATA_DIR to a folder with emoji/")
    train, test = (data.load("emoji", split, data_dir=real, size=16) for split in SPLITS)
    assert (len(train), len(test)) == (3394, 387)
    assert train.sample.x == train.sample["other"] == Image(3, 16, 16)
    counts = Counter(train.classes[index] for index in train.labels.tolist())  # type: ignore[union-attr]
    assert (counts["Flags"], counts["Food & Drink"], counts["People & Body"]) == (243, 117, 2012)
    assert len({int(label) for label in train.labels[:100]}) == 9  # type: ignore[index]  # mixed
    names = [{caption.partition(",")[0] for caption in said(split)} for split in (train, test)]
    assert len(names[0] & names[1]) < 20  # names that are cut to the same words
    usable(train)
