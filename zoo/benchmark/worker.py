"""The process of one backend: loads a release, makes its first sample, then times the requested calls by its own clock.

    python -m zoo.benchmark.worker '{"source": …, "engine": …, "device": …, "threads": …}'

Input and output are lines of JSON. The first output is {"providers", "version", "peak"}. A request is {"task", "batch",
"seconds"} and its answer {"ns", "cpu", "peak"}. A failure is answered by {"failed": reason}. The process sleeps between
requests.
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
"""The name for timing ``model.generate``: a batch of samples, including its noise and the conversion of the result."""

CHARACTERS = 16
"""The length of a generated text."""

LEAST = 3
"""The smallest number of timed calls of one trial, unless the first call takes longer than the whole trial."""


def serve(given: dict[str, Any]) -> None:
    """Answer requests until standard input ends. Nothing else writes to standard output."""
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
        request = json.loads(line)
        key = request["task"], request["batch"]
        try:
            if key not in calls:
                calls[key] = call(model, *key)
            answer({**trial(calls[key], request["seconds"]), "peak": _peak()})
        except Exception as error:
            answer({"failed": one_line(error)[:300]})


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, whatever it is computing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _open(source: str, engine: str, device: Any, threads: int) -> Any:
    """Load the release in this engine."""
    import zoo

    if engine != "torch-compiled":
        return zoo.load(source, backend="onnx" if engine == "onnx" else "torch", device=device, threads=threads)
    from zoo import modules, registry
    from zoo.core.devices import torch_device
    from zoo.hub.resolve import find
    from zoo.release import read
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
    """Return a function that calls a task on a batch of example arrays, or calls ``generate``."""
    from zoo.runtime import given_of
    from zoo.runtime.example_inputs import examples

    plan = model.release.plan
    if task == GENERATE:
        short = {"length": CHARACTERS} if "length" in plan.of_loop else {}
        return partial(model.generate, batch, **given_of(model, batch), **short)
    feeds = examples(model.release.tasks[task].inputs, batch, plan.schedule(task) if plan is not None else ())
    return partial(model.backend.run, task, feeds)


def trial(function: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Call a function for `seconds` seconds, and return the nanoseconds of each call except the first, a warm-up.

    If the first call alone takes longer, it is the only call, and it counts.
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
    """Return the peak resident memory of this process in MiB, as the kernel reports it.

    On Linux ``ru_maxrss`` also counts the memory of the parent process, ``VmHWM`` does not.
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
