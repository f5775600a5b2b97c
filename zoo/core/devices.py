"""Which torch device a person means, and an error where it is not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zoo.core.cgroups import cores
from zoo.core.errors import DeviceError, SettingError

if TYPE_CHECKING:
    import torch

MOST_THREADS = 64
"""Threads that may be asked for on any machine; more only where there are more cores."""


def torch_device(name: str) -> torch.device:
    """``"auto"`` (CUDA where there is one, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.

    Raises :class:`DeviceError` for a device that is asked for by name and is not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise SettingError(f"device = {name!r} is not one of auto, cpu, cuda, cuda:N, mps.")
    if kind == "cuda" and (not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(
            f"Device {name!r} was asked for, and torch {torch.__version__} finds "
            f"{torch.cuda.device_count()} CUDA devices. "
            "Use --device cpu, or install torch for CUDA (https://pytorch.org/get-started)."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("Device 'mps' was asked for, and torch does not find it. Use --device cpu.")
    return torch.device(name)


def fit_threads() -> None:
    """Have torch use no more threads than the cores that this process may use, unless OMP_NUM_THREADS says how many.

    torch counts cores by affinity, and knows nothing of a container's quota of CPU time.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())


def check_threads(threads: int) -> None:
    """Raise :class:`SettingError` for a number of threads that no machine could use."""
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if type(threads) is not int or not 1 <= threads <= most:
        raise SettingError(f"threads = {threads!r} is not an integer from 1 to {most}.")


def device_words(device: torch.device) -> str:
    """A device as people know it: ``"NVIDIA H200"``, or the processor's kind and the threads that torch uses."""
    import platform

    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
