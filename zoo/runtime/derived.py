"""The graphs derived from the tasks' graphs, and the check of their parity with the host.

``generate.onnx`` maps a seed to samples; ``TASK.uint8.onnx`` takes and returns uint8 images, as stored in files. They
are for clients in any language. zoo itself, the host, runs the tasks' graphs and draws the noise with numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import DDIM, Iterative
from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Image, Spec, Text
from zoo.core.errors import ParityError
from zoo.release import GENERATE, Release
from zoo.runtime import OnnxBackend
from zoo.runtime.example_inputs import SEED, example_asked, examples
from zoo.sampling import autoregressive, generation
from zoo.sampling.autoregressive import ALL, SamplingParams

Array = NDArray[Any]

ATOL, RTOL = 1e-5, 1e-4
"""The tolerance between two runtimes: |a − b| ≤ ATOL + RTOL · |a|."""

SAMPLES, TOKENS = "samples", "tokens"
"""The outputs of ``generate.onnx``; a chain's tokens are those from which its samples were decoded."""

LENGTH = 12
SAMPLINGS = (ALL, SamplingParams(0.7, 5, 0.9), SamplingParams(0.0))


def feeds(
    plan: Plan,
    *,
    seed: int,
    first: int,
    n: int,
    asked: Mapping[str, Array] | None = None,
    prompt: NDArray[np.int64] | None = None,
    length: int = 0,
    sampling: SamplingParams = ALL,
    steps: int | None = None,
    eta: float | None = None,
) -> dict[str, Array]:
    """The inputs of ``generate.onnx``, by name.

    Scalars are int64; a seed of 2⁶³ or more is the negative number with the same bits. What users may ask of a sample
    (labels, numbers, given inputs: `asked`, by default :func:`zoo.sampling.generation.asked_of`) is a batch each, and
    replaces the count `n`. Models of tokens also take
    temperature, top_k and top_p; models of text also take prompt, int64 (p,), and length. Iterative models also take
    steps, by default those of the plan; those of formats 1 and 2 also eta.
    """
    given: dict[str, Array] = {"seed": np.array(seed, np.uint64).view(np.int64), "first": np.array(first, np.int64)}
    asked = generation.asked_of(plan, np.arange(first, first + n)) if asked is None else asked
    given |= asked or {"count": np.array(n, np.int64)}
    usual = plan.loop.steps if isinstance(plan.loop, (Iterative, DDIM)) else 1
    others: dict[str, Array] = {
        "prompt": np.zeros(0, np.int64) if prompt is None else prompt,
        "length": np.array(length, np.int64),
        "temperature": np.array(sampling.temperature, np.float32),
        "top_k": np.array(sampling.top_k, np.int64),
        "top_p": np.array(sampling.top_p, np.float32),
        "steps": np.array(usual if steps is None else steps, np.int64),
    }
    if isinstance(plan.loop, DDIM):
        others["eta"] = np.array(plan.loop.eta if eta is None else eta, np.float32)
    return given | {name: value for name, value in others.items() if name in plan.of_loop}


def check(release: Release, backend: OnnxBackend) -> dict[str, float]:
    """The largest difference between each derived graph and the host, by file name.

    Raises :class:`ParityError` if a difference exceeds the tolerance.
    """
    differences = {}
    for task in release.tasks:  # before inputs of the declared shapes are allocated
        backend.prepare(task)
    if release.plan is not None and release.generate:
        check_loop = _samples if release.plan.tokens is None else _chain if release.plan.last else _texts
        differences[release.generate] = check_loop(release, release.plan, backend)
    for name, graph in release.uint8.items():
        differences[graph] = _uint8(release, backend, name)
    return differences


