"""Available memory: limits the size of data sets in memory, and of requests such as large batches."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zoo.core import cgroups
from zoo.core.errors import SettingError

SMALL = 2**28
"""Requests of at most this many bytes are always allowed."""

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def limit() -> int:
    """Return ``ZOO_MEMORY`` in bytes (its unit may be KB, MB, GB, KiB, MiB or GiB); default: half of what is free."""
    given = os.environ.get("ZOO_MEMORY", "").strip()
    if not given:
        return available() // 2
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", given)
    if match is None or match[2].upper() not in UNITS:
        raise SettingError(f"ZOO_MEMORY = {given!r} is not a size. Write bytes, or for example 500MB or 8GB.")
    return int(float(match[1]) * UNITS[match[2].upper()])


def check(needed: int, what: str, instead: str) -> None:
    """Raise :class:`SettingError` if `what` needs more bytes than are free; `instead` says what to do."""
    if needed > SMALL and needed > (free := available()):
        raise SettingError(f"{what} need {_words(needed)} of memory, and {_words(free)} are free. {instead}")


def _words(count: int) -> str:
    """Format a number of bytes: ``"1,568 GB"``."""
    return f"{count / 1e9:,.0f} GB" if count >= 1e10 else f"{count / 1e9:.1f} GB"


def available() -> int:
    """Return how many bytes this process can still allocate, on the machine and within its control group."""
    allowed = cgroups.memory()
    return _machine() if allowed is None else max(0, min(_machine(), allowed))


def _machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):  # not Linux
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 8 * 2**30
