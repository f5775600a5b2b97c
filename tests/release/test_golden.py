"""Releases that were made once, by tests/golden/make.py: every later version loads them and gives the same."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from conftest import contents
from zoo.contract.generation import DDIM, GENERATIONS
from zoo.core import files
from zoo.pipeline import verify
from zoo.release import FORMAT, MANIFEST, read
from zoo.runtime.derived import ATOL, RTOL

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = (Path(__file__).parents[2] / "docs" / "reference" / "format.md").read_text("utf-8")
NAMES = sorted(path.name for path in GOLDEN.iterdir() if (path / "expected.json").is_file())

_spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


@pytest.fixture(params=NAMES)
def golden(request: pytest.FixtureRequest) -> Path:
    """Each golden release in turn."""
    return GOLDEN / str(request.param) / make.RELEASE


def expected(golden: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden.parent / make.EXPECTED).read_text("utf-8"))
    return found


def number(name: str) -> int:
    """The format of a golden release, by its folder's name."""
    return int(name.rpartition(".")[2])


def test_every_format_has_golden_releases_and_a_line() -> None:
    """Also the current one: whoever raises FORMAT makes new ones, and says in docs/reference/format.md what changed."""
    assert {number(name) for name in NAMES} == set(range(1, FORMAT + 1))
    assert FORMATS.startswith(f"# The release format, version {FORMAT}\n")
    described = re.findall(r"^\| (\d+) \|", FORMATS.partition("## Changing it")[2], re.MULTILINE)
    assert [int(found) for found in described] == list(range(1, FORMAT + 1))


def test_each_kind_of_generation_has_one() -> None:
    kinds: dict[int, set[str | None]] = {format: set() for format in range(1, FORMAT + 1)}
    for name in NAMES:
        generation = read(GOLDEN / name / make.RELEASE).generation
        kinds[number(name)].add(generation and generation.kind)
    assert kinds[FORMAT] == {None, *GENERATIONS} - {DDIM.kind}
    assert all(kinds[old] == {None, *GENERATIONS} - {"iterative"} for old in (1, 2))


def test_they_are_small() -> None:
    """They lie in everybody's clone for good."""
    held = [path for name in NAMES for path in (GOLDEN / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in held) < 1500 * 1024 * FORMAT


def test_every_byte_is_what_the_manifest_says(golden: Path) -> None:
    assert files.sha256(golden / MANIFEST) == expected(golden)["manifest"]
    manifest = json.loads((golden / MANIFEST).read_text("utf-8"))
    assert manifest["format"] == number(golden.parent.name)
    found = {path.name: path for path in golden.iterdir() if path.name != MANIFEST}
    assert found.keys() == manifest["files"].keys()
    for name, entry in manifest["files"].items():
        assert found[name].stat().st_size == entry["bytes"]
        assert files.sha256(found[name]) == entry["sha256"]


def test_it_verifies(golden: Path) -> None:
    found = verify.verify(golden)
    assert "files have the SHA-256" in found["files"]
    assert "run at batches 1 and 3" in found["graphs"]
    assert ("samples" in found) == bool(expected(golden)["generate"])


def test_it_generates_the_same_samples(golden: Path) -> None:
    """Images within one level, text exactly."""
    with zoo.load(golden, device="cpu") as model:
        for entry in expected(golden)["generate"]:
            made, kept = model.generate(**make.arguments(entry["asked"])), make.from_json(entry["samples"])
            if isinstance(kept, list):
                assert made == kept
            else:
                assert made.shape == kept.shape
                assert made.dtype == kept.dtype
                assert np.abs(made.astype(float) - kept).max() <= 1


def test_its_tasks_compute_the_same(golden: Path) -> None:
    with zoo.load(golden, device="cpu") as model:
        tasks = expected(golden)["tasks"]
        assert model.tasks == tuple(tasks)
        for name, kept in tasks.items():
            made = model.backend.run(name, {key: make.from_json(value) for key, value in kept["inputs"].items()})
            assert list(made) == list(kept["outputs"])
            for key, value in kept["outputs"].items():
                wanted = make.from_json(value)
                assert made[key].dtype == wanted.dtype
                np.testing.assert_allclose(made[key], wanted, rtol=RTOL, atol=ATOL)


def test_a_copy_is_equal_to_the_byte(golden: Path, tmp_path: Path) -> None:
    assert contents(zoo.export(golden, tmp_path / "copy")) == contents(golden)