def _samples(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    worst = 0.0
    most = {Iterative: lambda loop: len(loop.schedule) - 1, DDIM: lambda loop: len(loop.alphas)}
    limit = most[type(plan.loop)](plan.loop) if type(plan.loop) in most else None
    for seed, first, n, steps, eta in ((SEED, 0, 1, 2, 0.0), (2**64 - 1, 2**32 - 3, 3, 3, 0.7)):
        indices = np.arange(first, first + n)
        asked = example_asked(plan, indices)
        several = None if limit is None else min(steps, limit)
        request = generation.Request(steps=several, eta=eta)
        host = generation.sample(backend.run, plan, indices, seed, asked, request)
        given = feeds(plan, seed=seed, first=first, n=n, asked=asked, steps=several, eta=eta)
        made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
        worst = max(worst, _near(release.generate, host, made))
    return worst


def _texts(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    token = plan.sample.x
    assert isinstance(token, Text)
    for sampling in SAMPLINGS:
        for first, prompt in ((0, np.zeros(0, np.int64)), (2**32 - 3, np.array([token.classes - 1, 0]))):
            asked = example_asked(plan, np.arange(first, first + 3))
            given = feeds(
                plan, seed=2**63, first=first, n=3, asked=asked, prompt=prompt, length=LENGTH - len(prompt),
                sampling=sampling,
            )  # fmt: skip
            made = backend.call(release.generate, given, [SAMPLES])[SAMPLES]
            _check_continuation(
                release, plan, backend, made, first, autoregressive.prompted(prompt, 3, LENGTH), sampling
            )
    return 0.0


def _chain(release: Release, plan: Plan, backend: OnnxBackend) -> float:
    """Check that the host would sample the same tokens, and that the last task decodes them to the samples."""
    assert plan.tokens is not None
    worst, total = 0.0, math.prod(plan.tokens.shape)
    for first, sampling in zip((0, 2**32 - 3, 5), SAMPLINGS, strict=True):
        indices = np.arange(first, first + 3)
        asked = example_asked(plan, indices)
        given = feeds(plan, seed=2**63, first=first, n=3, asked=asked, sampling=sampling)
        made = backend.call(release.generate, given, [SAMPLES, TOKENS])
        grid, free = made[TOKENS], autoregressive.prompted(np.zeros(0, np.int64), 3, total)
        if grid.shape != (3, *plan.tokens.shape):
            raise ParityError(f"Parity failed: {release.generate} gives tokens of the shape {grid.shape}.")
        _check_continuation(release, plan, backend, grid.reshape(3, total), first, free, sampling)
        host = generation.once(backend.run, plan, indices, 2**63, {**asked, plan.made: grid})
        worst = max(worst, _near(release.generate, host, made[SAMPLES]))
    return worst


def _check_continuation(
    release: Release,
    plan: Plan,
    backend: OnnxBackend,
    made: NDArray[np.int64],
    first: int,
    given: NDArray[np.int64],
    sampling: SamplingParams,
) -> None:
    """Raise :class:`ParityError` unless the host would sample the tokens `made` for the three samples from `first`."""
    indices = np.arange(first, first + 3)
    asked = example_asked(plan, indices)
    if not autoregressive.is_valid_continuation(backend.run, plan, indices, 2**63, asked, made, given, sampling):
        raise ParityError(f"Parity failed: {release.generate} gives other tokens than {plan.uses[0]} step by step.")


def _uint8(release: Release, backend: OnnxBackend, name: str) -> float:
    graph, worst = release.uint8[name], 0.0
    for batch in (1, 3):
        if name == GENERATE:
            assert release.plan is not None
            asked = example_asked(release.plan, np.arange(batch))
            given = pixels = feeds(release.plan, seed=SEED, first=0, n=batch, asked=asked, steps=1)
            specs: Mapping[str, Spec] = {SAMPLES: release.sample.x}
            host = backend.call(release.generate, given, [SAMPLES])
        else:
            task = release.tasks[name]
            given = examples(task.inputs, batch, release.plan.schedule(name) if release.plan is not None else ())
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
    """Convert float (n, c, h, w) in [0, 1] to uint8 (n, h, w, c)."""
    levels: NDArray[np.uint8] = np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1)


def _near(graph: str, host: Array, made: Array) -> float:
    """The largest difference; raise :class:`ParityError` if it exceeds the tolerance."""
    if made.shape != host.shape or made.dtype != host.dtype or not np.allclose(made, host, RTOL, ATOL):
        raise ParityError(f"Parity failed: {graph} differs from the task from which it is derived.")
    return float(np.abs(made.astype(np.float64) - host).max(initial=0.0))
