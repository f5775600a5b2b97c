"""Quantisation of a float release: its graphs, its weights file, and the loss in its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import save

from zoo.core import files
from zoo.core.errors import SettingError
from zoo.evaluation.source import own_of, subject_of
from zoo.release import CARD, QUANTIZED, WEIGHTS, Release, given, parse
from zoo.runtime import LoadedModel, OnnxBackend
from zoo_export import calibration, generate_graph, losses, low_precision, onnx_graph, uint8
from zoo_export.card import model_card
from zoo_export.writer import finish, hashes, write_samples

Array = NDArray[Any]
Kind = Literal["fp16", "int8"]


def quantize(
    release: Release,
    folder: Path,
    kind: Kind,
    bound: float | None,
    data: str | None,
    data_dir: str | Path | None,
    quiet: bool,
) -> None:
    """Write the quantised version of a float release into an empty folder; the float release is unchanged.

    `bound` is the allowed relative degradation of a metric, by default that of the recipe. `data` is used for
    calibration and metrics, by default that of the release. Raises :class:`ExportError` for a graph that cannot be
    quantised or a loss beyond the bound, and :class:`SettingError` for a release that is already quantised.
    """
    if QUANTIZED in release.manifest:
        raise SettingError(
            f"{release.name} is already quantised to {release.manifest[QUANTIZED]['kind']}. Give its float release."
        )
    with LoadedModel(release, OnnxBackend(release, "cpu", threads=1)) as before:
        evaluated = subject_of(before, data, data_dir, quiet)
        feeds = calibration.feeds(before, evaluated.training) if kind == "int8" else {}
        calibrated = _write_graphs(release, folder, kind, feeds, before.backend.tensor)
        manifest = {key: value for key, value in release.manifest.items() if key not in ("sha256", "parity", "uint8")}
        manifest |= {"tied": {}, "metrics": []}
        if given.FILE in release.files:
            files.write(folder / given.FILE, release.content(given.FILE))
        manifest["files"] = hashes(folder)
        made = parse(folder, json.loads(json.dumps(manifest)))
        with LoadedModel(made, OnnxBackend(made, "cpu", threads=1)) as after:
            tried = calibration.feeds(before, evaluated.test, count=64)
            gaps = losses.differences(before, after, tried)
            found, measurements, left_out = losses.measured(evaluated, after, own_of(release, "cpu"), quiet)
            bound = losses.check(release, found, gaps, bound)
            manifest["metrics"] = [measurement.to_json() for measurement in measurements]
            if release.generation is not None:
                manifest["samples"] = write_samples(folder, after)
            speed = losses.speeds(before, after, tried)
    manifest[QUANTIZED] = {
        "kind": kind,
        "of": release.manifest["sha256"],
        "calibration": {
            "data": evaluated.training.name,
            "split": "train",
            "samples": min(calibration.SAMPLES, len(evaluated.training)),
            "seed": 0,
            "tasks": calibrated,
        }
        if calibrated
        else None,
        "losses": [loss.to_json() for loss in found],
        "bound": bound,
        "left_out": left_out,
        "differences": gaps,
        "bytes": {"float": _bytes(release.folder, release), "quantized": _bytes(folder, made)},
        "speed": {"threads": 1, "milliseconds": speed},
        "onnxruntime": onnxruntime.__version__,
    }
    files.write(folder / CARD, model_card(manifest, folder))
    finish(folder, manifest)
    if release.uint8:
        uint8.add(folder)


def _write_graphs(
    release: Release,
    folder: Path,
    kind: Kind,
    feeds: Mapping[str, Mapping[str, Array]],
    tensor: Callable[[str], Array],
) -> list[str]:
    """Write the graphs of all tasks and their weights file; return the names of the calibrated tasks.

    `tensor` reads a tensor of the float release.
    """
    plan = release.plan
    graphs: dict[str, onnx.ModelProto] = {}
    tensors: dict[str, Array] = {}
    calibrated = []
    for name, task in release.tasks.items():
        graph = onnx.load(release.path(task.graph))
        if kind == "fp16":
            graph = low_precision.half(graph, name)
        elif plan is not None and plan.tokens is not None and plan.tokens.task == name:
            graph = low_precision.dynamic(graph, name)
        else:
            graph = low_precision.static(graph, name, feeds[name])
            calibrated.append(name)
        onnx_graph.take_out(graph, {}, tensors)
        graphs[task.graph] = graph
    if plan is not None and release.generate:
        whole = generate_graph.of(plan, {name: graphs[release.tasks[name].graph] for name in plan.uses})
        onnx_graph.take_out(whole, {}, tensors)
        graphs[release.generate] = whole
    if release.codec is not None:
        tensors[release.codec.tables] = tensor(release.codec.tables)
    files.write(folder / WEIGHTS, save({name: np.ascontiguousarray(array) for name, array in tensors.items()}))
    for file, graph in graphs.items():
        onnx_graph.point(graph, folder / WEIGHTS)
        onnx_graph.write(folder / file, graph)
    return calibrated


def _bytes(folder: Path, release: Release) -> int:
    """The size in bytes of a release's weights and graphs, without the uint8 graphs."""
    names = {WEIGHTS, *(task.graph for task in release.tasks.values()), release.generate} - {""}
    return sum((folder / name).stat().st_size for name in names)
