"""Released weights give what they gave when they were released: tests/released/samples.py says within what."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from conftest import RELEASED

_spec = importlib.util.spec_from_file_location(
    "released_samples", Path(__file__).parents[1] / "released" / "samples.py"
)
assert _spec is not None
assert _spec.loader is not None
samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(samples)


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
