"""The DDIM sampler of iterative models.

Song, Meng & Ermon 2021, "Denoising diffusion implicit models", https://arxiv.org/abs/2010.02502. Everything is float32.
ᾱ is that of the plan's generation, and ᾱ = 1 after the last step. At step k of S, with T times, the time is
t = T − 1 − ⌊k T / S⌋: T − 1 always comes first (Lin et al. 2024, https://arxiv.org/abs/2305.08891). Then

    x₀ = clip((x − √(1 − ᾱ_t) ε(x, t)) / √ᾱ_t, −1, 1)                    eq. 9
    ε  = (x − √ᾱ_t x₀) / √(1 − ᾱ_t)                                      recomputed, since x₀ was clipped
    σ  = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)                     eq. 16; s is the next time
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
    """ᾱ_t for t = 0 … T − 1, followed by 1, the ᾱ after the last step (index −1): float32 (T + 1,)."""
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
    """The samples of `indices`, in [0, 1]: float32 (n, *shape).

    x starts as normal noise of stream 0; z of step k is normal noise of stream 1, step k. `steps` and `eta` default to
    those of the plan. Raises :class:`SettingError` if they are out of range.
    """
    value = plan.value
    assert isinstance(value, Iterative)
    steps, eta = value.steps if steps is None else steps, value.eta if eta is None else eta
    times = len(value.alphas)
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or not 1 <= steps <= times:
        raise SettingError(f"steps = {steps!r} is out of range: it must be an integer from 1 to {times}.")
    if isinstance(eta, bool) or not isinstance(eta, (int, float, np.number)) or not 0 <= eta <= 1:
        raise SettingError(f"eta = {eta!r} is out of range: it must be from 0 (deterministic) to 1 (DDPM).")
    alpha_bars, one, zero = table(value), np.float32(1), np.float32(0)
    shape = plan.sample.x.shape
    x = philox.draw("normal", shape, seed, indices, stream=0)
    for k in range(steps):
        time = times - 1 - k * times // steps
        a_t, a_s = alpha_bars[time], alpha_bars[times - 1 - (k + 1) * times // steps]
        eps = run(value.task, {"x": x, "time": np.full(len(indices), time, np.int64), **labels})["noise"]
        sigma = np.float32(eta) * np.sqrt((one - a_s) / (one - a_t)) * np.sqrt(one - a_t / a_s)  # eq. 16
        with np.errstate(over="ignore", invalid="ignore"):  # non-finite samples raise an error at the end
            x_0 = np.clip((x - np.sqrt(one - a_t) * eps) / np.sqrt(a_t), -one, one)  # eq. 9
            eps = (x - np.sqrt(a_t) * x_0) / np.sqrt(one - a_t)
            x = np.sqrt(a_s) * x_0 + np.sqrt(np.maximum(one - a_s - sigma * sigma, zero)) * eps  # eq. 12
        if sigma > 0:
            x = x + sigma * philox.draw("normal", shape, seed, indices, stream=1, step=k)
    return np.asarray((x + one) / np.float32(2), np.float32)
