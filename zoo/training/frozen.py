"""What a model's `build` froze: its weights do not move, in any phase, and where it is in eval mode it stays so."""

from __future__ import annotations

from torch import nn


def still(module: nn.Module) -> list[nn.Module]:
    """The parts in eval mode inside frozen parts, which have weights and none that requires a gradient.

    In eval mode BatchNorm keeps its statistics, and nothing is dropped out.
    """
    frozen = [
        part
        for part in module.modules()
        if not part.training and (weights := list(part.parameters())) and not any(w.requires_grad for w in weights)
    ]
    inside = {id(part): part for whole in frozen for part in whole.modules() if not part.training}
    return list(inside.values())
