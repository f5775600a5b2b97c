"""Compares whole processes: interleaved rounds, wall time, and peak memory as the kernel reports it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo.benchmark.machine import describe
from zoo.core.errors import ZooError
from zoo.core.files import expand

MISSED = 3
"""The exit status of a script that has measured everything and found a missed bound."""


@dataclass(frozen=True)
class Cost:
    """The cost of a command: medians over the rounds."""

    seconds: float
    spread: float
    """The largest minus the smallest time, in seconds."""
    megabytes: float


def compare(
    commands: Mapping[str, Sequence[str]], rounds: int, env: Mapping[str, str] | None = None
) -> dict[str, Cost]:
    """Run every command once a round, after one warm-up round, and return the costs by name."""
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


def conclude(path: Path | None, measurements: Mapping[str, Any], missed: Sequence[str] | None) -> None:
    """Write the measurements as JSON if there is a path, print the missed bounds, and exit (with MISSED if any).

    `missed` is None for measurements without bounds.
    """
    if path:
        path.write_text(json.dumps(measurements, indent=2) + "\n")
    if missed is not None:
        print(f"\n{within(missed)}", flush=True)
    raise SystemExit(MISSED if missed else 0)


def within(missed: Sequence[str]) -> str:
    """Return the list of missed bounds in Markdown."""
    return (
        "Not within the bounds:\n\n" + "\n".join(f"- {line}" for line in missed) if missed else "All within the bounds."
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def header(*packages: str) -> str:
    """Return when and where something is measured: the date, the processor and the versions."""
    about = describe()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{date.today()}, {about['processor']}, {about['cores']} cores; Python {about['python']}"
        f"{', ' if versions else ''}{versions}"
    )


def data_dir() -> Path:
    """Return the folder of the data sets. Exits if ZOO_DATA_DIR is not set."""
    if not os.environ.get("ZOO_DATA_DIR"):
        raise SystemExit("ZOO_DATA_DIR is not set. Set it to the folder that holds the data sets.")
    return expand(os.environ["ZOO_DATA_DIR"])


def run(main: Callable[[], None]) -> None:
    """Run a script. An error that the user can fix is one line, as in the commands of zoo."""
    try:
        main()
    except ZooError as error:
        raise SystemExit(f"Error: {error}") from error
