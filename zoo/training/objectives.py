"""Checks of a model's objectives before step 0: what they name, and one step of each on a temporary module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract import typed
from zoo.core.errors import DataError, PluginError, SettingError, one_line, suggest
from zoo.plugin import Batch, Model, Objective, Recipe
from zoo.registry import calling, fault
from zoo.training import frozen, optimisers
from zoo.training.phases import moved, owner, peak, scheduled
from zoo.training.precision import autocast, next_step

POINTS = (*(part / 16 for part in range(16)), math.nextafter(1.0, 0.0))
"""The fractions of its phase at which an objective's own schedule is tried."""


def check_objectives(
    plugin: str, model: Model, recipe: Recipe, module: nn.Module, objectives: Sequence[Objective]
) -> None:
    """Raise :class:`PluginError` for an objective with missing or frozen params, or without a learning rate.

    Schedules are tried at `POINTS`, and what a phase shares must be there.
    """
    parts = [path for path, _ in module.named_modules() if path]
    held = frozen.paths(model, module)
    for number, objective in enumerate(objectives):
        said = f"the objective of the loss {typed.name_of(objective.loss)!r}"
        if objective.schedule is not None:
            with calling(plugin, f"the schedule {typed.name_of(objective.schedule)!r}", objective.schedule):
                for done in POINTS:
                    scheduled(objective.schedule, done)
        for path in objective.params:
            if path not in parts:
                near = suggest(path, parts)
                raise fault(
                    plugin,
                    f"{said} has params = {objective.params!r}, and {type(module).__name__} has no submodule {path!r}."
                    f"{near or f' It has: {_some(parts)}'}",
                    objective.loss,
                )
            if frozen.inside(path, held):
                raise fault(plugin, f"{said} trains {path!r}, which is frozen: {_some(list(held))}", objective.loss)
            if not moved(module, (path,)):
                raise fault(plugin, f"{said} trains {path!r}, which has no parameters", objective.loss)
        if objective.shares:
            _check_shared(plugin, said, objective, objectives[:number])
            objective = owner(objective, objectives[:number])
        if not any(weight.requires_grad for weight in moved(module, objective.params)):
            frozen_part = ", ".join(objective.params) or "the whole module"
            raise fault(
                plugin,
                f"{said} has nothing to train: `build` froze every weight of {frozen_part} (requires_grad_(False))"
                f"{', or frozen = ' + repr(model.frozen) if model.frozen else ''}",
                objective.loss,
            )
        lr = objective.lr
        peak = getattr(recipe, lr, None) if isinstance(lr, str) else float(lr)
        if not isinstance(peak, float):
            near = suggest(str(lr), [key for key in vars(recipe) if isinstance(getattr(recipe, key), float)])
            raise fault(
                plugin,
                f"{said} has lr = {lr!r}, and {type(recipe).__name__} has no number of that name.{near}",
                objective.loss,
            )
        if not 0 < peak < math.inf:
            raise fault(plugin, f"{said} has the learning rate {peak}, and must have one above 0", objective.loss)


def _check_shared(plugin: str, said: str, objective: Objective, earlier: Sequence[Objective]) -> None:
    """Raise :class:`PluginError` unless an objective shares the optimiser of exactly one earlier one."""
    losses = [typed.name_of(other.loss) for other in earlier]
    count = losses.count(objective.shares)
    if count != 1:
        there = f"It has: {', '.join(losses)}." if losses else "It is the first."
        why = f"{count} earlier objectives have that loss" if count else "no earlier objective has that loss"
        near = suggest(objective.shares, losses) or f" {there}" if not count else ""
        raise fault(plugin, f"{said} has shares = {objective.shares!r}, and {why}.{near}", objective.loss)


def try_objective(
    plugin: str, name: str, objective: Objective, trained: Objective, module: nn.Module, batch: Batch, recipe: Recipe
) -> None:
    """Run a loss forward and backward once, an optimiser of the plugin for two steps, and the objective's `after`.

    `trained` is the :func:`owner` of its weights and optimiser.
    """
    loss = typed.name_of(objective.loss)
    own = {id(weight) for weight in moved(module, trained.params)}
    may = {id(weight) for weight in module.parameters() if weight.requires_grad}
    weights = list(module.parameters())
    for weight in weights:
        weight.requires_grad_(id(weight) in own & may)
    try:
        with autocast(recipe.precision, batch.x.device):
            terms = objective.loss(module, batch, recipe)
        total = _total(plugin, objective, trained, terms)
        total.backward()  # type: ignore[no-untyped-call]
        if trained is objective:
            parameters = [weight for weight in weights if weight.requires_grad]
            with calling(plugin, f"the optimiser {typed.name_of(objective.optimiser)!r}", objective.optimiser):
                optimisers.try_out(objective, module, parameters, peak(objective, recipe))
        if objective.after is not None:
            with torch.no_grad(), calling(plugin, f"the function {typed.name_of(objective.after)!r}", objective.after):
                objective.after(module, recipe)
    except PluginError:
        raise
    except Exception as error:
        if len(batch.x) == 1 and "more than 1 value per channel" in str(error):
            raise _alone(name, recipe) from error
        raise fault(
            plugin,
            f"the loss {loss!r} fails at step 0 on a batch of {tuple(batch.x.shape)}: {one_line(error)[:200]}. "
            f"{next_step(error)}",
            error,
            objective.loss,
        ) from error
    finally:
        for weight in weights:
            weight.requires_grad_(id(weight) in may)


def _total(plugin: str, objective: Objective, trained: Objective, terms: Any) -> Tensor:
    """The sum of the terms of a loss; raise :class:`PluginError` unless they are named scalars with a gradient."""
    said = f"the loss {typed.name_of(objective.loss)!r}"
    wanted = "it must return named scalar tensors, such as {'mse': …}"
    if not isinstance(terms, Mapping) or not terms:
        actual = f"a tensor of shape {tuple(terms.shape)}" if isinstance(terms, Tensor) else typed.shown(terms)
        raise fault(plugin, f"{said} returns {actual}: {wanted}", objective.loss)
    for key, term in terms.items():
        if not isinstance(key, str):
            raise fault(plugin, f"{said} returns a term named {typed.shown(key)}: {wanted}", objective.loss)
        if not isinstance(term, Tensor):
            raise fault(plugin, f"{said} returns {key} = {typed.shown(term)}: {wanted}", objective.loss)
        if term.ndim:
            shape = tuple(term.shape)
            raise fault(plugin, f"{said} returns {key} of shape {shape}: {wanted}. Take its mean", objective.loss)
    total: Tensor = sum(terms.values())  # type: ignore[assignment]
    if not total.requires_grad:
        moved = f"the parameters of {', '.join(trained.params)}" if trained.params else "any parameter"
        raise fault(plugin, f"{said} does not depend on {moved}, so the phase would train nothing", objective.loss)
    return total


def _alone(name: str, recipe: Recipe) -> DataError | SettingError:
    """The error for batch norm on a batch of one sample."""
    said = f"{name} has batch norm, which needs at least 2 samples in a batch, and there is 1"
    if recipe.batch == 1:
        return SettingError(f"{said}. Set batch=2 or more.")
    if recipe.accumulate > 1:
        return SettingError(
            f"{said} in each of {recipe.accumulate} micro-batches. Set a larger batch, or accumulate=1."
        )
    return DataError(f"{said}: the data has 1 sample to train on. Give it more data.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
