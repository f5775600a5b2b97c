"""EMA weights: the exponential moving average of a module's weights, released if the recipe sets ``ema``."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """The exponential moving average of weights (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).

    After step t of the run each average is a ← d·a + (1 − d)·w, with d = min(decay, (1 + t) / (10 + t)), so that
    the first steps have little weight. Buffers, such as BatchNorm's statistics, are not averaged.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._module = module
        self._weights = [parameter.detach() for parameter in module.parameters()]
        self.weights = [weight.clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the averages with the weights after a step."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, self._weights, 1 - decay)

    def named(self) -> list[tuple[str, Tensor]]:
        """Each average under every name of its weight in the state dict; tied weights have several names."""
        averages = {id(p): a for p, a in zip(self._module.parameters(), self.weights, strict=True)}
        return [(name, averages[id(p)]) for name, p in self._module.named_parameters(remove_duplicate=False)]
