"""Times trainings from outside: each lap is a whole process, which is stopped when it has done enough steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EARLY, LATE = 0.005, 0.05
"""Seconds between two looks at a process, before its first line (whose time counts) and after it."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A command that trains, and writes lines of JSON with at least ``step`` and ``seconds`` as it goes."""

    name: str
    command: Sequence[str]
    """``{folder}`` in it stands for a folder that is the lap's own."""
    lines: str = "stdout"
    """The file of lines in that folder; ``stdout`` is what the command prints."""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lap:
    """What one process did."""

    rate: float
    """Steps a second, after the warm-up, by the process's own clock."""
    start: float
    """Seconds from the start of the process until its first step was done."""
    megabytes: float
    """The largest resident memory of the process."""


def lap(contestant: Contestant, warmup: int, steps: int) -> Lap:
    """Run a contestant for `steps` steps, of which the first `warmup` are not timed, and stop it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # libgomp reads this once a process: every contestant runs with what it sets for itself.
        env = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"} | dict(contestant.env)
        command = [part.format(folder=folder) for part in contestant.command]
        began = time.perf_counter()
        with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=env)
        first, told = 0.0, False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            lines = _lines(folder / contestant.lines) if pid or first or (folder / contestant.lines).exists() else []
            if lines and not first:
                first = time.perf_counter() - began
            if pid:
                break
            if lines and lines[-1][0] >= steps and not told:
                process.send_signal(signal.SIGTERM)
                told = True
            time.sleep(LATE if first else EARLY)
        process.returncode = os.waitstatus_to_exitcode(status)
        timed = [line for line in lines if warmup <= line[0]]
        timed = timed[: 1 + next((number for number, line in enumerate(timed) if line[0] >= steps), len(timed))]
        if process.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM) or len(timed) < 2:
            said = (folder / "stderr").read_text("utf-8", "replace").strip().splitlines()
            raise SystemExit(f"{contestant.name} failed: {' '.join(command)}\n" + "\n".join(said[-5:]))
    rate = (timed[-1][0] - timed[0][0]) / (timed[-1][1] - timed[0][1])
    return Lap(rate, first - (lines[0][0] - 1) / rate, usage.ru_maxrss / 1024)


def rounds(contestants: Sequence[Contestant], warmup: int, steps: int, count: int) -> dict[str, list[Lap]]:
    """`count` laps of each contestant by name, interleaved: one of each, then the next of each."""
    laps: dict[str, list[Lap]] = {contestant.name: [] for contestant in contestants}
    for number in range(count):
        for contestant in contestants:
            print(f"round {number + 1} of {count}: {contestant.name}", file=sys.stderr, flush=True)
            laps[contestant.name].append(lap(contestant, warmup, steps))
    return laps


def _lines(path: Path) -> list[tuple[int, float]]:
    """The step and the seconds of each whole line that has both."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            said = json.loads(line)
            if "seconds" in said:
                found.append((said["step"], said["seconds"]))
    return found
