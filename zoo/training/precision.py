"""What a run computes in: fp32, tf32 or bf16, and what "auto" means on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn


def best(device: torch.device) -> Literal["fp32", "bf16"]:
    """What "auto" means on a device: bf16 where its hardware computes in bfloat16, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return "bf16" if supported() else "fp32"
    return "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a network runs."""
    on = precision == "bf16"
    return torch.autocast(device.type if on else "cpu", torch.bfloat16, enabled=on)


@contextmanager
def arithmetic(precision: str, deterministic: bool) -> Iterator[None]:
    """How float32 products are computed, for the time of a run, and whether every kernel must give the same bits."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def spare(module: nn.Module, precision: str, device: torch.device) -> None:
    """Leave the layers of a module that are slow in bfloat16 on the CPU in float32.

    They are transposed convolutions and, for their backward pass, strided ones: oneDNN has no quick kernel for them,
    and takes 10 to 50 times as long as in float32.
    """
    if precision != "bf16" or device.type != "cpu":
        return
    for part in module.modules():
        if type(part) in _IN_FLOAT32 and _slow(part):
            part.__class__ = _IN_FLOAT32[type(part)]


def _slow(layer: nn.Module) -> bool:
    assert isinstance(layer, nn.modules.conv._ConvNd)
    return layer.transposed or any(k > 1 and s > 1 for k, s in zip(layer.kernel_size, layer.stride, strict=True))


class _InFloat32(nn.Module):
    """A layer that runs in float32 under autocast too."""

    def forward(self, input: Tensor, *rest: Any) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            result: Tensor = super().forward(input.float(), *rest)
            return result


_IN_FLOAT32: dict[type[nn.Module], type] = {
    layer: type(layer.__name__, (_InFloat32, layer), {})
    for layer in (
        nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    )
}  # fmt: skip
