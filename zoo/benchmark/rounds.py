"""Interleaved rounds over the backends: drift of the machine affects all alike, and only one runs at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from zoo.benchmark.backends import Backend
from zoo.benchmark.machine import busy
from zoo.benchmark.process import Process
from zoo.benchmark.results import LeftOut
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress

TRIAL = 0.2
"""Seconds of one trial: one task and batch size in one backend and round."""

REST = 0.03
"""Seconds between trials with several threads, which keep spinning for a while after the last call."""

Case = tuple[str, int]
"""A task and a batch size."""


class Rounds:
    """A context manager with the processes and the results of a benchmark. On exit it ends all processes."""

    def __init__(self, backends: Sequence[Backend], rounds: int, threads: int, cache: Path, quiet: bool) -> None:
        self._backends, self._rounds, self._threads, self._cache = backends, rounds, threads, cache
        self._quiet = quiet
        self._processes: dict[Backend, Process] = {}
        self.cold: dict[Backend, list[float]] = {}
        """Seconds from the start of each process to its first sample."""
        self.about: dict[Backend, Mapping[str, Any]] = {}
        """The first answer of the last process: providers, version and peak memory."""
        self.trials: dict[Case, dict[Backend, list[list[int]]]] = {}
        """Nanoseconds of each call, by round."""
        self.peak: dict[Backend, float | None] = {}
        self.left_out: list[LeftOut] = []
        self._others, self._wall = 0.0, 0.0

    def __enter__(self) -> Rounds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.end()

    @property
    def other_work(self) -> float | None:
        """The average number of cores that were busy with other work during the trials, or None."""
        return max(self._others / self._wall, 0.0) if self._wall else None

    def start(self) -> None:
        """Start every backend once a round, after one start that does not count. The last processes stay.

        A compiled backend is started only once, with an empty compilation cache.
        """
        turns = [
            (number, backend)
            for number in range(self._rounds + 1)
            for backend in self._backends
            if number == self._rounds or backend.engine != "torch-compiled"
        ]
        with Progress("Cold starts", len(turns), unit="starts", quiet=self._quiet) as progress:
            for done, (number, backend) in enumerate(turns, 1):
                if any(backend.original == left.backend for left in self.left_out):
                    continue
                try:
                    process = Process(backend, self._threads, self._cache / str(done))
                except EvaluationError as error:
                    self._leave_out(backend, "", str(error))
                    continue
                if number:
                    self.cold.setdefault(backend, []).append(process.seconds)
                if number == self._rounds:
                    self._processes[backend], self.about[backend] = process, process.about
                    self.peak[backend] = process.about["peak"]
                else:
                    process.end()
                progress.update(done, {}, done)

    def run(self, cases: Mapping[str, Sequence[Case]]) -> None:
        """Time every case of every source once a round, after one round that does not count."""
        together = dict.fromkeys(case for several in cases.values() for case in several)
        turns = [(number, case) for number in range(self._rounds + 1) for case in together if self._processes]
        with Progress("Measuring", len(turns), unit="cases", quiet=self._quiet) as progress:
            for done, (number, case) in enumerate(turns, 1):
                for backend, process in list(self._processes.items()):
                    if case in cases[backend.source] and not self._is_left_out(backend, case):
                        self._trial(backend, process, case, counts=number > 0)
                progress.update(done, {}, done)

    def _trial(self, backend: Backend, process: Process, case: Case, counts: bool) -> None:
        before, began = busy(), time.perf_counter()
        try:
            answer = process.trial(*case, TRIAL)
        except EvaluationError as error:
            if process.alive:
                self._leave_out(backend, describe(case), str(error))
                self.trials.get(case, {}).pop(backend, None)
                return
            self._leave_out(backend, "", f"{describe(case)}: {error}")
            for ways in self.trials.values():
                ways.pop(backend, None)
            self._processes.pop(backend).end()
            return
        after, ended = busy(), time.perf_counter()
        if self._threads > 1:
            time.sleep(REST)
        self.peak[backend] = answer["peak"]
        if counts:
            self.trials.setdefault(case, {}).setdefault(backend, []).append(answer["ns"])
            if before is not None and after is not None:
                self._others += after - before - answer["cpu"]
                self._wall += ended - began

    def _is_left_out(self, backend: Backend, case: Case) -> bool:
        return any(left.backend == backend and left.what == describe(case) for left in self.left_out)

    def _leave_out(self, backend: Backend, what: str, reason: str) -> None:
        self.left_out.append(LeftOut(backend, what, reason.rstrip(".")))


def describe(case: Case) -> str:
    """Describe a case in words."""
    return f"{case[0]} at batch {case[1]}"
