"""What a benchmark found, in figures: latencies, throughputs, and ratios of what was measured in the same round."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.benchmark.backends import Contestant

NOISY = 0.1
"""How far a control may be off before a person is warned, as a share."""

BUSY = 0.2
"""Cores that other work may use before a person is warned."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another one: the median over the rounds, and the smallest and the largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A task at one batch size, by one contestant."""

    contestant: Contestant
    task: str
    batch: int
    p50_ms: float
    """Milliseconds a call, over all rounds."""
    p99_ms: float
    items_per_second: float
    """The median over the rounds."""
    base: Contestant
    """Whom it is compared with: the first one on the same device."""
    speed: Ratio
    """By the median latencies of each round."""
    calls: int
    rounds_ms: Sequence[float]
    """The median latency of each round."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """One contestant's processes."""

    contestant: Contestant
    providers: Sequence[str]
    """What really computes."""
    cold_seconds: Sequence[float]
    """Seconds from the start of each process to its first sample."""
    base: Contestant
    speed: Ratio
    first_megabytes: float | None
    """The largest resident memory until the first sample, by the kernel's account; None where it has none (Windows)."""
    megabytes: float | None
    """The same until everything was measured, the largest batch too."""

    @property
    def seconds(self) -> float:
        """The median cold start."""
        return statistics.median(self.cold_seconds)


@dataclass(frozen=True)
class LeftOut:
    """What was not measured, and why."""

    contestant: Contestant
    what: str
    """A task and a batch size; empty for everything."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What :func:`zoo.bench` found."""

    sources: Sequence[str]
    machine: Mapping[str, Any]
    versions: Sequence[str]
    threads: int
    rounds: int
    rows: Sequence[Row]
    started: Sequence[Started]
    left_out: Sequence[LeftOut]
    other_work: float | None
    """Cores that other work used meanwhile, on average; None where the system does not say."""

    @property
    def noise(self) -> float:
        """How far the control's latencies were off, at worst: 0.1 is 10%."""
        held = {(row.contestant, row.task, row.batch): row for row in self.rows}
        off = [
            ratio(held[key].rounds_ms, row.rounds_ms).median
            for row in self.rows
            if row.contestant.control and (key := (row.contestant.twin, row.task, row.batch)) in held
        ]
        return max((max(times, 1 / times) - 1 for times in off), default=0.0)

    @property
    def warnings(self) -> list[str]:
        """What makes the figures doubtful, a line each."""
        found = []
        if self.noise > NOISY:
            found.append(f"The control differs from itself by up to {self.noise:.0%}: smaller differences are noise.")
        if self.other_work is not None and self.other_work > BUSY:
            found.append(f"Other work used {self.other_work:.1f} cores of this machine meanwhile.")
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, for scripts."""
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
    """The fields as JSON takes them, the contestant's own among them."""
    fields = dataclasses.asdict(value)
    return {"name": value.contestant.name, **fields.pop("contestant"), **fields}


def ratio(base: Sequence[float], mine: Sequence[float]) -> Ratio:
    """How many times as fast as the base, by the times of the same rounds."""
    by_round = [other / own for other, own in zip(base, mine, strict=False)]
    return Ratio(statistics.median(by_round), min(by_round), max(by_round))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below `share` of the values (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def first_on(device: str, measured: Sequence[Contestant]) -> Contestant:
    """The first of them that computes on a device."""
    return next(contestant for contestant in measured if contestant.device == device)


def rows(laps: Mapping[tuple[str, int], Mapping[Contestant, Sequence[Sequence[int]]]]) -> list[Row]:
    """A row for each task, batch and contestant, of the nanoseconds of each call in each round."""
    found = []
    for (task, batch), ways in laps.items():
        middles = {way: [statistics.median(lap) / 1e6 for lap in rounds] for way, rounds in ways.items()}
        for way, rounds in ways.items():
            calls = [ns / 1e6 for lap in rounds for ns in lap]
            base = first_on(way.device, list(ways))
            row = Row(
                contestant=way,
                task=task,
                batch=batch,
                p50_ms=statistics.median(calls),
                p99_ms=percentile(calls, 0.99),
                items_per_second=statistics.median(batch * len(lap) / (sum(lap) / 1e9) for lap in rounds),
                base=base,
                speed=ratio(middles[base], middles[way]),
                calls=len(calls),
                rounds_ms=middles[way],
            )
            found.append(row)
    return found
