"""The sampler of releases of formats 1 and 2, whose task predicts the noise: DDIM, as a task made of that one.

Song, Meng & Ermon 2021, "Denoising diffusion implicit models", https://arxiv.org/abs/2010.02502. Everything is float32,
and ᾱ = 1 after the last step. From a time t to the next time s,

    x₀ = clip((x − √(1 − ᾱ_t) ε(x, t)) / √ᾱ_t, −1, 1)                    eq. 9
    ε  = (x − √ᾱ_t x₀) / √(1 − ᾱ_t)                                      recomputed, since x₀ was clipped
    σ  = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)                     eq. 16
    x  ← √ᾱ_s x₀ + √(1 − ᾱ_s − σ²) ε + σ z                               eq. 12
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import DDIM, Iterative
from zoo.contract.generation_plan import Form, Plan
from zoo.contract.specs import Noise, Number, Spec, Vector
from zoo.sampling import loop
from zoo.sampling.loop import Array, Run

STEP = "step"
"""The name of the task that the sampler is."""


@dataclass(frozen=True)
class _Step:
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]


def table(alphas: tuple[float, ...]) -> NDArray[np.float32]:
    """ᾱ_t for t = 0 … T − 1, followed by 1, the ᾱ after the last step (index −1): float32 (T + 1,)."""
    return np.array([*alphas, 1.0], np.float32)


def as_task(plan: Plan) -> Plan:
    """The plan of the same samples in which the sampler is a task: at step k of S, t = T − 1 − ⌊k T / S⌋."""
    value, shape = plan.loop, plan.sample.x.shape
    assert isinstance(value, DDIM)
    others = {name: spec for name, spec in plan.tasks[value.task].inputs.items() if name not in ("x", "time")}
    point, times = Vector(()), len(value.alphas)
    form: Form = _Step(
        {"x": Noise(shape), "time": point, "until": point, "noise": Noise(shape), "eta": Number(0.0), **others},
        {"next_x": Vector(shape), "sample": plan.sample.x},
    )
    schedule = tuple(float(time) for time in range(times - 1, -2, -1))
    return Plan(Iterative(STEP, schedule, value.steps), {**plan.tasks, STEP: form}, plan.sample)


def iterate(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    asked: Mapping[str, Array],
    steps: int | None = None,
    eta: float | None = None,
) -> Array:
    """The samples of `indices`, in [0, 1]: float32 (n, *shape). `steps` and `eta` default to those of the plan."""
    value = plan.loop
    assert isinstance(value, DDIM)
    alpha_bars, one, zero = table(value.alphas), np.float32(1), np.float32(0)
    task = value.task

    def step(_: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        x, time, until = inputs["x"], int(inputs["time"][0]), int(inputs["until"][0])
        a_t, a_s, eta = alpha_bars[time], alpha_bars[until], np.float32(inputs["eta"][0])
        given = {name: inputs[name] for name in plan.tasks[task].inputs if name not in ("x", "time")}
        eps = run(task, {"x": x, "time": np.full(len(x), time, np.int64), **given})["noise"]
        sigma = eta * np.sqrt((one - a_s) / (one - a_t)) * np.sqrt(one - a_t / a_s)  # eq. 16
        with np.errstate(over="ignore", invalid="ignore"):  # non-finite samples raise an error at the end
            x_0 = np.clip((x - np.sqrt(one - a_t) * eps) / np.sqrt(a_t), -one, one)  # eq. 9
            eps = (x - np.sqrt(a_t) * x_0) / np.sqrt(one - a_t)
            x = np.sqrt(a_s) * x_0 + np.sqrt(np.maximum(one - a_s - sigma * sigma, zero)) * eps  # eq. 12
            x = x + sigma * inputs["noise"]
        return {"next_x": x, "sample": np.asarray((x + one) / np.float32(2), np.float32)}

    amount = np.full(len(indices), value.eta if eta is None else eta, np.float32)
    return loop.iterate(step, as_task(plan), indices, seed, {**asked, "eta": amount}, steps)
