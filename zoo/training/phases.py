"""One phase of training: an objective with its optimiser and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from zoo.contract import typed
from zoo.core.errors import PluginError, one_line
from zoo.modules import derive_seed
from zoo.plugin import Batch, Objective, Recipe
from zoo.training import optimisers
from zoo.training.distributed import World, shard
from zoo.training.precision import autocast, next_step


class Loss(nn.Module):
    """An objective's loss as a module, so that DDP or FSDP wraps the model and its loss together."""

    def __init__(
        self, module: nn.Module, loss: Callable[..., Mapping[str, Tensor]], recipe: Recipe, device: torch.device
    ) -> None:
        super().__init__()
        self.module, self.function, self.recipe = module, loss, recipe
        self.autocast = autocast(recipe.precision, device)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the loss terms, and each term detached."""
        with self.autocast:
            terms = self.function(self.module, batch, self.recipe)
        total = sum(terms.values())
        if not isinstance(total, Tensor) or total.ndim:
            raise TypeError("it must return named scalar tensors")
        return total, {name: term.detach().clone() for name, term in terms.items()}


class Phase:
    """An objective with its optimiser and its learning-rate schedule."""

    def __init__(
        self,
        number: int,
        objective: Objective,
        module: nn.Module,
        recipe: Recipe,
        device: torch.device,
        world: World,
        compiled: Mapping[str, Any] | None = None,
        sharded: bool = False,
        shared: Phase | None = None,
    ) -> None:
        """`compiled` holds the options of torch.compile, None for eager; `sharded` shards the weights (FSDP2).

        `shared` is the phase whose weights and optimiser this one has too. Raises :class:`PluginError` for an
        optimiser that breaks the contract.
        """
        self.number, self.objective, self.recipe, self.world = number, objective, recipe, world
        function = objective.loss if compiled is None else torch.compile(objective.loss, **compiled)
        self.compiled = compiled is not None
        # On the CPU seed only its generator: torch.manual_seed calls every backend, which is slower than a small layer.
        self._seed = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        self.note = ""
        """A note for the user on how this phase runs."""
        self._moved = False
        self._by_ddp: bool | None = None
        """Whether DDP averages the gradients: None before the first step, which shows whether it can."""
        self.loss: nn.Module = Loss(module, function, recipe, device)
        if sharded:
            shard(
                self.loss,
                [part for stack in module.modules() if isinstance(stack, nn.ModuleList) for part in stack],
                device,
            )
        self.module = module
        flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]  # as `build` left them
        self.schedule = objective.schedule
        if shared is None:
            self.parameters = [weight for weight in moved(module, objective.params) if weight.requires_grad]
            self.peak = peak(objective, recipe)
            self.optimiser = optimisers.make(objective, module, self.parameters, self.peak)
            self.peaks = optimisers.peaks(self.optimiser)
        else:
            self.schedule = self.schedule or shared.schedule
            self.parameters, self.peak = shared.parameters, shared.peak
            self.optimiser, self.peaks = shared.optimiser, shared.peaks
        own = {id(parameter) for parameter in self.parameters}
        self.frozen = [parameter for parameter, _ in flags if id(parameter) not in own]
        if world.size > 1 and not sharded:
            self._free()
            devices = [device] if device.type == "cuda" else None
            self.loss = DistributedDataParallel(self.loss, device_ids=devices, find_unused_parameters=True)
            for parameter, flag in flags:  # shared with the other phases
                parameter.requires_grad_(flag)

    @property
    def name(self) -> str:
        """The name of this phase in messages."""
        return f"The phase {getattr(self.objective.loss, '__name__', f'number {self.number + 1}')!r}"

    def close(self) -> None:
        """Drop the DDP wrapper."""
        if isinstance(self.loss, DistributedDataParallel):
            self.loss = self.loss.module

    def due(self, step: int) -> bool:
        """Whether the phase is active at a step."""
        start, end = self.objective.during
        return step % self.objective.every == 0 and start <= step / self.recipe.steps < end

    def move(self, batch: Callable[[int], Batch], step: int) -> Mapping[str, Tensor]:
        """Take one step of this phase and return its loss terms; `batch` gives each micro-batch."""
        self._free()
        count, sums = self.recipe.accumulate, dict[str, Tensor]()
        for micro in range(count):
            number = self.world.rank * count + micro
            for name, term in self._backward(batch(number), step, number, last=micro == count - 1).items():
                sums[name] = sums[name] + term / count if micro else term / count if count > 1 else term
        if isinstance(self.loss, DistributedDataParallel) and not self._by_ddp:
            self._average(self.loss)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        factor = self.factor(step)
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.objective.after is not None:
            with torch.no_grad():
                self.objective.after(self.module, self.recipe)
        return sums

    def _free(self) -> None:
        """Enable gradients for the weights that this phase trains, and disable them for all others."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        for parameter in self.frozen:
            parameter.requires_grad_(False)

    def _backward(self, batch: Batch, step: int, micro: int, last: bool) -> Mapping[str, Tensor]:
        """Accumulate the gradients of one micro-batch and return its loss terms.

        The random seed depends only on the recipe's seed, the step, the phase and the micro-batch.
        """
        self._seed(derive_seed(self.recipe.seed, "step", step, self.number, micro))
        later = isinstance(self.loss, DistributedDataParallel) and not (last and self._by_ddp)
        try:
            with self.loss.no_sync() if later else nullcontext():  # type: ignore[operator]
                total, terms = self.loss(batch)
                (total / self.recipe.accumulate if self.recipe.accumulate > 1 else total).backward()
        except Exception as error:
            name = getattr(self.objective.loss, "__name__", f"number {self.number + 1}")
            if self.compiled and not self._moved:
                self._uncompile()
                self.note = f"The loss {name!r} runs without torch.compile: {one_line(error)[:150]}"
                return self._backward(batch, step, micro, last)
            raise PluginError(
                f"The loss {name!r} fails at step {step} on a batch of {tuple(batch.x.shape)}: "
                f"{one_line(error)[:200]}. {next_step(error)}."
            ) from error
        self._moved = True
        return dict(terms)

    def _average(self, loss: DistributedDataParallel) -> None:
        """Average the gradients over the processes without DDP.

        DDP can fail for a weight without a gradient, such as the last bias in a gradient penalty. The first step of the
        phase finds out whether there is one.
        """
        if self._by_ddp is None:
            without = any(weight.grad is None for weight in self.parameters)
            self._by_ddp = not self.world.largest(int(without), self.parameters[0].device)
        self.world.average(self.parameters)
        loss.require_forward_param_sync = True  # as after a step of DDP: the buffers of rank 0 go to all

    def _uncompile(self) -> None:
        """Fall back to eager torch: torch.compile cannot, for example, differentiate a gradient penalty twice."""
        inner = self.loss.module if isinstance(self.loss, DistributedDataParallel) else self.loss
        assert isinstance(inner, Loss)
        inner.function, self.compiled = self.objective.loss, False
        self.optimiser.zero_grad(set_to_none=True)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.peak * self.factor(step)

    def factor(self, step: int) -> float:
        """The factor of the learning rate at a step."""
        if self.schedule is None:
            return schedule(step, self.recipe, self.objective.during)
        start, end = self.objective.during
        done = (step / self.recipe.steps - start) / (end - start)
        try:
            return scheduled(self.schedule, min(max(0.0, done), math.nextafter(1.0, 0.0)))
        except PluginError as error:
            raise PluginError(f"{self.name} stopped at step {step}: {error}") from error


