"""Rehearsal: try a plugin's declarations on a temporary module before step 0, so that a mistake costs no run.

Each objective runs forward and backward once on a batch; each task runs on example inputs and is traced. The trained
module is a separate one, and torch's generator is restored: a run has the same bits with and without a rehearsal.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from zoo import data, registry
from zoo.contract import typed
from zoo.contract.specs import Sample
from zoo.core.errors import DataError, ExportError, PluginError, SettingError, one_line, suggest
from zoo.modules import build, derive_seed, remove_parametrizations, tracing
from zoo.plugin import Batch, Model, Objective, Recipe, Task
from zoo.registry import calling, declarations, fault, split
from zoo.runtime.example_inputs import example
from zoo.training import frozen, own_metrics
from zoo.training.phases import moved
from zoo.training.precision import autocast

Trace = Callable[[nn.Module, Task, str], object]
"""Traces a task to a graph, or raises :class:`ExportError`."""

LONG = 500
"""Runs of at least so many steps trace each task's ONNX graph before they start, which takes seconds.

A shorter run meets a tracing error at its end about as soon. Inputs and outputs are checked in any case: each task is
run."""


def rehearse(
    name: str,
    model: Model,
    recipe: Recipe,
    sample: Sample,
    batch: Batch | None,
    device: torch.device,
    *,
    release: bool = True,
    graphs: bool | None = None,
    trace: Trace = tracing.program,
) -> None:
    """Try the declarations of ``model.recipe`` on a fresh module.

    `batch`, on the device, is None to skip the objectives. `graphs` selects whether each task is traced by `trace`; the
    default is to trace for a `LONG` run. Raises :class:`PluginError` with the plugin's file and line, and
    :class:`DataError` or :class:`SettingError` if the batch is too small. Checks that need a missing package are
    skipped.
    """
    plugin = split(name)[0]
    module = build(model, recipe, sample, name)
    check_module(plugin, model, module)
    check_objectives(plugin, model, recipe, module)
    check_finish(plugin, model)
    tasks = declarations.tasks(plugin, model, module)
    if release and not tasks:
        raise fault(plugin, f"{name} declares no tasks, so there is nothing to release. Add --no-release", model.tasks)
    declarations.plan(plugin, model, module, tasks, sample)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if batch is not None:
            still = frozen.still(module)
            module.to(device).train()
            for part in still:
                part.training = False
            for number, objective in enumerate(model.objectives):
                torch.manual_seed(derive_seed(recipe.seed, "rehearsal", number))
                _try_objective(plugin, name, objective, module, batch, recipe)
            module.zero_grad(set_to_none=True)
        module = remove_parametrizations(module.cpu().eval())
        _try_tasks(plugin, model, module, sample, recipe.steps >= LONG if graphs is None else graphs, trace)


def tiny(plugin: str, *, graphs: bool, trace: Trace = tracing.program) -> str:
    """Rehearse a plugin's recipe ``tiny`` on example inputs of its data's form; nothing is trained or downloaded.

    Returns ``""``, or the reason why this machine cannot do it. Raises as :func:`rehearse` does.
    """
    model = registry.load(plugin)
    recipe = model.recipes["tiny"]
    known = data.NAMED.get(recipe.data)
    if known is not None and known.place(data.data_folder()) is None:
        return f"the data set {recipe.data} of its recipe tiny is not here"
    sample = data.load(recipe.data, "train", **data.form(vars(recipe))).sample
    index = torch.arange(recipe.batch)
    batch = Batch(
        x=torch.from_numpy(example(sample.x, recipe.batch, 0)),
        fields={"label": index % sample.classes} if sample.classes else {},
        index=index,
        progress=torch.zeros(()),
    )
    name, device = f"{plugin}.tiny", torch.device("cpu")
    rehearse(name, model, recipe, sample, batch, device, graphs=graphs, trace=trace)
    own_metrics.check(name, model, build(model, recipe, sample, name).eval(), batch, recipe, sample)
    return ""


def check_module(plugin: str, model: Model, module: nn.Module) -> None:
    """Raise :class:`PluginError` for weights that cannot be trained or released."""
    for path, part in module.named_modules():
        if any(map(nn.parameter.is_lazy, (*part.parameters(recurse=False), *part.buffers(recurse=False)))):
            raise fault(
                plugin,
                f"the layer {path!r} ({type(part).__name__}) is lazy: it has no shape before its first call. Set its "
                "size, which follows from the sample",
                model.build,
            )
    for kind, tensors in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
        for key, tensor in tensors:
            if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype != torch.float32):
                dtype = str(tensor.dtype).removeprefix("torch.")
                raise fault(plugin, f"the {kind} {key!r} is {dtype}, and must be float32. Write .float()", model.build)
    if not any(True for _ in module.parameters()):
        raise fault(plugin, f"the module {type(module).__name__} has no parameters to train", model.build)


def check_finish(plugin: str, model: Model) -> None:
    """Raise :class:`PluginError` if `finish` has the wrong signature: it is first called at a checkpoint."""
    if model.finish is None:
        return
    with suppress(ValueError):  # a function in C may have no signature
        try:
            inspect.signature(model.finish).bind("module", "batches", "recipe")
        except TypeError as error:
            raise fault(
                plugin, f"finish(module, batches, recipe) cannot be called with these arguments: {error}", model.finish
            ) from error


def check_objectives(plugin: str, model: Model, recipe: Recipe, module: nn.Module) -> None:
    """Raise :class:`PluginError` for an objective with missing or frozen params, or without a learning rate."""
    parts = [path for path, _ in module.named_modules() if path]
    for objective in model.objectives:
        said = f"the objective of the loss {typed.name_of(objective.loss)!r}"
        for path in objective.params:
            if path not in parts:
                near = suggest(path, parts)
                raise fault(
                    plugin,
                    f"{said} has params = {objective.params!r}, and {type(module).__name__} has no submodule {path!r}."
                    f"{near or f' It has: {_some(parts)}'}",
                    objective.loss,
                )
            if not moved(module, (path,)):
                raise fault(plugin, f"{said} trains {path!r}, which has no parameters", objective.loss)
        if not any(weight.requires_grad for weight in moved(module, objective.params)):
            frozen_part = ", ".join(objective.params) or "the whole module"
            raise fault(
                plugin,
                f"{said} has nothing to train: `build` froze every weight of {frozen_part} (requires_grad_(False))",
                objective.loss,
            )
        lr = objective.optimiser.lr
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


def _try_objective(
    plugin: str, name: str, objective: Objective, module: nn.Module, batch: Batch, recipe: Recipe
) -> None:
    """Run a loss forward and backward once, and the objective's `after`; no optimiser step is taken."""
    loss = typed.name_of(objective.loss)
    own = {id(weight) for weight in moved(module, objective.params)}
    may = {id(weight) for weight in module.parameters() if weight.requires_grad}
    weights = list(module.parameters())
    for weight in weights:
        weight.requires_grad_(id(weight) in own & may)
    try:
        with autocast(recipe.precision, batch.x.device):
            terms = objective.loss(module, batch, recipe)
        total = _total(plugin, objective, terms)
        total.backward()  # type: ignore[no-untyped-call]
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
            "Try other settings or data; ZOO_DEBUG=1 shows the traceback",
            error,
            objective.loss,
        ) from error
    finally:
        for weight in weights:
            weight.requires_grad_(id(weight) in may)


def _total(plugin: str, objective: Objective, terms: Any) -> Tensor:
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
        moved = f"the parameters of {', '.join(objective.params)}" if objective.params else "any parameter"
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


def _try_tasks(plugin: str, model: Model, module: nn.Module, sample: Sample, graphs: bool, trace: Trace) -> None:
    """Run each task of a module in eval mode on the CPU; trace it if `graphs` is set or the run leaves doubts."""
    tasks = declarations.tasks(plugin, model, module)
    plan = declarations.plan(plugin, model, module, tasks, sample)
    tokens = plan.tokens if plan is not None else None
    for key, task in tasks.items():
        states = plan.states() if plan is not None and tokens is not None and tokens.task == key else ()
        try:
            doubtful = tracing.try_out(module, task, key, states)
            if doubtful or graphs:
                trace(module, task, key)
        except ExportError as error:
            message = str(error)
            raise fault(plugin, message[:1].lower() + message[1:], error, task.method) from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
