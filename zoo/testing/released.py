"""Checks of the release of a tiny run: its graphs, parity, samples, metrics, low precision, and as a whole."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from zoo.core.errors import EvaluationError, ParityError, PluginError
from zoo.evaluation import evaluate
from zoo.pipeline import verify, verify_samples
from zoo.release import WEIGHTS
from zoo.runtime import load
from zoo.runtime.example_inputs import examples
from zoo.runtime.samples import given_of
from zoo.testing.subject import Subject
from zoo_export import export, onnx_graph

BATCHES = (2, 70)
"""Other sizes of batches than those at which a release proves parity."""

ITEMS = 64
"""Test samples, and generated ones, of each metric."""


def graphs(subject: Subject) -> str:
    """No graph holds a weight, a random operator or a path of the machine; weights are in the one weights file."""
    found = sorted(subject.release.folder.glob("*.onnx"))
    for path in found:
        graph = onnx.load(path, load_external_data=False)
        bodies = [part.g for node in graph.graph.node for part in node.attribute if part.HasField("g")]
        for part in (graph.graph, *bodies):
            for tensor in part.initializer:
                if tensor.data_location != onnx.TensorProto.EXTERNAL:
                    _small(subject, path, tensor.name, tensor.ByteSize())
                elif {entry.key: entry.value for entry in tensor.external_data}["location"] != WEIGHTS:
                    raise PluginError(f"{path}: {tensor.name} is not in {WEIGHTS}. Please report this bug of zoo.")
            for node in part.node:
                if node.op_type in onnx_graph.RANDOM:
                    raise subject.fault(f"the graph {path.name} draws random numbers", subject.model.tasks)
                for attribute in node.attribute:
                    _small(subject, path, node.name, attribute.t.ByteSize())
        if str(Path.home()).encode() in path.read_bytes() and len(str(Path.home())) > 1:
            raise PluginError(f"{path} has the name of a folder of this machine in it. Please report this bug of zoo.")
    return f"{len(found)} graphs, {sum(path.stat().st_size for path in found):,} bytes"


def _small(subject: Subject, path: Path, name: str, size: int) -> None:
    if size > onnx_graph.INSIDE:
        raise subject.fault(
            f"the graph {path.name} holds {name!r} of {size:,} bytes. Register it as a buffer of the module",
            subject.model.tasks,
        )


def parity(subject: Subject) -> str:
    """Torch and ONNX Runtime agree on every task, at batches that the release did not try, too."""
    worst, release = 0.0, subject.release
    for name, task in release.tasks.items():
        schedule = release.plan.schedule(name) if release.plan is not None else ()
        for batch in BATCHES:
            feeds = examples(task.inputs, batch, schedule, first=5)
            left, right = (model.backend.run(name, feeds) for model in (subject.by_torch, subject.by_onnx))
            for key in task.outputs:
                gap = np.abs(np.asarray(right[key], np.float64) - left[key])
                if (gap > 1e-5 + 1e-4 * np.abs(left[key])).any():
                    raise ParityError(
                        f"Task {name!r} of {subject.tiny} gives {key} that differs by {gap.max():.1e} between "
                        f"torch and ONNX Runtime at a batch of {batch}. Treat each item of a batch alone, in float32."
                    )
                worst = max(worst, float(gap.max(initial=0)))
    return f"{', '.join(release.tasks)} at batches of {' and '.join(map(str, BATCHES))}: at most {worst:.1e} apart"


def generation(subject: Subject) -> str:
    """A sample is the same alone and in a batch, in torch and in ONNX Runtime, today and again; a seed matters."""
    fast, eager = subject.by_onnx, subject.by_torch
    if fast.release.generation is None:
        return ""
    together = fast.generate(5, seed=3, **given_of(fast, 5))
    alone = [fast.generate(1, seed=3, first=index, **given_of(fast, 1, index))[0] for index in range(5)]
    by_torch = eager.generate(5, seed=3, **given_of(eager, 5))
    for other, where in ((alone, "alone"), (by_torch, "by torch")):
        for index in range(5):
            if not verify_samples.alike(fast, together[index], other[index], 3, index):
                raise subject.fault(
                    f"sample {index} of seed 3 is another one {where} than in a batch in ONNX Runtime. Treat each item "
                    "of a batch alone, in eval mode",
                    subject.model.tasks,
                )
    if not _equal(load(subject.release.folder, device="cpu").generate(5, seed=3, **given_of(fast, 5)), together):
        raise subject.fault("the same seed gives other samples when it is loaded again", subject.model.tasks)
    if _equal(fast.generate(5, seed=4, **given_of(fast, 5)), together):
        raise subject.fault("another seed gives the same samples. Take the zoo.Noise of the task", subject.model.tasks)
    return "5 samples of a seed are the same alone, in a batch, in torch and in ONNX Runtime"


def _equal(left: Any, right: Any) -> bool:
    return bool(np.array_equal(left, right))


def metrics(subject: Subject) -> str:
    """Each metric has a finite value in its interval, and a protocol that says how it was computed."""
    try:
        found = evaluate(subject.run, limit=ITEMS, samples=ITEMS, quiet=True).measurements
    except EvaluationError as error:
        if subject.model.metrics:
            raise
        return f"none applies: {error}"
    for one in found:
        low, high = one.low if one.low is not None else one.value, one.high if one.high is not None else one.value
        if not math.isfinite(one.value) or not low <= one.value <= high:
            raise PluginError(f"The metric {one.name!r} is {one.value}, and its interval is {low} to {high}.")
    lacking = {metric.name for metric in subject.model.metrics} - {one.name for one in found}
    if lacking:
        raise PluginError(f"{subject.tiny} was evaluated without its own metric {', '.join(sorted(lacking))}.")
    return ", ".join(f"{one.name} {one.value:.4g}" for one in found)


def quantisation(subject: Subject) -> str:
    """The release can be quantised to float16 and to 8 bits, and still generates."""
    sizes = []
    for kind in ("fp16", "int8"):
        with TemporaryDirectory() as folder:
            quantised = export(
                subject.release.folder, Path(folder, kind), quantize=kind, quantize_loss=1e9,
                data=subject.recipe.data.name, quiet=True,
            )  # fmt: skip
            with load(quantised, device="cpu") as model:
                if model.release.generation is not None:
                    model.generate(2, **given_of(model, 2))
            sizes.append(f"{kind} {(quantised / WEIGHTS).stat().st_size:,} bytes")
    return ", ".join(sizes)


def verified(subject: Subject) -> str:
    """The release passes ``zoo verify``: hashes, graphs, samples, and parity."""
    found = verify.verify(subject.release.folder)
    return "; ".join(str(text) for text in found.values())
