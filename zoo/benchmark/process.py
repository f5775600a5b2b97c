"""The parent's side of one contestant's process: starts it, asks it for laps, and ends it."""

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

from zoo.benchmark.backends import Contestant
from zoo.core.errors import EvaluationError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Process:
    """A contestant that has made its first sample and waits. Raises :class:`EvaluationError` where it cannot."""

    def __init__(self, contestant: Contestant, threads: int, cache: Path) -> None:
        given = {"engine": contestant.engine, "device": contestant.device, "threads": threads}
        env = os.environ | dict.fromkeys(THREADS, str(threads))
        env["TORCHINDUCTOR_CACHE_DIR"] = str(cache)  # compiled anew, whatever was compiled before
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed in end)
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.benchmark.worker", json.dumps({"source": contestant.source, **given})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=env, encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the parent's, which then ends what the process may have started too
        )  # fmt: skip
        try:
            self.about = self._answer()
        except BaseException:
            self.end()
            raise
        self.seconds = time.perf_counter() - began
        """From its start to its first sample."""

    def lap(self, task: str, batch: int, seconds: float) -> dict[str, Any]:
        """Let it compute for so long; see :mod:`zoo.benchmark.worker` for the answer."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, and the answer says how
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
        """How the process ended, with the last line that it wrote."""
        code = self._process.wait()
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process {how}" + (f" ({' '.join(said[-1].split())[:200]})" if said else "")

    def end(self) -> None:
        """End the process and what it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a process that has ended
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
