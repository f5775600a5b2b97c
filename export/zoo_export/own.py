"""A model's own metric with its graphs: the module computes the metric, and ONNX Runtime runs the module's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract.metric import Measurement
from zoo.core.errors import EvaluationError, ZooError, one_line
from zoo.evaluation import declared
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.runner import PluginMetrics
from zoo.plugin import Task
from zoo.runtime import LoadedModel
from zoo.training import metric_values


def first(own: PluginMetrics | str, evaluated: EvaluatedModel, budget: Budget) -> Measurement | str:
    """The metric that selects a model's best checkpoint, computed with the tasks of `evaluated`; or the reason why not.

    Outside its tasks the module computes with its float weights. So a metric that calls no task does not depend on the
    graphs, and is not computed.
    """
    if isinstance(own, str):
        return own
    chosen = metric_values.quick(own.model.metrics)[:1]
    if not chosen:
        return "it declares no metric that is quick"
    try:
        with answered(own, evaluated.model) as called:
            measurement = declared.measurement(chosen[0], own.module, own.recipe, own.device, evaluated, budget)
        if not called:
            raise EvaluationError(f"{measurement.name} calls no task, so it does not show what the graphs lose")
    except ZooError as error:
        return one_line(error).rstrip(".")
    return measurement


@contextmanager
def answered(own: PluginMetrics, model: LoadedModel) -> Iterator[set[str]]:
    """Run the module's tasks by `model` in the block; the set receives the names of the tasks that are called.

    A task is a method of the module or of a submodule, or a submodule itself; other functions are unchanged.
    """
    called: set[str] = set()
    with ExitStack() as stack:
        for name, task in own.model.tasks(own.module).items():
            part: Any = task.method
            attribute = "forward"
            if not isinstance(part, nn.Module):
                part, attribute = getattr(task.method, "__self__", None), getattr(task.method, "__name__", "")
            if isinstance(part, nn.Module):
                vars(part)[attribute] = _stand_in(name, task, model, called)
                stack.callback(vars(part).pop, attribute, None)
        yield called


def _stand_in(name: str, task: Task, model: LoadedModel, called: set[str]) -> Any:
    """A function on tensors that runs a task of `model`."""

    def run(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        called.add(name)
        feeds = {key: tensor.cpu().numpy() for key, tensor in zip(task.inputs, tensors, strict=True)}
        made = model.backend.run(name, feeds)
        found = tuple(torch.from_numpy(made[key]).to(tensors[0].device) for key in task.outputs)
        return found[0] if len(found) == 1 else found

    return run
