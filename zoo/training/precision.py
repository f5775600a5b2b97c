"""The precision of a run: fp32, tf32 or bf16, and the meaning of "auto" on a device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


def best(device: torch.device) -> Literal["fp32", "bf16"]:
    """The precision of "auto" on a device: bf16 if its hardware supports bfloat16, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return "bf16" if supported() else "fp32"
    return "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The autocast context for a precision: bfloat16 for bf16, else disabled."""
    on = precision == "bf16"
    return torch.autocast(device.type if on else "cpu", torch.bfloat16, enabled=on)


@contextmanager
def arithmetic(precision: str, deterministic: bool) -> Iterator[None]:
    """Set float32 matrix-product precision and deterministic kernels for the duration of a run."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    strict = torch.are_deterministic_algorithms_enabled()
    if deterministic:  # cuBLAS reads it at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    changed = deterministic and not strict  # the call imports torch's compiler, which takes a second
    if changed:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        if changed:
            torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def next_step(error: BaseException) -> str:
    """What a user may do about an error of a plugin's own code in training."""
    if "BFloat16" in str(error):  # the words of torch for tensors of two dtypes
        return (
            "Under autocast, products of matrices are bfloat16: write .float() where they meet float32, or train with "
            "--set precision=fp32"
        )
    return "Try other settings or data; ZOO_DEBUG=1 shows the traceback"
