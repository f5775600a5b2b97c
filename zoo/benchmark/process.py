"""The parent's handle of one backend's process: starts it, requests trials, and ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.benchmark.backends import Backend
from zoo.core.errors import EvaluationError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Process:
    """The process of a backend, ready after its first sample. Raises :class:`EvaluationError` if it fails."""

    def __init__(self, backend: Backend, threads: int, cache: Path) -> None:
        given = {"engine": backend.engine, "device": backend.device, "threads": threads}
        env = os.environ | dict.fromkeys(THREADS, str(threads))
        env["TORCHINDUCTOR_CACHE_DIR"] = str(cache)  # an empty cache, so that everything is compiled again
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed in end)
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.benchmark.worker", json.dumps({"source": backend.source, **given})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=env, encoding="utf-8",
            start_new_session=True,  # the parent handles Ctrl-C, and then ends this process and its children
        )  # fmt: skip
        try:
            self.about = self._answer()
        except BaseException:
            self.end()
            raise
        self.seconds = time.perf_counter() - began
        """Seconds from the start of the process to its first sample."""

    def trial(self, task: str, batch: int, seconds: float) -> dict[str, Any]:
        """Time a task for `seconds` seconds; :mod:`zoo.benchmark.worker` describes the answer."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the process has ended, and _answer reports how
            print(json.dumps({"task": task, "batch": batch, "seconds": seconds}), file=self._process.stdin, flush=True)
        return self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise EvaluationError(self._ending())
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise EvaluationError(answer["failed"])
        return answer

    def _ending(self) -> str:
        """Return how the process ended, with the last line of its standard error."""
        code = self._process.wait()
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process {how}" + (f" ({' '.join(said[-1].split())[:200]})" if said else "")

    def end(self) -> None:
        """End the process and its children."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for an ended process
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
