"""The graphs made around the tasks' own, and the check that they give what the host computes.

``generate.onnx`` takes a seed and gives samples; ``TASK.uint8.onnx`` takes and gives pictures as they lie in files.
They are for clients in any language: zoo itself runs the tasks' graphs, and draws the noise with numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import generation
from zoo.errors import ParityError
from zoo.examples import SEED, example
from zoo.generation import Picking
from zoo.release import GENERATE, Release
from zoo.runtime import OnnxBackend
from zoo.specs import Autoregressive, Image, Label, OneShot, Spec

Array = NDArray[Any]

ATOL, RTOL = 1e-5, 1e-4
"""How near two runtimes must come: |a − b| ≤ ATOL + RTOL · |a|."""

SAMPLES = "samples"
"""The output of the graph that generates."""

TOKENS = 12
PICKINGS = (generation.ALL, Picking(0.7, 5, 0.9), Picking(0.0))


def feeds(
    inputs: Mapping[str, Spec],
    *,
    seed: int,
    first: int,
    n: int,
    prompt: NDArray[np.int64] | None = None,
    length: int = 0,
    picking: Picking = generation.ALL,
) -> dict[str, Array]:
    """What ``generate.onnx`` takes, by name; `inputs` are the specs of the generation's task.

    Scalars are int64, a seed of 2⁶³ and more as the negative number with its bits. Models with labels take them, int64
    (n,), in place of the count; for tokens there are prompt, int64 (p,), length, temperature, top_k and top_p too.
    """
    given: dict[str, Array] = {"seed": np.array(seed, np.uint64).view(np.int64), "first": np.array(first, np.int64)}
    indices = np.arange(first, first + n)
    labels = {
        name: generation.labels_for(spec, indices, None)
        for name, spec in inputs.items()
        if isinstance(spec, Label) and prompt is None
    }
    given |= labels or {"count": np.array(n, np.int64)}
    if prompt is not None:
        given |= {"prompt": prompt, "length": np.array(length, np.int64), "top_k": np.array(picking.top_k, np.int64)}
        given |= {name: np.array(getattr(picking, name), np.float32) for name in ("temperature", "top_p")}
    return given


def check(release: Release, backend: OnnxBackend) -> dict[str, float]:
    """The largest difference of each such graph from the host, by file name; :class:`ParityError` for one too large."""
    found = {}
    for task in release.tasks:  # before inputs are made of the shapes that they declare
        backend.prepare(task)
    if release.generation is not None and release.generate:
        one_shot = isinstance(release.generation, OneShot)
        found[release.generate] = (_samples if one_shot else _tokens)(release, backend)
    for name, graph in release.uint8.items():
        found[graph] = _uint8(release, backend, name)
    return found


def _samples(release: Release, backend: OnnxBackend) -> float:
    value = release.generation
    assert isinstance(value, OneShot)
    task = release.tasks[value.task]
    worst = 0.0
    for seed, first, n in ((SEED, 0, 1), (2**64 - 1, 2**32 - 3, 3)):
        indices = np.arange(first, first + n)
        host = generation.one_shot(backend.run, value, task.inputs, task.outputs, indices, seed, None)
        given = feeds(task.inputs, seed=seed, first=first, n=n)
        made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
        worst = max(worst, _near(release.generate, host, made))
    return worst


def _tokens(release: Release, backend: OnnxBackend) -> float:
    value = release.generation
    assert isinstance(value, Autoregressive)
    inputs = release.tasks[value.task].inputs
    token = inputs["token"]
    assert isinstance(token, Label)
    for picking in PICKINGS:
        for first, prompt in ((0, np.zeros(0, np.int64)), (2**32 - 3, np.array([token.classes - 1, 0]))):
            indices = np.arange(first, first + 3)
            given = feeds(
                inputs, seed=2**63, first=first, n=3, prompt=prompt, length=TOKENS - len(prompt), picking=picking
            )
            made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
            host = generation.autoregress(backend.run, value, inputs, indices, 2**63, prompt, TOKENS, picking)
            if made.shape != host.shape or not (
                np.array_equal(made, host)
                or generation.follows(backend.run, value, inputs, made, indices, 2**63, len(prompt), picking)
            ):
                raise ParityError(
                    f"Parity failed: {release.generate} gives other tokens than {value.task} step by step."
                )
    return 0.0


def _uint8(release: Release, backend: OnnxBackend, name: str) -> float:
    graph, worst = release.uint8[name], 0.0
    for batch in (1, 3):
        if name == GENERATE:
            assert release.generation is not None
            inputs = release.tasks[release.generation.task].inputs
            given = pixels = feeds(inputs, seed=SEED, first=0, n=batch)
            specs: Mapping[str, Spec] = {SAMPLES: release.sample.x}
            host = backend.call(release.generate, given, [SAMPLES])
        else:
            task = release.tasks[name]
            given = {key: example(spec, batch, stream) for stream, (key, spec) in enumerate(task.inputs.items())}
            pixels = {
                key: _levels(given[key]) if isinstance(spec, Image) else given[key] for key, spec in task.inputs.items()
            }
            specs, host = task.outputs, backend.run(name, given)
        made = backend.call(graph, pixels, list(specs))
        for key, spec in specs.items():
            if not isinstance(spec, Image):
                worst = max(worst, _near(graph, host[key], made[key]))
                continue
            wanted = _levels(host[key])
            if made[key].dtype != np.uint8 or made[key].shape != wanted.shape:
                raise ParityError(f"Parity failed: {graph} gives {key} as {made[key].dtype} {made[key].shape}.")
            gap = int(np.abs(made[key].astype(int) - wanted).max())
            if gap > 1:
                raise ParityError(f"Parity failed: {graph} gives {key} with pixels that differ by {gap} levels.")
    return worst


def _levels(pictures: Array) -> NDArray[np.uint8]:
    """float (n, c, h, w) as uint8 (n, h, w, c)."""
    levels: NDArray[np.uint8] = np.rint(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1)


def _near(graph: str, host: Array, made: Array) -> float:
    """The largest difference; :class:`ParityError` where it is too large."""
    if made.shape != host.shape or made.dtype != host.dtype or not np.allclose(made, host, RTOL, ATOL):
        raise ParityError(f"Parity failed: {graph} gives something else than the task that it stands for.")
    return float(np.abs(made.astype(np.float64) - host).max(initial=0.0))
