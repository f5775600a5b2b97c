"""What the tests of data share: files of noise, addresses where nobody answers, data sets to look at."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import numpy as np
from PIL import Image

from zoo import data
from zoo.data import DataSet
from zoo.data.known_file import KnownFile

NOISE = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


def known(address: str, content: bytes = NOISE, name: str = "noise.bin", *more: str) -> KnownFile:
    return KnownFile(
        name=name,
        folders=("set", ""),
        addresses=(address, *more),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def usable(data: DataSet) -> None:
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
