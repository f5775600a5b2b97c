"""CPU settings of a process, made before it imports torch: how threads wait, and how freed memory is kept."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

KEPT = {-1: 2**31 - 1, -3: 2**25}
"""Parameters of glibc's malloc. The process keeps up to 2 GiB of freed memory (M_TRIM_THRESHOLD). Only blocks of more
than 32 MiB, the largest value allowed, are mapped one by one (M_MMAP_THRESHOLD)."""


def prepare() -> None:
    """Make torch faster on the CPU (measured in docs/reference/benchmarks.md). Call this before torch is imported.

    Each training step frees memory that the next step allocates again. By default glibc returns it to the kernel,
    which then has to provide every page again. If other work uses the same cores, torch's threads wait for each other
    with little spinning. On an idle machine this would cost a tenth of the speed, so it is not set there.
    """
    if sys.platform == "linux" and not any(key.startswith("MALLOC_") for key in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        for key, value in KEPT.items():
            if mallopt is not None:
                mallopt(key, value)
    if _busy():
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if "RANK" in os.environ:  # each process would print DDP's warning about its search for unused weights
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _busy() -> bool:
    """Return whether threads other than this one are running, in the median of five looks (Linux only)."""
    seen = []
    for _ in range(5):
        try:
            seen.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]))
        except (OSError, ValueError, IndexError):
            return False
        time.sleep(0.005)
    return sorted(seen)[len(seen) // 2] > 1
