"""Times whole processes, side by side: interleaved rounds, wall time and peak memory by the kernel's own account."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.benchmark.machine import describe


@dataclass(frozen=True)
class Cost:
    """Medians over the rounds."""

    seconds: float
    spread: float
    """Largest minus smallest, in seconds."""
    megabytes: float


def compare(
    commands: Mapping[str, Sequence[str]], rounds: int, env: Mapping[str, str] | None = None
) -> dict[str, Cost]:
    """Run every command once a round, after one round that does not count, and return its cost by name."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    megabytes: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **(env or {})})
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{name} failed: {' '.join(command)}")
            if number:
                seconds[name].append(time.perf_counter() - began)
                megabytes[name].append(usage.ru_maxrss / 1024)
    return {
        name: Cost(
            statistics.median(seconds[name]),
            max(seconds[name]) - min(seconds[name]),
            statistics.median(megabytes[name]),
        )
        for name in commands
    }


def conclude(path: Path | None, figures: Mapping[str, Any], missed: Sequence[str]) -> None:
    """Write the figures as JSON where that was asked for, and exit with what fell short of its bound."""
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    if missed:
        raise SystemExit("\n" + "\n".join(missed))


def machine() -> str:
    """The processor, in words."""
    about = describe()
    return f"{about['processor']}, {about['cores']} cores"
