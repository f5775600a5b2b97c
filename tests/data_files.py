"""What the tests of data share: files of noise, addresses where nobody answers, data sets to look at."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import data, registry
from zoo.contract.data import Files, KnownFile, Split
from zoo.data import DataSplit, load, named

SPLITS: tuple[Split, Split] = ("train", "test")
NOISE = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


def known(address: str, content: bytes = NOISE, name: str = "noise.bin", *more: str) -> KnownFile:
    return KnownFile(
        name=name,
        folders=("set", ""),
        addresses=(address, *more),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def usable(data: DataSplit) -> None:
    """What torch.from_numpy wants, and a text for people in one line."""
    assert data.x.flags.c_contiguous
    assert data.x.flags.writeable
    assert len(repr(data).splitlines()) == len(data.source.splitlines()) == 1
    assert len(data.sha256) == 64


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def digits(folder: Path, count: int = 3) -> list[Path]:
    """Test digits as PNG files."""
    paths = []
    for number, pixels in enumerate(data.load("digits", "test").x[:count, 0]):
        paths.append(folder / f"digit{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@cache
def as_it_lies(name: str, split: Split, folder: Path) -> DataSplit:
    """A split of a published set; read once, since one takes seconds. Not to be changed."""
    return load(name, split, data_dir=folder)


def archive_of(name: str, content: bytes) -> KnownFile:
    """The archive of a named set, with this content and at an address where nobody answers."""
    (file, *_) = named(name).files["train"]
    sha256, size = hashlib.sha256(content).hexdigest(), len(content)
    return dataclasses.replace(file, folders=("set", ""), addresses=(closed_port(),), size=size, sha256=sha256)


def put(monkeypatch: pytest.MonkeyPatch, name: str, **files: Files) -> None:
    """Let a named set have other files, of any number of samples."""
    known = named(name)
    for key, value in (*files.items(), ("train", None), ("test", None)):  # its module reads them from the same value
        monkeypatch.setitem(vars(known), key, value)


NAMED = tuple(row.name for row in registry.data_rows() if not row.place)
"""The named sets."""
