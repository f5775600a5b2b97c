"""The CPU cores and memory that this process may use. Linux control groups (containers, batch systems) limit both.

Version 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html) has one tree of groups; version 1 has one tree for each
controller. A limit holds for all groups below it. A limit that is missing or cannot be read counts as unlimited.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""The groups of this process, as lines ``ID:CONTROLLERS:PATH``; version 2 names no controllers."""


def cores(root: Path = ROOT, own: Path = OWN) -> int:
    """Return how many CPU cores this process may use at once, by affinity and by quota (rounded up); at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root, own))]))


def memory(root: Path = ROOT, own: Path = OWN) -> int | None:
    """Return how many bytes this process may still allocate; None if no group limits it.

    The kernel's inactive file cache counts as free, because the kernel releases it when memory is needed.
    """
    left = [
        limit - used + cached
        for group in _groups("memory", root, own)
        for names in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
        if (limit := _number(group / names[0])) is not None and (used := _number(group / names[1])) is not None
        for cached in (_entry(group / "memory.stat", names[2]),)
    ]
    return max(0, min(left)) if left else None


def _quotas(root: Path, own: Path) -> Iterator[float]:
    """Yield each quota of CPU time, in cores."""
    for group in _groups("cpu", root, own):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if not quota:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # neither "max" nor "-1"
            yield int(quota) / int(period)


def _groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process's groups and of their parents; some may not exist.

    Inside a container, the path may be that of the host and not exist: the root is then the group of the container.
    """
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        parts = PurePosixPath(path.lstrip("/")).parts
        for base in (root / names, root / controller) if names else (root, root / "unified"):
            for depth in range(len(parts), -1, -1):
                yield base.joinpath(*parts[:depth])


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _entry(path: Path, key: str) -> int:
    """Return the number of a key in a file of lines ``KEY NUMBER``; 0 if the key is missing."""
    found = (line.split() for line in _text(path).splitlines())
    return next((int(words[1]) for words in found if len(words) == 2 and words[0] == key and words[1].isdigit()), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
