"""The graphs made around the tasks' own, and the check that they give what the host computes.

``generate.onnx`` takes a seed and gives samples; ``TASK.uint8.onnx`` takes and gives images as they lie in files.
They are for clients in any language: zoo itself runs the tasks' graphs, and draws the noise with numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Autoregressive, Chain, Image, Iterative, OneShot, Spec, Text
from zoo.core.errors import ParityError
from zoo.release import GENERATE, Release
from zoo.runtime import OnnxBackend
from zoo.runtime.example_inputs import SEED, example
from zoo.sampling import autoregressive, generation
from zoo.sampling.autoregressive import ALL, Picking
from zoo.sampling.ddim import iterate

Array = NDArray[Any]

ATOL, RTOL = 1e-5, 1e-4
"""How near two runtimes must come: |a − b| ≤ ATOL + RTOL · |a|."""

SAMPLES, TOKENS = "samples", "tokens"
"""The outputs of the graph that generates; tokens are those that a chain's samples were made of."""

LENGTH = 12
PICKINGS = (ALL, Picking(0.7, 5, 0.9), Picking(0.0))


def feeds(
    plan: Plan,
    *,
    seed: int,
    first: int,
    n: int,
    prompt: NDArray[np.int64] | None = None,
    length: int = 0,
    picking: Picking = ALL,
    steps: int | None = None,
    eta: float | None = None,
) -> dict[str, Array]:
    """What ``generate.onnx`` takes, by name.

    Scalars are int64, a seed of 2⁶³ and more as the negative number with its bits. Models with labels take them, int64
    (n,), in place of the count. For tokens there are temperature, top_k and top_p too, for text prompt, int64 (p,), and
    length; for generation step by step there are steps and eta, those of the plan unless given.
    """
    own = (plan.value.steps, plan.value.eta) if isinstance(plan.value, Iterative) else (1, 0.0)
    given: dict[str, Array] = {"seed": np.array(seed, np.uint64).view(np.int64), "first": np.array(first, np.int64)}
    given |= generation.labels_for(plan, np.arange(first, first + n)) or {"count": np.array(n, np.int64)}
    others: dict[str, Array] = {
        "prompt": np.zeros(0, np.int64) if prompt is None else prompt,
        "length": np.array(length, np.int64),
        "temperature": np.array(picking.temperature, np.float32),
        "top_k": np.array(picking.top_k, np.int64),
        "top_p": np.array(picking.top_p, np.float32),
        "steps": np.array(own[0] if steps is None else steps, np.int64),
        "eta": np.array(own[1] if eta is None else eta, np.float32),
    }
    return given | {name: value for name, value in others.items() if name in plan.options}


def check(release: Release, backend: OnnxBackend) -> dict[str, float]:
    """The largest difference of each such graph from the host, by file name; :class:`ParityError` for one too large."""
    found = {}
    for task in release.tasks:  # before inputs are made of the shapes that they declare
        backend.prepare(task)
    if release.plan is not None and release.generate:
        checks = {OneShot: _samples, Autoregressive: _texts, Chain: _chain, Iterative: _steps}
        found[release.generate] = checks[type(release.plan.value)](release, release.plan, backend)
    for name, graph in release.uint8.items():
        found[graph] = _uint8(release, backend, name)
    return found


def _samples(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    worst = 0.0
    for seed, first, n in ((SEED, 0, 1), (2**64 - 1, 2**32 - 3, 3)):
        indices = np.arange(first, first + n)
        host = generation.one_shot(backend.run, plan, indices, seed, generation.labels_for(plan, indices))
        made = backend.call(release.generate, feeds(plan, seed=seed, first=first, n=n), [SAMPLES])[SAMPLES]
        worst = max(worst, _near(release.generate, host, made))
    return worst


def _steps(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    assert isinstance(plan.value, Iterative)
    worst = 0.0
    for seed, first, n, steps, eta in ((SEED, 0, 1, 2, 0.0), (2**64 - 1, 2**32 - 3, 3, 3, 0.7)):
        indices, steps = np.arange(first, first + n), min(steps, len(plan.value.alphas))
        host = iterate(backend.run, plan, indices, seed, generation.labels_for(plan, indices), steps, eta)
        given = feeds(plan, seed=seed, first=first, n=n, steps=steps, eta=eta)
        made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
        worst = max(worst, _near(release.generate, host, made))
    return worst


def _texts(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    token = plan.sample.x
    assert isinstance(token, Text)
    for picking in PICKINGS:
        for first, prompt in ((0, np.zeros(0, np.int64)), (2**32 - 3, np.array([token.classes - 1, 0]))):
            given = feeds(
                plan, seed=2**63, first=first, n=3, prompt=prompt, length=LENGTH - len(prompt), picking=picking
            )
            made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
            _follows(release, plan, backend, made, first, autoregressive.prompted(prompt, 3, LENGTH), picking)
    return 0.0


def _chain(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    """The tokens are those that the host would pick, and the samples what the last task makes of them."""
    assert plan.tokens is not None
    worst, total = 0.0, math.prod(plan.tokens.shape)
    for first, picking in zip((0, 2**32 - 3, 5), PICKINGS, strict=True):
        indices = np.arange(first, first + 3)
        given = feeds(plan, seed=2**63, first=first, n=3, picking=picking)
        made = backend.call(release.generate, given, [SAMPLES, TOKENS])
        grid, free = made[TOKENS], autoregressive.prompted(np.zeros(0, np.int64), 3, total)
        if grid.shape != (3, *plan.tokens.shape):
            raise ParityError(f"Parity failed: {release.generate} gives tokens of the shape {grid.shape}.")
        _follows(release, plan, backend, grid.reshape(3, total), first, free, picking)
        labels = generation.labels_for(plan, indices)
        host = generation.one_shot(backend.run, plan, indices, 2**63, {**labels, plan.grid: grid})
        worst = max(worst, _near(release.generate, host, made[SAMPLES]))
    return worst


def _follows(
    release: Release,
    plan: Plan,
    backend: OnnxBackend,
    made: NDArray[np.int64],
    first: int,
    given: NDArray[np.int64],
    picking: Picking,
) -> None:
    """Raise :class:`ParityError` for tokens that the host would not pick for the three samples from `first` on."""
    indices = np.arange(first, first + 3)
    labels = generation.labels_for(plan, indices)
    if not autoregressive.follows(backend.run, plan, indices, 2**63, labels, made, given, picking):
        raise ParityError(f"Parity failed: {release.generate} gives other tokens than {plan.uses[0]} step by step.")


def _uint8(release: Release, backend: OnnxBackend, name: str) -> float:
    graph, worst = release.uint8[name], 0.0
    for batch in (1, 3):
        if name == GENERATE:
            assert release.plan is not None
            given = pixels = feeds(release.plan, seed=SEED, first=0, n=batch, steps=1)
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


def _levels(images: Array) -> NDArray[np.uint8]:
    """float (n, c, h, w) as uint8 (n, h, w, c)."""
    levels: NDArray[np.uint8] = np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1)


def _near(graph: str, host: Array, made: Array) -> float:
    """The largest difference; :class:`ParityError` where it is too large."""
    if made.shape != host.shape or made.dtype != host.dtype or not np.allclose(made, host, RTOL, ATOL):
        raise ParityError(f"Parity failed: {graph} gives something else than the task that it stands for.")
    return float(np.abs(made.astype(np.float64) - host).max(initial=0.0))
