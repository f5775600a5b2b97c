"""How long one call of a model takes: one thread, batch 1, ONNX Runtime on the CPU."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from zoo.benchmark.machine import busy
from zoo.benchmark.worker import CHARACTERS, GENERATE, call, lap
from zoo.contract.specs import Text
from zoo.runtime import LoadedModel

SECONDS = 0.5
"""For how long a model is called again and again, after a first call that does not count."""


@dataclass(frozen=True)
class Speed:
    """The median time of a call."""

    task: str
    """``generate`` where the model does that, else its first task."""
    words: str
    """What one call does."""
    milliseconds: float
    calls: int
    others: float | None
    """Cores that were busy with other work meanwhile; None where the system does not say."""


def measure(model: LoadedModel) -> Speed:
    """Call a model that was loaded with one thread."""
    generates = model.release.generation is not None
    task = GENERATE if generates else model.tasks[0]
    text = generates and isinstance(model.release.sample.x, Text)
    words = f"{task} {CHARACTERS} characters" if text else f"{task} one sample" if generates else f"{task}, batch 1"
    function = call(model, task, 1)
    before, began = busy(), time.perf_counter()
    found = lap(function, SECONDS)
    after, ended = busy(), time.perf_counter()
    others = None
    if before is not None and after is not None:
        others = max(after - before - found["cpu"], 0.0) / (ended - began)
    return Speed(task, words, statistics.median(found["ns"]) / 1e6, len(found["ns"]), others)
