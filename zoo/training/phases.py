"""One phase of training: an objective with its optimiser and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.errors import PluginError, one_line
from zoo.plugin import AdamW, Batch, Objective, Recipe, RMSprop


class Phase:
    """An objective with its optimiser."""

    def __init__(
        self, objective: Objective, module: nn.Module, recipe: Recipe, device: torch.device, compiled: bool
    ) -> None:
        self.objective, self.module, self.recipe = objective, module, recipe
        self.parameters = _parameters(module, objective.params)
        self.frozen = [p for p in module.parameters() if not any(p is own for own in self.parameters)]
        lr = objective.optimiser.lr
        peak = getattr(recipe, lr, None) if isinstance(lr, str) else float(lr)
        if not isinstance(peak, float) or not 0 < peak < math.inf or not self.parameters:
            what = f"has the learning rate {lr!r}" if self.parameters else f"moves {objective.params or 'all'}"
            raise PluginError(f"A phase {what}, and there is no such number above 0, or no weight. Mend the plugin.")
        self.peak = peak
        self.optimiser = _optimiser(objective.optimiser, self.parameters, self.peak, device)
        self.loss = torch.compile(objective.loss) if compiled else objective.loss
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")

    def move(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """Take one step of this phase and return its loss terms."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        for parameter in self.frozen:
            parameter.requires_grad_(False)
        name = getattr(self.objective.loss, "__name__", "of a phase")
        try:
            with self.autocast:
                terms = self.loss(self.module, batch, self.recipe)
            total = sum(terms.values())
            if not isinstance(total, Tensor) or total.ndim:
                raise TypeError("it must return named scalar tensors")
            total.backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise PluginError(
                f"The loss {name!r} fails at step {step} on a batch of {tuple(batch.x.shape)}: "
                f"{one_line(error)[:200]}. Try other settings or data; ZOO_DEBUG=1 shows where."
            ) from error
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.objective.after is not None:
            with torch.no_grad():
                self.objective.after(self.module, self.recipe)
        return {name: term.detach() for name, term in terms.items()}

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.peak * schedule(step, self.recipe)


def schedule(step: int, recipe: Recipe) -> float:
    """The factor on the learning rate at a step: linear warm-up, then constant, linear or cosine decay to 0."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    if recipe.decay == "constant":
        return 1.0
    part = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 1.0 - part if recipe.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * part))


def _parameters(module: nn.Module, names: tuple[str, ...]) -> list[nn.Parameter]:
    if not names:
        return list(module.parameters())
    try:
        parts = [module.get_submodule(name) for name in names]
    except AttributeError as error:
        raise PluginError(f"An objective moves {names}, and the module lacks one of them: {error}.") from error
    return [parameter for part in parts for parameter in part.parameters()]


def _optimiser(
    value: AdamW | RMSprop, parameters: list[nn.Parameter], lr: float, device: torch.device
) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": value.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if isinstance(value, AdamW):
        betas = (float(value.betas[0]), float(value.betas[1]))  # torch refuses (0, 0.9)
        return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=value.eps, fused=device.type in ("cpu", "cuda"))
    return torch.optim.RMSprop(groups, lr=lr, alpha=value.alpha, eps=value.eps)
