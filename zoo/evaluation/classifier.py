"""The released classifier of a data set, which evaluates generated images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zoo import registry, runtime
from zoo.contract.specs import Vector
from zoo.evaluation.evaluated_model import DoesNotApply, EvaluatedModel
from zoo.runtime import LoadedModel

MODEL = "features"
"""The name of the classifier's model; its recipes are named after data sets."""


@contextmanager
def released_classifier(evaluated: EvaluatedModel, task: str) -> Iterator[LoadedModel]:
    """Load the classifier for a model's images; raise :class:`DoesNotApply` if none with this task is released."""
    name = f"{MODEL}.{evaluated.test.name}"
    if name not in registry.list_models(f"{MODEL}.*", pretrained=True):
        raise DoesNotApply(f"no released features for {evaluated.test.name!r}: there is no {name}")
    with runtime.load(name) as model:
        declared = model.release.tasks.get(task)
        made = [] if declared is None else [type(spec) for spec in declared.outputs.values()]
        if declared is None or [*declared.inputs.values()] != [evaluated.image] or made != [Vector]:
            raise DoesNotApply(f"{name} has no task {task!r} for images of shape {evaluated.image.shape}")
        yield model


def described(model: LoadedModel) -> str:
    """The classifier's description in a protocol: its name, and the start of its manifest's SHA-256."""
    return f"{model.name} ({str(model.release.manifest['sha256'])[:8]})"
