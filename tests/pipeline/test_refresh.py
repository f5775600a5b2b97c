"""Graphs of released weights are exported anew in their place, and nothing else changes; else nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import zoo
from conftest import Refused, contents, raises
from zoo.core import files
from zoo.core.errors import ExportError, ParityError
from zoo.modules import of_release
from zoo.release import MANIFEST, WEIGHTS, seal
from zoo_export.refresh import refresh


def change(release: Path, edit: Callable[[onnx.ModelProto], object], name: str = "decode.onnx") -> None:
    """Change a graph of a release, whose manifest then fits it."""
    model = onnx.load(release / name, load_external_data=False)
    edit(model)
    (release / name).write_bytes(model.SerializeToString())
    manifest = json.loads((release / MANIFEST).read_text("utf-8"))
    content = (release / name).read_bytes()
    manifest["files"][name] = {"sha256": files.sha256(release / name), "bytes": len(content)}
    (release / MANIFEST).write_text(json.dumps(seal(manifest)), "utf-8")


def renamed(model: onnx.ModelProto) -> None:
    for number, node in enumerate(model.graph.node):
        node.name = f"node_{number}"


def brighter(model: onnx.ModelProto) -> None:
    output = model.graph.output[0].name
    (last,) = (node for node in model.graph.node if output in node.output)
    last.output[list(last.output).index(output)] = "exact"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.01), "amount"))
    model.graph.node.append(onnx.helper.make_node("Add", ["exact", "amount"], [output]))


@pytest.mark.slow
def test_graphs_that_are_as_they_would_be_stay(release: Path) -> None:
    before = contents(release)
    assert refresh(release) == []
    assert contents(release) == before


@pytest.mark.slow
def test_old_graphs_are_made_anew(release: Path) -> None:
    before = contents(release)
    manifest = json.loads((release / MANIFEST).read_text("utf-8"))
    with zoo.load(release) as model:
        samples = model.generate(4, seed=1)
    change(release, renamed)
    assert refresh(release) == ["decode.onnx"]
    after = contents(release)
    assert {name for name in before if after[name] != before[name]} <= {MANIFEST}
    found = json.loads((release / MANIFEST).read_text("utf-8"))
    for key in ("recipe", "metrics", "samples", "files"):
        assert found[key] == manifest[key]
    assert found["provenance"]["data"] == manifest["provenance"]["data"]
    with zoo.load(release) as model:
        assert (model.generate(4, seed=1) == samples).all()


def test_weights_that_would_change(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(old: zoo.Release) -> torch.nn.Module:
        module = of_release(old)
        with torch.no_grad():
            next(module.parameters())[0] += 1
        return module

    before = contents(release)
    monkeypatch.setattr("zoo_export.refresh.of_release", other)
    with raises(ExportError, "vae.tiny: the weight 'encoder.", "would change, and released weights must not"):
        refresh(release)
    assert contents(release) == before


def test_results_that_would_change(release: Path) -> None:
    change(release, brighter)
    before = contents(release)
    with raises(ParityError, "vae.tiny: the new graphs differ from the old ones", "decode"):
        refresh(release)
    assert contents(release) == before
    assert (release / WEIGHTS).is_file()


def test_what_is_not_released(refused: Refused) -> None:
    here = ("registry", "refresh", "--distribution", "genzoo")
    refused(*here, "vae.digit", says=("genzoo has no released weights 'vae.digit'", "Did you mean 'vae.digits'?"))
    refused("registry", "refresh", says=("This folder has no pyproject.toml", "--distribution NAME"))
