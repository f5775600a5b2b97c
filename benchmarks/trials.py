"""Times training from outside: each trial is a whole process, which is stopped after enough steps."""

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
"""Polling intervals in seconds, before the first line of a process (its time is measured) and after it."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to train: a command that writes lines of JSON with at least ``step`` and ``seconds`` while it runs."""

    name: str
    command: Sequence[str]
    """``{folder}`` is replaced by a new folder for each trial."""
    lines: str = "stdout"
    """The file of lines in that folder; ``stdout`` is the output of the command."""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """The results of one process."""

    rate: float
    """Steps a second after the warm-up, by the clock of the process."""
    start: float
    """Seconds from the start of the process to the end of its first step."""
    megabytes: float
    """The peak resident memory of the process."""


def trial(way: Way, warmup: int, steps: int) -> Trial:
    """Train for `steps` steps, of which the first `warmup` are not timed, and stop the process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # libgomp reads GOMP_SPINCOUNT when a process starts: only the setting of the way itself applies.
        env = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"} | dict(way.env)
        command = [part.format(folder=folder) for part in way.command]
        began = time.perf_counter()
        with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=env)
        first, stopped = 0.0, False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            lines = _lines(folder / way.lines) if pid or first or (folder / way.lines).exists() else []
            if lines and not first:
                first = time.perf_counter() - began
            if pid:
                break
            if lines and lines[-1][0] >= steps and not stopped:
                process.send_signal(signal.SIGTERM)
                stopped = True
            time.sleep(LATE if first else EARLY)
        process.returncode = os.waitstatus_to_exitcode(status)
        timed = [line for line in lines if warmup <= line[0]]
        timed = timed[: 1 + next((number for number, line in enumerate(timed) if line[0] >= steps), len(timed))]
        if process.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM) or len(timed) < 2:
            said = (folder / "stderr").read_text("utf-8", "replace").strip().splitlines()
            raise SystemExit(f"{way.name} failed: {' '.join(command)}\n" + "\n".join(said[-5:]))
    rate = (timed[-1][0] - timed[0][0]) / (timed[-1][1] - timed[0][1])
    return Trial(rate, first - (lines[0][0] - 1) / rate, usage.ru_maxrss / 1024)


def rounds(ways: Sequence[Way], warmup: int, steps: int, count: int) -> dict[str, list[Trial]]:
    """Run `count` trials of each way, interleaved, and return them by name."""
    trials: dict[str, list[Trial]] = {way.name: [] for way in ways}
    for number in range(count):
        for way in ways:
            print(f"round {number + 1} of {count}: {way.name}", file=sys.stderr, flush=True)
            trials[way.name].append(trial(way, warmup, steps))
    return trials


def _lines(path: Path) -> list[tuple[int, float]]:
    """Return the step and the seconds of each complete line that has both."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            said = json.loads(line)
            if "seconds" in said:
                found.append((said["step"], said["seconds"]))
    return found
