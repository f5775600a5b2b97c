"""A model's own metric of what ONNX Runtime runs: its module computes it, and graphs answer for the module's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract.metric import Figure
from zoo.core.errors import EvaluationError, ZooError, one_line
from zoo.evaluation import declared
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel
from zoo.evaluation.runner import PluginMetrics
from zoo.plugin import Task
from zoo.runtime import LoadedModel
from zoo.training import metrics


def first(own: PluginMetrics | str, subject: EvaluatedModel, budget: Budget) -> Figure | str:
    """The metric that chooses a model's best checkpoint, with the tasks of `subject`; or why it cannot be taken.

    What the module computes outside its tasks is computed by its float weights, so a metric that calls no task says
    nothing of these graphs, and is not taken.
    """
    if isinstance(own, str):
        return own
    chosen = metrics.quick(own.model.measures)[:1]
    if not chosen:
        return "it declares no metric that is quick"
    try:
        with answered(own, subject.model) as called:
            figure = declared.figure(chosen[0], own.module, own.recipe, own.device, subject, budget)
        if not called:
            raise EvaluationError(f"{figure.name} calls no task, so it does not show what the graphs lose")
    except ZooError as error:
        return one_line(error).rstrip(".")
    return figure


@contextmanager
def answered(own: PluginMetrics, model: LoadedModel) -> Iterator[set[str]]:
    """Within the block the tasks of the module are run by `model`; the names of those that were called are in the set.

    A task is a method of the module or of a part of it, or a part itself; any other function stays as it is.
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
    """A function of tensors that runs a task of `model`."""

    def run(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        called.add(name)
        feeds = {key: tensor.cpu().numpy() for key, tensor in zip(task.inputs, tensors, strict=True)}
        made = model.backend.run(name, feeds)
        found = tuple(torch.from_numpy(made[key]).to(tensors[0].device) for key in task.outputs)
        return found[0] if len(found) == 1 else found

    return run
