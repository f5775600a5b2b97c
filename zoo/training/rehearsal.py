"""Rehearsal: try a plugin's declarations on a temporary module before step 0, so that a mistake costs no run.

Each objective runs forward and backward once on a batch; each task runs on example inputs and is traced. The trained
module is a separate one, and torch's generator is restored: a run has the same bits with and without a rehearsal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn

from zoo import data, registry
from zoo.codec import tables
from zoo.contract import settings, typed
from zoo.contract.specs import FieldSpec, Label, Sample
from zoo.core.errors import ExportError, suggest
from zoo.data import where
from zoo.modules import build, derive_seed, needs, remove_parametrizations, tracing
from zoo.plugin import Batch, Model, Recipe, Task
from zoo.registry import declarations, fault, split
from zoo.runtime.example_inputs import example
from zoo.training import frozen, own_metrics
from zoo.training.further import load_both, with_further
from zoo.training.objectives import check_objectives, try_objective
from zoo.training.phases import owner

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
    objectives = declarations.objectives(plugin, model, recipe, module)
    check_objectives(plugin, model, recipe, module, objectives)
    check_finish(plugin, model)
    tasks = declarations.tasks(plugin, model, module)
    if release and not tasks:
        raise fault(plugin, f"{name} declares no tasks, so there is nothing to release. Add --no-release", model.tasks)
    declarations.plan(plugin, model, module, tasks, sample)
    check_codec(plugin, model, module, tasks, sample, model.build)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if batch is not None:
            paths = frozen.paths(model, module)
            still = frozen.still(module, paths)
            module.to(device).train()
            for part in still:
                part.training = False
            before = frozen.checksums(module, paths)
            for number, objective in enumerate(objectives):
                torch.manual_seed(derive_seed(recipe.seed, "rehearsal", number))
                trained = owner(objective, objectives[:number])
                try_objective(plugin, name, objective, trained, module, batch, recipe)
                if key := frozen.changed(module, paths, before):
                    said = f"the objective of the loss {typed.name_of(objective.loss)!r}"
                    raise fault(plugin, f"{said} changes {key!r}, which is frozen", objective.after, objective.loss)
            module.zero_grad(set_to_none=True)
        module = remove_parametrizations(module.cpu().eval())
        _try_tasks(plugin, model, module, sample, recipe.steps >= LONG if graphs is None else graphs, trace)
        _try_symbols(plugin, model, module, tasks, sample)


def tiny(plugin: str, *, graphs: bool, trace: Trace = tracing.program) -> str:
    """Rehearse a plugin's recipe ``tiny`` on example inputs of its data's form; nothing is trained or downloaded.

    Returns ``""``, or the reason why this machine cannot do it. Raises as :func:`rehearse` does.
    """
    model = registry.load(plugin)
    for key, other in model.recipes.items():
        needs.needed(model, other, f"{plugin}.{key}")
    recipe = data.changed(f"{plugin}.tiny", model.recipes["tiny"], {})
    every = {field: getattr(recipe, field) for field in settings.uses_of(type(recipe))}
    for use in every.values():
        if where.located(use.name, data.data_folder()) is None:
            return f"the data set {use.name} of its recipe tiny is not here"
    further = {field: load_both(use, None) for field, use in every.items()}
    sample = with_further(f"{plugin}.tiny", recipe, further.pop("data")[0].sample, further)
    index = torch.arange(recipe.batch)
    batch = Batch(
        x=torch.from_numpy(example(sample.x, recipe.batch, 0)),
        fields={key: _example(spec, recipe.batch) for key, spec in sample.fields.items()},
        index=index,
        progress=torch.zeros(()),
    )
    name, device = f"{plugin}.tiny", torch.device("cpu")
    rehearse(name, model, recipe, sample, batch, device, graphs=graphs, trace=trace)
    own_metrics.check(name, model, build(model, recipe, sample, name).eval(), batch, recipe, sample)
    return ""


def _example(spec: FieldSpec, count: int) -> Tensor:
    """A field of a batch: labels in turn, and else example inputs."""
    if isinstance(spec, Label) and not spec.shape:
        return torch.arange(count) % spec.classes
    return torch.from_numpy(example(spec, count, 0))


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


def check_codec(
    plugin: str, model: Model, module: nn.Module, tasks: Mapping[str, Task], sample: Sample, *subjects: object
) -> None:
    """Raise :class:`PluginError` for a codec whose tasks do not fit, or whose tables are not usable.

    The tables that `build` makes must be valid, and those of `finish`; `subjects` made them.
    """
    codec = declarations.codec(plugin, model, module, tasks, sample)
    if codec is None:
        return
    state = module.state_dict()
    if codec.tables not in state:
        buffers = [name for name, _ in module.named_buffers()]
        hint = (
            f" {type(module).__name__} has it, and leaves it out of its state dict: register it with persistent=True"
            if codec.tables in buffers
            else suggest(codec.tables, buffers)
        )
        raise fault(
            plugin, f"the codec has tables = {codec.tables!r}, which is no buffer of its module.{hint}", *subjects
        )
    if wrong := tables.problem(state[codec.tables].cpu().numpy(), codec, codec.symbols(tasks)):
        raise fault(plugin, f"the tables {codec.tables!r} of the codec {wrong}. See zoo.frequencies", *subjects)


def _try_tasks(plugin: str, model: Model, module: nn.Module, sample: Sample, graphs: bool, trace: Trace) -> None:
    """Run each task of a module in eval mode on the CPU; trace it if `graphs` is set or the run leaves doubts."""
    tasks = declarations.tasks(plugin, model, module)
    plan = declarations.plan(plugin, model, module, tasks, sample)
    tokens = plan.tokens if plan is not None else None
    for key, task in tasks.items():
        states = plan.states() if plan is not None and tokens is not None and tokens.task == key else ()
        try:
            schedule, generates = (plan.schedule(key), key in plan.uses) if plan is not None else ((), False)
            doubtful = tracing.try_out(module, task, key, states, schedule, generates)
            if doubtful or graphs:
                trace(module, task, key)
        except ExportError as error:
            message = str(error)
            raise fault(plugin, message[:1].lower() + message[1:], error, task.method) from error


def _try_symbols(plugin: str, model: Model, module: nn.Module, tasks: Mapping[str, Task], sample: Sample) -> None:
    """Raise :class:`PluginError` if a codec's symbols of examples are out of range."""
    codec = declarations.codec(plugin, model, module, tasks, sample)
    if codec is None:
        return
    task, symbols = tasks[codec.encode], codec.symbols(tasks)
    with torch.no_grad():
        made = task.method(torch.from_numpy(example(sample.x, 3, 0)))
    found = made[0] if isinstance(made, tuple) else made
    if not 0 <= int(found.min()) <= int(found.max()) < symbols.classes:
        raise fault(
            plugin,
            f"the task {codec.encode!r} of the codec gives symbols from {int(found.min())} to {int(found.max())}, and "
            f"must give 0 to {symbols.classes - 1}",
            task.method,
        )
