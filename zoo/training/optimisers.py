"""The optimiser of a phase: made from its parameter groups, checked, and tried before step 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors.torch import save
from torch import Tensor, nn

from zoo.contract import typed
from zoo.core.errors import PluginError, one_line
from zoo.plugin import AdamW, Objective, RMSprop
from zoo.training import state_tree


def make(
    objective: Objective, module: nn.Module, parameters: Sequence[nn.Parameter], lr: float
) -> torch.optim.Optimizer:
    """The optimiser of an objective for these parameters of a module, with the peak learning rate `lr`.

    Raises :class:`PluginError` if the objective's function returns no optimiser, or not one of these parameters.
    """
    optimiser: object = objective.optimiser(
        [
            {"params": [weight for weight in parameters if weight.ndim > 1], "lr": lr},
            {"params": [weight for weight in parameters if weight.ndim <= 1], "lr": lr, "weight_decay": 0.0},
        ]
    )
    said = f"the optimiser {typed.name_of(objective.optimiser)!r}"
    if not isinstance(optimiser, torch.optim.Optimizer):
        raise PluginError(f"{said} returns {typed.shown(optimiser)}, and must return a torch.optim.Optimizer.")
    try:
        held = [id(weight) for group in optimiser.param_groups for weight in group["params"]]
        [float(group["lr"]) for group in optimiser.param_groups]
    except (AttributeError, KeyError, TypeError) as error:
        raise PluginError(
            f"{said} returns a {type(optimiser).__name__} without params or lr in a group: {one_line(error)[:100]}."
        ) from error
    names = {id(weight): name for name, weight in module.named_parameters()}
    missed = [names[id(weight)] for weight in parameters if id(weight) not in held]
    if missed:
        raise PluginError(
            f"{said} misses {len(missed)} of the {len(parameters)} weights of its phase (first: {missed[0]!r}). Its "
            "param_groups must have all weights of both groups."
        )
    return optimiser


def peaks(optimiser: torch.optim.Optimizer) -> list[float]:
    """The learning rate of each of its groups; a schedule's factor scales these."""
    return [float(group["lr"]) for group in optimiser.param_groups]


@torch.no_grad()
def try_out(objective: Objective, module: nn.Module, parameters: Sequence[nn.Parameter], lr: float) -> None:
    """Take two steps with an optimiser of the plugin, and the second also with one that is restored in between.

    The parameters have gradients, and keep their values. Raises :class:`PluginError` if a step fails, if the state
    cannot be stored, or if the restored optimiser makes another step.
    """
    if isinstance(objective.optimiser, (AdamW, RMSprop)):
        return
    said = f"the optimiser {typed.name_of(objective.optimiser)!r}"
    before = [weight.detach().clone() for weight in parameters]
    try:
        first = make(objective, module, parameters, lr)
        _step(first, said)
        between = [weight.detach().clone() for weight in parameters]
        restored = make(objective, module, parameters, lr)
        _restore(restored, first, said)
        results = []
        for optimiser in (first, restored):
            _put(parameters, between)
            torch.manual_seed(0)
            _step(optimiser, said)
            results.append([weight.detach().clone() for weight in parameters])
        if not all(torch.equal(one, other) for one, other in zip(*results, strict=True)):
            raise PluginError(
                f"{said} makes another step after its state dict was saved and loaded, so a resumed run would differ. "
                "All that a step depends on must be in `state` or `param_groups`, or in a state_dict of its own."
            )
    finally:
        _put(parameters, before)


def _step(optimiser: torch.optim.Optimizer, said: str) -> None:
    try:
        with torch.enable_grad():
            optimiser.step()
    except Exception as error:
        raise PluginError(f"{said} fails in its first steps: {one_line(error)[:200]}.") from error


def _restore(into: torch.optim.Optimizer, optimiser: torch.optim.Optimizer, said: str) -> None:
    """Load the state dict of an optimiser into another one, as a checkpoint would hold it."""
    try:
        whole = optimiser.state_dict()
    except Exception as error:
        raise PluginError(f"{said} has no state dict: {one_line(error)[:200]}.") from error
    if not isinstance(whole, dict):
        raise PluginError(f"{said} has the state dict {typed.shown(whole)}, which must be a dict.")
    try:
        tree, tensors = state_tree.flatten(whole)
        save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
    except Exception as error:
        raise PluginError(f"{said} has a state dict that a checkpoint cannot hold: {one_line(error)[:200]}.") from error
    try:
        into.load_state_dict(state_tree.unflatten(tree, {name: value.clone() for name, value in tensors.items()}))
    except Exception as error:
        raise PluginError(f"{said} cannot load its own state dict: {one_line(error)[:200]}.") from error


def _put(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for weight, value in zip(parameters, values, strict=True):
        weight.copy_(value)
