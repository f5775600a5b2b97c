"""The results of a benchmark: latencies, throughputs, and ratios of times in the same round."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.benchmark.backends import Backend

NOISY = 0.1
"""The relative difference of the control above which the user is warned."""

BUSY = 0.2
"""The number of cores used by other work above which the user is warned."""


@dataclass(frozen=True)
class Ratio:
    """A speed-up over another backend: the median over the rounds, and the smallest and the largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """The results of one task at one batch size in one backend."""

    backend: Backend
    task: str
    batch: int
    p50_ms: float
    """The median milliseconds of a call, over all rounds."""
    p99_ms: float
    items_per_second: float
    """The median over the rounds."""
    base: Backend
    """The backend to compare with: the first one on the same device."""
    speed: Ratio
    """The speed-up over `base`, by the median latency of each round."""
    calls: int
    rounds_ms: Sequence[float]
    """The median latency of each round."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The cold starts and the memory of one backend."""

    backend: Backend
    providers: Sequence[str]
    """The execution providers that are really used."""
    cold_seconds: Sequence[float]
    """Seconds from the start of each process to its first sample."""
    base: Backend
    speed: Ratio
    first_megabytes: float | None
    """Peak resident memory until the first sample, as the kernel reports it; None if it does not (Windows)."""
    megabytes: float | None
    """Peak resident memory until the end of all trials, including the largest batch."""

    @property
    def seconds(self) -> float:
        """The median cold start."""
        return statistics.median(self.cold_seconds)


@dataclass(frozen=True)
class LeftOut:
    """A backend or case that was not measured, and the reason."""

    backend: Backend
    what: str
    """A task and a batch size; empty if the whole backend was left out."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The results of :func:`zoo.bench`."""

    sources: Sequence[str]
    machine: Mapping[str, Any]
    versions: Sequence[str]
    threads: int
    rounds: int
    rows: Sequence[Row]
    started: Sequence[Started]
    left_out: Sequence[LeftOut]
    other_work: float | None
    """The average number of cores that other work used meanwhile; None if the system does not report it."""

    @property
    def noise(self) -> float:
        """The largest relative difference of the control's latencies: 0.1 is 10%."""
        by_case = {(row.backend, row.task, row.batch): row for row in self.rows}
        off = [
            ratio(by_case[key].rounds_ms, row.rounds_ms).median
            for row in self.rows
            if row.backend.control and (key := (row.backend.original, row.task, row.batch)) in by_case
        ]
        return max((max(times, 1 / times) - 1 for times in off), default=0.0)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the reliability of the results, one line each."""
        found = []
        if self.noise > NOISY:
            found.append(f"The control differs from itself by up to {self.noise:.0%}: smaller differences are noise.")
        if self.other_work is not None and self.other_work > BUSY:
            found.append(f"Other work used {self.other_work:.1f} cores of this machine meanwhile.")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return all results as a JSON object, for scripts."""
        return {
            **{key: getattr(self, key) for key in ("sources", "machine", "versions", "threads", "rounds")},
            "rows": [_plain(row) for row in self.rows],
            "processes": [_plain(one) for one in self.started],
            "left_out": [_plain(left) for left in self.left_out],
            "noise": self.noise,
            "other_work": self.other_work,
            "warnings": self.warnings,
        }


def _plain(value: Row | Started | LeftOut) -> dict[str, Any]:
    """Return the fields as a flat JSON object that includes the fields of the backend."""
    fields = dataclasses.asdict(value)
    return {"name": value.backend.name, **fields.pop("backend"), **fields}


def ratio(base: Sequence[float], mine: Sequence[float]) -> Ratio:
    """Return the speed-up over the base, by times of the same rounds."""
    by_round = [other / own for other, own in zip(base, mine, strict=False)]
    return Ratio(statistics.median(by_round), min(by_round), max(by_round))


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the percentile by nearest rank: the smallest value that is ≥ `fraction` of the values."""
    return sorted(values)[max(math.ceil(fraction * len(values)), 1) - 1]


def first_on(device: str, measured: Sequence[Backend]) -> Backend:
    """Return the first backend on a device."""
    return next(backend for backend in measured if backend.device == device)


def rows(trials: Mapping[tuple[str, int], Mapping[Backend, Sequence[Sequence[int]]]]) -> list[Row]:
    """Return a row for each task, batch size and backend, from the nanoseconds of each call in each round."""
    found = []
    for (task, batch), ways in trials.items():
        middles = {way: [statistics.median(trial) / 1e6 for trial in rounds] for way, rounds in ways.items()}
        for way, rounds in ways.items():
            calls = [ns / 1e6 for trial in rounds for ns in trial]
            base = first_on(way.device, list(ways))
            row = Row(
                backend=way,
                task=task,
                batch=batch,
                p50_ms=statistics.median(calls),
                p99_ms=percentile(calls, 0.99),
                items_per_second=statistics.median(batch * len(trial) / (sum(trial) / 1e9) for trial in rounds),
                base=base,
                speed=ratio(middles[base], middles[way]),
                calls=len(calls),
                rounds_ms=middles[way],
            )
            found.append(row)
    return found
