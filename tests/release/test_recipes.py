"""The data set of a release, also of formats in which its options were fields of every recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zoo
from conftest import Shelf, raises
from zoo.core.errors import ReleaseError
from zoo.hub.resolve import find
from zoo.release import read
from zoo.release.manifest import parse


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("vae.cifar10", zoo.use("cifar10-jpeg", flip=True, crop=0)),
        ("lsgan.mnist", zoo.use("mnist", size=0, fit="crop", background="white", flip=False, crop=0)),
        ("audio-vae.fsdd", zoo.use("fsdd", seconds=0.768, bands=64)),
        ("chargpt.shakespeare", zoo.use("shakespeare", length=128)),
    ],
)
def test_options_of_other_kinds_of_data_are_dropped(name: str, data: zoo.Use) -> None:
    release = read(find(name))
    assert release.data == data
    assert not {"size", "seconds", "length", "flip"} & release.manifest["recipe"].keys()
    assert release.background == "white"


def test_a_release_says_every_option_of_its_data(shelf: Shelf) -> None:
    assert read(shelf.release("chargpt")).data == zoo.use("descriptions", length=16)
    images = zoo.use("digits", size=0, fit="crop", background="white", flip=False, crop=0)
    assert read(shelf.release("vae")).data == images


@pytest.mark.parametrize("data", ["digits", None, {"name": "digits"}, {"name": 3, "options": {}}, {"options": {}}])
def test_a_data_set_that_is_none(data: Any, shelf: Shelf) -> None:
    folder = shelf.release("vae")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recipe"]["data"] = data
    with raises(ReleaseError, "manifest.json: recipe", "is missing or not of the right type"):
        parse(Path(folder), manifest)
