"""The cores and the memory of a container, from files as the kernel writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from conftest import Shelf
from zoo.core import cgroups, devices, memory

LIMITLESS = "9223372036854771712"  # what version 1 says where there is no limit


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


def place(folder: Path, own: str, files: Mapping[str, str]) -> dict[str, Path]:
    """Write a cgroup file system, and what a process's own file says."""
    for name, text in files.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (folder / "own").write_text(own)
    return {"root": folder / "root", "own": folder / "own"}


CPU = "cpu,cpuacct"
V1 = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, 16),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "5000 100000"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000"}, 16),
        ("0::/a/b\n", {"a/b/cpu.max": "800000 100000", "a/cpu.max": "300000 100000"}, 3),  # the tightest above it
        ("0::/../../outside\n", {"cpu.max": "400000 100000"}, 4),  # a path as seen from outside
        ("0::/\n", {"cpu.max": "odd"}, 16),
        ("0::/\n", {"cpu.max": "100000 0"}, 16),
        ("", {}, 16),
        (V1, {f"{CPU}/docker/abc/cpu.cfs_quota_us": "-1", f"{CPU}/docker/abc/cpu.cfs_period_us": "100000"}, 16),
        (V1, {f"{CPU}/docker/abc/cpu.cfs_quota_us": "250000", f"{CPU}/docker/abc/cpu.cfs_period_us": "100000"}, 3),
        (V1, {f"{CPU}/cpu.cfs_quota_us": "50000", f"{CPU}/cpu.cfs_period_us": "100000"}, 1),  # a container's own mount
        (V1, {"cpu/cpu.cfs_quota_us": "500000", "cpu/cpu.cfs_period_us": "100000"}, 5),  # mounted by its one name
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "unified/cpu.max": "700000 100000"}, 7),  # both versions
    ],
)  # fmt: skip
def test_cores(own: str, files: Mapping[str, str], cores: int, tmp_path: Path) -> None:
    assert cgroups.cores(**place(tmp_path, own, files)) == cores


@pytest.mark.parametrize(
    ("own", "files", "left"),
    [
        ("0::/\n", {"memory.max": "max", "memory.current": "5"}, None),
        ("0::/\n", {"memory.max": "1000", "memory.current": "300"}, 700),
        ("0::/\n", {"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 5\ninactive_file 600"}, 700),
        ("0::/\n", {"memory.max": "1000", "memory.current": "1200"}, 0),
        (
            "0::/a/b\n",
            {"a/memory.max": "500", "a/memory.current": "400", "a/b/memory.max": "900", "a/b/memory.current": "1"},
            100,
        ),
        (
            V1,
            {
                "memory/memory.limit_in_bytes": LIMITLESS,
                "memory/memory.usage_in_bytes": "7",
                "memory/docker/abc/memory.limit_in_bytes": "1000",
                "memory/docker/abc/memory.usage_in_bytes": "400",
                "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 50",
            },
            650,
        ),
        ("", {}, None),
    ],
)
def test_memory(own: str, files: Mapping[str, str], left: int | None, tmp_path: Path) -> None:
    assert cgroups.memory(**place(tmp_path, own, files)) == left


def test_here() -> None:
    """This machine, whatever it is."""
    assert 1 <= cgroups.cores() <= (os.cpu_count() or 1)
    assert cgroups.memory() is None or cgroups.memory() > 0  # type: ignore[operator]


def test_what_follows_from_them(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's threads, torch's, and how much memory data may take."""
    for module in ("zoo.runtime.onnx_backend", "zoo.core.devices"):
        monkeypatch.setattr(f"{module}.cores", lambda: 1)
    with zoo.load(shelf.release("ae")) as model:
        backend: Any = model.backend
        assert backend.session("encode.onnx").get_session_options().intra_op_num_threads == 1
    said: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", said.append)
    devices.fit_threads()  # OMP_NUM_THREADS is set in these tests
    monkeypatch.delenv("OMP_NUM_THREADS")
    devices.fit_threads()
    assert said == [1]
    monkeypatch.delenv("ZOO_MEMORY", raising=False)
    monkeypatch.setattr(cgroups, "memory", lambda: 1000)
    assert memory.limit() == 500
