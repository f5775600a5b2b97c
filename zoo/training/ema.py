"""The moving average of a module's weights, which a release holds where the recipe asks for it (``ema``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """The exponential moving average of weights (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).

    After step t of the run each average a becomes d·a + (1 − d)·w, with d = min(decay, (1 + t) / (10 + t)), so that
    the first steps weigh little. Buffers, such as the statistics of BatchNorm, are taken as they are.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._module = module
        self._weights = [parameter.detach() for parameter in module.parameters()]
        self.weights = [weight.clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they are after a step."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, self._weights, 1 - decay)

    def named(self) -> list[tuple[str, Tensor]]:
        """Each average by every name that its weight has in the state dict: tied weights have several."""
        held = {id(p): a for p, a in zip(self._module.parameters(), self.weights, strict=True)}
        return [(name, held[id(p)]) for name, p in self._module.named_parameters(remove_duplicate=False)]
