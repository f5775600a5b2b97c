"""The weights that come with the package load by name, without torch, and are what the registry pins."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import zoo
from conftest import QUICK, RELEASED, patch_registry, python
from zoo import registry
from zoo.core.errors import ReleaseError
from zoo.hub.resolve import find
from zoo.pipeline import verify


def test_some_weights_are_released() -> None:
    assert set(QUICK) < set(RELEASED)


@pytest.mark.slow
def test_released_weights_are_well(released: str) -> None:
    found = verify.verify(released)
    assert "agree on every task" in found["parity"]
    release = json.loads((find(released) / "manifest.json").read_text("utf-8"))
    assert release["name"] == released
    assert re.fullmatch("[0-9a-f]{40}", release["provenance"]["commit"])
    assert release["provenance"]["step"] == release["recipe"]["steps"]


def test_released_weights_load_by_name_without_torch(released: str, tmp_path: Path) -> None:
    code = """
import sys, numpy as np, zoo
model = zoo.load(sys.argv[1])
x = model.release.sample.x
if model.release.generation is None:
    task = model.tasks[0]
    black = np.zeros((3, x.height, x.width, x.channels), np.uint8)
    print(len(model.run(task, black if x.channels > 1 else black[..., 0])), 'torch' in sys.modules)
else:
    print(len(model.generate(3)), 'torch' in sys.modules)
"""
    assert python(code, released, block=["torch", "onnx"], cwd=tmp_path) == "3 False\n"


def test_a_name_is_pinned_by_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, entry = registry.released_folder("vae.digits")
    patch_registry(monkeypatch, released_folder=lambda name: (folder, {**entry, "manifest_sha256": "0" * 64}))
    with pytest.raises(ReleaseError, match="expected SHA-256 000"):
        zoo.load("vae.digits")
