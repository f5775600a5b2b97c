"""One phase of training, and the optimisers and schedules that it may have. Imports torch only to make an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.contract.batch import Batch
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Groups = list[dict[str, Any]]
"""The two parameter groups of a phase: its matrices and convolution kernels (``ndim`` > 1), and its biases and norms,
with ``weight_decay`` 0.0. Each has ``params``, which may be empty, and ``lr``, the peak learning rate."""


@dataclass(frozen=True, kw_only=True)
class AdamW(Checked):
    """AdamW (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101).

    Weight decay acts on matrices and convolution kernels, not on biases and norms.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __call__(self, groups: Groups) -> Optimizer:
        """The optimiser of these groups, fused where the device has that."""
        import torch

        groups = [group for group in groups if group["params"]]
        device = groups[0]["params"][0].device.type
        return torch.optim.AdamW(
            groups, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=device in ("cpu", "cuda")
        )


@dataclass(frozen=True, kw_only=True)
class RMSprop(Checked):
    """RMSprop (Hinton 2012). Weight decay works as in :class:`AdamW`."""

    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __call__(self, groups: Groups) -> Optimizer:
        """The optimiser of these groups."""
        import torch

        groups = [group for group in groups if group["params"]]
        return torch.optim.RMSprop(groups, alpha=self.alpha, eps=self.eps, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Objective(Checked):
    """One phase of training: what it minimises, which weights it moves, and when.

    ``loss(module, batch, recipe)`` returns named scalar tensors. The trainer minimises their sum and logs each term.
    A loss may change buffers of the module (as batch norm does in training mode), and nothing else. One training step
    runs the phases that are due, in order, each on a new batch. The trainer seeds torch before each phase of each
    step, so a loss may call ``torch.randn_like`` and resume is still exact.
    """

    loss: Callable[[Any, Batch, Any], Mapping[str, Tensor]]
    params: tuple[str, ...] = ()
    """The submodules whose weights this phase updates; () means all. Frozen weights stay frozen."""
    lr: float | str = "lr"
    """The peak learning rate: a number, or the name of a recipe field."""
    optimiser: AdamW | RMSprop | Callable[[Groups], Optimizer] = AdamW()
    """``optimiser(groups)`` returns a ``torch.optim.Optimizer`` of these two parameter groups (:data:`Groups`). Its
    state dict holds tensors, numbers, text, lists and dicts, and all that a resumed run needs."""
    schedule: Callable[[float], float] | None = None
    """``schedule(t)`` is the factor of the learning rate when the fraction t of this phase is done, 0 ≤ t < 1. None
    means the recipe's ``warmup`` and ``decay``."""
    every: int = 1
    """The phase is due when ``step % every == 0``."""
    during: tuple[float, float] = (0.0, 1.0)
    """The phase is due from the first to before the second of these fractions of the run. Its schedule covers this
    interval."""
    after: Callable[[Any, Any], None] | None = None
    """``after(module, recipe)`` runs after each step of the phase: a projection such as weight clipping."""
    shares: str = ""
    """The name of the loss function of an earlier objective, whose weights this phase moves with the same optimiser
    (lazy regularisation). Its learning rate is that one's too, unless it has a schedule of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start, end = self.during
        if self.every < 1 or not 0 <= start < end <= 1:
            raise PluginError(
                f"An objective has every = {self.every} and during = {self.during}: every must be at least 1, "
                "and during two fractions of the run, 0 ≤ start < end ≤ 1."
            )
        twice = next((name for name in self.params if self.params.count(name) > 1), None)
        if twice is not None:
            raise PluginError(f"An objective has params = {self.params!r}, which names {twice!r} twice.")
        if self.shares:
            for name in ("params", "lr", "optimiser"):
                if getattr(self, name) != getattr(Objective, name):
                    raise PluginError(
                        f"An objective has shares = {self.shares!r} and {name} = {getattr(self, name)!r}: what it "
                        f"shares has its own. Leave {name} out."
                    )
