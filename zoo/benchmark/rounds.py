"""Goes round by round over the contestants: a machine that drifts drifts for all, and only one computes at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from zoo.benchmark.backends import Contestant
from zoo.benchmark.machine import busy
from zoo.benchmark.process import Process
from zoo.benchmark.results import LeftOut
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress

LAP = 0.2
"""Seconds that a contestant computes for each task, batch and round."""

REST = 0.03
"""Seconds between laps of several threads, which wait for each other by spinning for a while after the last call."""

Cell = tuple[str, int]
"""A task, and a batch size."""


class Rounds:
    """The processes of a benchmark, and what was measured of them so far. A context manager: its end ends them all."""

    def __init__(self, contestants: Sequence[Contestant], rounds: int, threads: int, cache: Path, quiet: bool) -> None:
        self._contestants, self._rounds, self._threads, self._cache = contestants, rounds, threads, cache
        self._quiet = quiet
        self._processes: dict[Contestant, Process] = {}
        self.cold: dict[Contestant, list[float]] = {}
        """Seconds from the start of each process to its first sample."""
        self.about: dict[Contestant, Mapping[str, Any]] = {}
        """What the last of these processes said of itself."""
        self.laps: dict[Cell, dict[Contestant, list[list[int]]]] = {}
        """Nanoseconds of each call, by round."""
        self.peak: dict[Contestant, float | None] = {}
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
        """Cores that were busy with other work while laps were timed."""
        return max(self._others / self._wall, 0.0) if self._wall else None

    def start(self) -> None:
        """Start everybody once a round, after one start that does not count; the last processes stay.

        Only one process is started of what is compiled, with nothing compiled before.
        """
        turns = [
            (number, contestant)
            for number in range(self._rounds + 1)
            for contestant in self._contestants
            if number == self._rounds or contestant.engine != "torch-compiled"
        ]
        with Progress("Cold starts", len(turns), unit="starts", quiet=self._quiet) as progress:
            for done, (number, contestant) in enumerate(turns, 1):
                if any(contestant.twin == left.contestant for left in self.left_out):
                    continue
                try:
                    process = Process(contestant, self._threads, self._cache / str(done))
                except EvaluationError as error:
                    self._leave_out(contestant, "", str(error))
                    continue
                if number:
                    self.cold.setdefault(contestant, []).append(process.seconds)
                if number == self._rounds:
                    self._processes[contestant], self.about[contestant] = process, process.about
                    self.peak[contestant] = process.about["peak"]
                else:
                    process.end()
                progress.update(done, {}, done)

    def run(self, cells: Mapping[str, Sequence[Cell]]) -> None:
        """Time each cell of each source, once a round, after one round that does not count."""
        together = dict.fromkeys(cell for several in cells.values() for cell in several)
        turns = [(number, cell) for number in range(self._rounds + 1) for cell in together if self._processes]
        with Progress("Measuring", len(turns), unit="cells", quiet=self._quiet) as progress:
            for done, (number, cell) in enumerate(turns, 1):
                for contestant, process in list(self._processes.items()):
                    if cell in cells[contestant.source] and not self._is_left_out(contestant, cell):
                        self._lap(contestant, process, cell, counts=number > 0)
                progress.update(done, {}, done)

    def _lap(self, contestant: Contestant, process: Process, cell: Cell, counts: bool) -> None:
        before, began = busy(), time.perf_counter()
        try:
            answer = process.lap(*cell, LAP)
        except EvaluationError as error:
            if process.alive:
                self._leave_out(contestant, words(cell), str(error))
                self.laps.get(cell, {}).pop(contestant, None)
                return
            self._leave_out(contestant, "", f"{words(cell)}: {error}")
            for ways in self.laps.values():
                ways.pop(contestant, None)
            self._processes.pop(contestant).end()
            return
        after, ended = busy(), time.perf_counter()
        if self._threads > 1:
            time.sleep(REST)
        self.peak[contestant] = answer["peak"]
        if counts:
            self.laps.setdefault(cell, {}).setdefault(contestant, []).append(answer["ns"])
            if before is not None and after is not None:
                self._others += after - before - answer["cpu"]
                self._wall += ended - began

    def _is_left_out(self, contestant: Contestant, cell: Cell) -> bool:
        return any(left.contestant == contestant and left.what == words(cell) for left in self.left_out)

    def _leave_out(self, contestant: Contestant, what: str, reason: str) -> None:
        self.left_out.append(LeftOut(contestant, what, reason.rstrip(".")))


def words(cell: Cell) -> str:
    """A cell as people read it."""
    return f"{cell[0]} at batch {cell[1]}"