def schedule(step: int, recipe: Recipe, during: tuple[float, float] = (0.0, 1.0)) -> float:
    """The learning-rate factor at a step: linear warm-up, then constant, or linear or cosine decay to 0.

    The schedule covers the interval `during` of the run in which the phase is active.
    """
    start, end = (fraction * recipe.steps for fraction in during)
    done = step - start
    if done < recipe.warmup:
        return (done + 1) / recipe.warmup
    if recipe.decay == "constant":
        return 1.0
    fraction = (done - recipe.warmup) / max(1, end - start - recipe.warmup)
    return 1.0 - fraction if recipe.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * fraction))


def moved(module: nn.Module, names: tuple[str, ...]) -> list[nn.Parameter]:
    """The weights of the named submodules, or of the whole module if there are no names, frozen ones included."""
    return [weight for name in names or ("",) for weight in module.get_submodule(name).parameters()]


def scheduled(schedule: Callable[[float], float], done: float) -> float:
    """The factor of an objective's own schedule when the fraction `done` of its phase is done.

    Raises :class:`PluginError` unless it is a finite number of at least 0.
    """
    factor: object = schedule(done)
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor < math.inf:
        raise PluginError(
            f"the schedule {typed.name_of(schedule)!r} gives {typed.shown(factor)} at t = {done:.3g}, and must give a "
            "finite number of at least 0."
        )
    return float(factor)


def peak(objective: Objective, recipe: Recipe) -> float:
    """The peak learning rate of an objective."""
    return float(getattr(recipe, objective.lr) if isinstance(objective.lr, str) else objective.lr)


def owner(objective: Objective, earlier: Sequence[Objective]) -> Objective:
    """The earlier objective that an objective shares weights and optimiser with, or the objective itself."""
    while objective.shares:
        objective = next(other for other in earlier if typed.name_of(other.loss) == objective.shares)
    return objective


def of_objectives(
    objectives: Sequence[Objective],
    module: nn.Module,
    recipe: Recipe,
    device: torch.device,
    world: World,
    compiled: Mapping[str, Any] | None = None,
    sharded: bool = False,
) -> list[Phase]:
    """The phases of a module, in order; see :class:`Phase`."""
    phases: list[Phase] = []
    for number, objective in enumerate(objectives):
        shared = next((phase for phase in phases if typed.name_of(phase.objective.loss) == objective.shares), None)
        phases.append(Phase(number, objective, module, recipe, device, world, compiled, sharded, shared))
    return phases
