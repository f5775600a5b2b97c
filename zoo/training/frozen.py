"""Frozen submodules: weights that `build` froze are not trained in any phase, and keep their eval mode."""

from __future__ import annotations

from torch import nn


def still(module: nn.Module) -> list[nn.Module]:
    """The submodules in eval mode inside frozen submodules, which have weights but none that requires a gradient.

    In eval mode BatchNorm does not update its statistics, and dropout is off.
    """
    frozen = [
        part
        for part in module.modules()
        if not part.training and (weights := list(part.parameters())) and not any(w.requires_grad for w in weights)
    ]
    inside = {id(part): part for whole in frozen for part in whole.modules() if not part.training}
    return list(inside.values())
