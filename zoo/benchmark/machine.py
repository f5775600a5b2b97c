"""The machine that a benchmark runs on, and its load."""

from __future__ import annotations

import os
import platform
from typing import Any

from zoo.core.cgroups import cores


def describe() -> dict[str, Any]:
    """Return the processor, the number of cores that this process may use, the system and the Python version."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def busy() -> float | None:
    """Return the CPU seconds of all cores together since the machine started, on Linux; None elsewhere."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(part) for part in file.readline().split()[1:9]]
        return sum(ticks[:3] + ticks[5:8]) / os.sysconf("SC_CLK_TCK")  # without idle and iowait
    except (OSError, ValueError, IndexError):
        return None
