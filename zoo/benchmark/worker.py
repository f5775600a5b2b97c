"""One contestant's process: loads a release, makes its first sample, then times what it is asked to, by its own clock.

    python -m zoo.benchmark.worker '{"source": …, "engine": …, "device": …, "threads": …}'

Lines of JSON: the first says what computes; each one that comes in is {"task", "batch", "seconds"}, and its answer
{"ns", "cpu", "peak"}. What fails is answered by {"failed": reason}. Between two of them it sleeps.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from zoo.core.errors import one_line

GENERATE = "generate"
"""Beside the tasks: a batch of samples as people get them, their noise drawn and the result made ready."""

CHARACTERS = 16
"""The length of a generated text."""

LEAST = 3
"""The fewest timed calls of one lap, unless the first call takes longer than the whole lap is to."""


def serve(given: dict[str, Any]) -> None:
    """Answer on standard output, which nothing else writes to, until standard input ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        model = _open(**given)
        call(model, GENERATE if model.release.generation is not None else model.tasks[0], 1)()
        answer({"providers": model.providers, "version": _version(given["engine"]), "peak": _peak()})
    except Exception as error:
        answer({"failed": one_line(error)[:300]})
        return
    calls: dict[tuple[str, int], Callable[[], object]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = asked["task"], asked["batch"]
        try:
            if key not in calls:
                calls[key] = call(model, *key)
            answer({**lap(calls[key], asked["seconds"]), "peak": _peak()})
        except Exception as error:
            answer({"failed": one_line(error)[:300]})


def _end_with(parent: int) -> None:
    """End this process once its parent has ended, whatever it is computing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _open(source: str, engine: str, device: Any, threads: int) -> Any:
    """The release as this engine runs it."""
    import zoo

    if engine != "torch-compiled":
        return zoo.load(source, backend="onnx" if engine == "onnx" else "torch", device=device, threads=threads)
    from zoo import modules, registry
    from zoo.core.devices import torch_device
    from zoo.release import read
    from zoo.release.resolve import find
    from zoo.runtime import LoadedModel

    release = read(find(source))
    module = modules.of_release(release).to(torch_device(device))
    import torch

    from zoo.modules.torch_backend import TorchBackend

    torch.set_num_threads(threads)
    torch._dynamo.config.recompile_limit = 4096  # each batch size has its own graph; past the limit torch runs eagerly
    tasks = {
        name: dataclasses.replace(task, method=torch.compile(task.method, dynamic=False))
        for name, task in registry.load(registry.split(release.name)[0]).tasks(module).items()
    }
    return LoadedModel(release, TorchBackend.of_module(module, tasks))


def call(model: Any, task: str, batch: int) -> Callable[[], object]:
    """One call of a task with a batch of plausible input, arrays in and arrays out, or of ``generate``."""
    from zoo.runtime.example_inputs import example

    if task == GENERATE:
        short = {"length": CHARACTERS} if "length" in model.release.plan.options else {}
        return partial(model.generate, batch, **short)
    inputs = model.release.tasks[task].inputs
    feeds = {name: example(spec, batch, stream) for stream, (name, spec) in enumerate(inputs.items())}
    return partial(model.backend.run, task, feeds)


def lap(function: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Call for so many seconds: the nanoseconds of each call but the first, which finds the caches cold.

    A first call that takes longer than that, which caches do not matter to, is the only one.
    """
    began, cpu, ns = time.perf_counter(), time.process_time(), list[int]()
    while len(ns) < 1 + LEAST or time.perf_counter() - began < seconds:
        before = time.perf_counter_ns()
        function()
        ns.append(time.perf_counter_ns() - before)
        if len(ns) == 1 and 0 < seconds < ns[0] / 1e9:
            return {"ns": ns, "cpu": time.process_time() - cpu}
    return {"ns": ns[1:], "cpu": time.process_time() - cpu}


def _version(engine: str) -> str:
    if engine == "onnx":
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"
    import torch

    return f"torch {torch.__version__}"


def _peak() -> float | None:
    """The largest resident memory of this process so far, in megabytes of 1024 · 1024 bytes, by the kernel's account.

    Linux counts what the process that started this one held into ``ru_maxrss``, and not into ``VmHWM``.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
