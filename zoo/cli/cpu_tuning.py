"""Prepares a process of ours for torch, before it is imported: how its threads wait, and how it keeps memory."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

KEPT = {-1: 2**31 - 1, -3: 2**25}
"""For glibc's malloc. Up to 2 GiB of free memory stay ours (M_TRIM_THRESHOLD), and only blocks of more than 32 MiB, the
most that it allows, are mapped one by one (M_MMAP_THRESHOLD)."""


def prepare() -> None:
    """Make torch quick on the CPU; docs/benchmarks.md has the figures. Call it before torch is imported.

    Each step of a training frees what the next one needs again. glibc would give it back to the kernel, which hands
    out every page anew. Where other work wants the same cores, torch's threads are told to wait for each other
    quietly, which costs a tenth where none does.
    """
    if sys.platform == "linux" and not any(key.startswith("MALLOC_") for key in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        for key, value in KEPT.items():
            if mallopt is not None:
                mallopt(key, value)
    if _busy():
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if "RANK" in os.environ:  # DDP would warn, once a process, that it looks for weights that a phase does not use
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _busy() -> bool:
    """Whether other threads than this one are running on this machine, most of the times that one looks (on Linux)."""
    seen = []
    for _ in range(5):
        try:
            seen.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]))
        except (OSError, ValueError, IndexError):
            return False
        time.sleep(0.005)
    return sorted(seen)[len(seen) // 2] > 1
