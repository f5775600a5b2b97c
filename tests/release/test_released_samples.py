"""Released weights give what they gave when they were released: tests/released/samples.py says within what."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from conftest import RELEASED


def script(name: str) -> ModuleType:
    """A script of ``tests/released`` as a module."""
    spec = importlib.util.spec_from_file_location(f"released_{name}", Path(__file__).parents[1] / f"released/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


samples, image = script("samples"), script("image")


def test_a_seed_gives_what_it_gave(released: str) -> None:
    assert samples.differences(samples.made(released), samples.recorded()) == []


def test_every_release_is_on_record() -> None:
    assert {key.partition("/")[0] for key in samples.recorded()} >= set(RELEASED)


def test_what_differs_is_told() -> None:
    kept = {"a/generate": np.array([10], np.uint8), "a/score": np.array([1.0], np.float32)}
    assert samples.differences({"a/generate": np.array([11], np.uint8)}, kept) == []
    assert samples.differences({"a/generate": np.array([12], np.uint8)}, kept) == [
        "a/generate: differs by up to 2 levels"
    ]
    assert len(samples.differences({"a/score": np.array([1.1], np.float32), "b": np.zeros(1)}, kept)) == 2


def test_the_readme_shows_samples_of_released_models() -> None:
    with Image.open(image.FILE) as shown:
        pixels = np.asarray(shown).astype(int)
    assert np.abs(pixels - image.image()).max() <= 2, "run: python tests/released/image.py --write"
