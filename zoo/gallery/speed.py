"""The time of one call of a model: one thread, batch 1, ONNX Runtime on the CPU."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from zoo.benchmark.machine import busy
from zoo.benchmark.worker import CHARACTERS, GENERATE, call, trial
from zoo.contract.specs import Text
from zoo.runtime import LoadedModel

SECONDS = 0.5
"""The duration of a trial: a model is called repeatedly, after a first call that does not count."""


@dataclass(frozen=True)
class Speed:
    """The median time of a call."""

    task: str
    """``generate`` if the model generates, else its first task."""
    words: str
    """A description of one call."""
    milliseconds: float
    calls: int
    others: float | None
    """Cores that were busy with other work meanwhile; None if the system does not report it."""


def measure(model: LoadedModel) -> Speed:
    """Time a model that was loaded with one thread."""
    generates = model.release.generation is not None
    task = GENERATE if generates else model.tasks[0]
    text = generates and isinstance(model.release.sample.x, Text)
    words = f"{task} {CHARACTERS} characters" if text else f"{task} one sample" if generates else f"{task}, batch 1"
    function = call(model, task, 1)
    before, began = busy(), time.perf_counter()
    found = trial(function, SECONDS)
    after, ended = busy(), time.perf_counter()
    others = None
    if before is not None and after is not None:
        others = max(after - before - found["cpu"], 0.0) / (ended - began)
    return Speed(task, words, statistics.median(found["ns"]) / 1e6, len(found["ns"]), others)
