"""Torch devices by name, and an error for a device that is not available."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zoo.core.cgroups import cores
from zoo.core.errors import DeviceError, SettingError

if TYPE_CHECKING:
    import torch

MOST_THREADS = 64
"""The largest number of threads allowed on any machine; more are allowed if there are more cores."""


def torch_device(name: str) -> torch.device:
    """Return the device called ``"auto"`` (CUDA if available, else the CPU), ``"cpu"``, ``"cuda:1"``, ``"mps"`` etc.

    Raises :class:`DeviceError` for a named device that is not available.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise SettingError(f"device = {name!r} is not one of auto, cpu, cuda, cuda:N, mps.")
    if kind == "cuda" and (not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(
            f"Device {name!r} was requested, and torch {torch.__version__} finds "
            f"{torch.cuda.device_count()} CUDA devices. "
            "Use --device cpu, or install torch for CUDA (https://pytorch.org/get-started)."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("Device 'mps' was requested, and torch does not find it. Use --device cpu.")
    return torch.device(name)


def fit_threads() -> None:
    """Limit torch's threads to the cores that this process may use, unless OMP_NUM_THREADS is set.

    torch counts cores by affinity and ignores a container's quota of CPU time.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())


def check_threads(threads: int) -> None:
    """Raise :class:`SettingError` for a number of threads that is out of range."""
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if type(threads) is not int or not 1 <= threads <= most:
        raise SettingError(f"threads = {threads!r} is not an integer from 1 to {most}.")


def describe_device(device: torch.device) -> str:
    """Describe a device: ``"NVIDIA H200"``, or the CPU architecture and the number of torch's threads."""
    import platform

    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
