"""Checks of what a plugin's module declares: its tasks, their names and how it generates. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.contract import names, typed
from zoo.contract.codec import Codec
from zoo.contract.generation import Declared
from zoo.contract.generation_plan import Plan
from zoo.core.errors import suggest
from zoo.registry import calling, fault

if TYPE_CHECKING:
    from zoo.plugin import Model, Objective, Sample, Task


def objectives(plugin: str, model: Model, recipe: Any, module: Any) -> tuple[Objective, ...]:
    """Return the objectives of a module. Raises :class:`PluginError` unless they are a tuple of at least one."""
    from zoo.plugin import Objective

    declared = model.objectives
    if not callable(declared):
        return declared
    said = f"the function {typed.name_of(declared)!r}"
    with calling(plugin, f"{said}, which declares the objectives,", declared):
        found: Any = model.phases(recipe, module)
    if not isinstance(found, (tuple, list)) or not found or not all(isinstance(one, Objective) for one in found):
        raise fault(
            plugin, f"{said} returns {typed.shown(found)}, and should return a tuple of zoo.Objective", declared
        )
    return tuple(found)


def tasks(plugin: str, model: Model, module: Any) -> Mapping[str, Task]:
    """Return the tasks of a module by name. Raises :class:`PluginError` for a wrong type or a forbidden name."""
    from zoo.plugin import Task

    with calling(plugin, f"the function {typed.name_of(model.tasks)!r}, which declares the tasks,", model.tasks):
        found: Any = model.tasks(module)
    if not isinstance(found, Mapping):
        returns = f"the function {typed.name_of(model.tasks)!r} returns {typed.shown(found)}"
        raise fault(
            plugin, f"{returns}, and should return the tasks by name, {{'encode': zoo.Task(…), …}}", model.tasks
        )
    for name, task in found.items():
        if problem := names.task_problem(name):
            raise fault(plugin, f"the task {name!r} {problem}", model.tasks)
        if not isinstance(task, Task):
            raise fault(plugin, f"the task {name!r} is {typed.shown(task)}, and should be a zoo.Task", model.tasks)
    return dict(found)


def plan(plugin: str, model: Model, module: Any, tasks: Mapping[str, Task], sample: Sample) -> Plan | None:
    """Return how the module generates, or None if it does not. Raises :class:`PluginError` if its tasks do not fit."""
    if model.generate is None:
        return None
    with calling(
        plugin, f"the function {typed.name_of(model.generate)!r}, which says how it generates,", model.generate
    ):
        value = model.generation(module)
    subjects = (model.generate, model.tasks) if callable(model.generate) else (model.tasks,)
    if not isinstance(value, Declared):
        kinds = typed.describe(Declared)
        raise fault(plugin, f"generate gives {typed.shown(value)}, and should give {kinds}", *subjects)
    found = Plan(value, tasks, sample)
    if wrong := found.problem():
        near = next((f".{suggest(name, tasks)}" for name in found.uses if name not in tasks), "")
        raise fault(plugin, f"the model cannot generate: {wrong}{near}", *subjects)
    return found


def codec(plugin: str, model: Model, module: Any, tasks: Mapping[str, Task], sample: Sample) -> Codec | None:
    """Return how the module compresses, or None if it does not. Raises :class:`PluginError` if its tasks do not fit."""
    if model.codec is None:
        return None
    with calling(plugin, f"the function {typed.name_of(model.codec)!r}, which says how it compresses,", model.codec):
        found: Any = model.compression(module)
    subjects = (model.codec, model.tasks) if callable(model.codec) else (model.tasks,)
    if not isinstance(found, Codec):
        raise fault(plugin, f"codec gives {typed.shown(found)}, and should give a zoo.Codec", *subjects)
    if wrong := found.problem(tasks, sample):
        near = next((f".{suggest(name, tasks)}" for name in (found.encode, found.decode) if name not in tasks), "")
        raise fault(plugin, f"the model cannot compress: {wrong}{near}", *subjects)
    return found
