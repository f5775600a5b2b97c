"""Turns noise into samples step by step: denoising diffusion implicit models (Song et al. 2021).

Everything is float32. ᾱ is that of the plan's generation, and ᾱ = 1 after the last step. At step k of S, of T times,
the time is t = T − 1 − ⌊k T / S⌋: always T − 1 first (Lin et al. 2024, https://arxiv.org/abs/2305.08891). Then

    x₀ = clip((x − √(1 − ᾱ_t) ε(x, t)) / √ᾱ_t, −1, 1)                    eq. 9
    ε  = (x − √ᾱ_t x₀) / √(1 − ᾱ_t)                                      anew, since x₀ was clipped
    σ  = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)                     eq. 16, s the next time
    x  ← √ᾱ_s x₀ + √(1 − ᾱ_s − σ²) ε + σ z                               eq. 12
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Iterative
from zoo.core import philox
from zoo.core.errors import SettingError

Array = NDArray[Any]


def table(generation: Iterative) -> NDArray[np.float32]:
    """ᾱ by time, and at the end, which is at −1, that of a sample without noise: float32 (T + 1,)."""
    return np.array([*generation.alphas, 1.0], np.float32)


def iterate(
    run: Callable[[str, Mapping[str, Array]], Mapping[str, Array]],
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    labels: Mapping[str, Array],
    steps: int | None = None,
    eta: float | None = None,
) -> NDArray[np.float32]:
    """The samples at `indices`, in [0, 1]: float32 (n, *shape).

    x starts as normal noise of stream 0; z of step k is stream 1, step k. `steps` and `eta` are those of the plan
    where they are None. Raises :class:`SettingError` where they are out of range.
    """
    value = plan.value
    assert isinstance(value, Iterative)
    steps, eta = value.steps if steps is None else steps, value.eta if eta is None else eta
    times = len(value.alphas)
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or not 1 <= steps <= times:
        raise SettingError(f"steps = {steps!r} is out of range: it must be an integer from 1 to {times}.")
    if isinstance(eta, bool) or not isinstance(eta, (int, float, np.number)) or not 0 <= eta <= 1:
        raise SettingError(f"eta = {eta!r} is out of range: it must be from 0 (no noise on the way) to 1 (DDPM).")
    alphas, one, least = table(value), np.float32(1), np.float32(0)
    shape = plan.sample.x.shape
    x = philox.draw("normal", shape, seed, indices, stream=0)
    for k in range(steps):
        time = times - 1 - k * times // steps
        now, then = alphas[time], alphas[times - 1 - (k + 1) * times // steps]
        found = run(value.task, {"x": x, "time": np.full(len(indices), time, np.int64), **labels})["noise"]
        sigma = np.float32(eta) * np.sqrt((one - then) / (one - now)) * np.sqrt(one - now / then)
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is refused when all is done
            clean = np.clip((x - np.sqrt(one - now) * found) / np.sqrt(now), -one, one)
            found = (x - np.sqrt(now) * clean) / np.sqrt(one - now)
            x = np.sqrt(then) * clean + np.sqrt(np.maximum(one - then - sigma * sigma, least)) * found
        if sigma > 0:
            x = x + sigma * philox.draw("normal", shape, seed, indices, stream=1, step=k)
    return np.asarray((x + one) / np.float32(2), np.float32)
