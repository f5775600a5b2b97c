"""The released classifier of a data set, by which images that a model generates are judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zoo import registry, runtime
from zoo.contract.specs import Vector
from zoo.evaluation.evaluated_model import DoesNotApply, EvaluatedModel
from zoo.runtime import LoadedModel

MODEL = "features"
"""Its model's name; its recipes are called as the data sets are."""


@contextmanager
def judge(subject: EvaluatedModel, task: str) -> Iterator[LoadedModel]:
    """The judge of a subject's images; :class:`DoesNotApply` where none is released that has the task for them."""
    name = f"{MODEL}.{subject.test.name}"
    if name not in registry.list_models(f"{MODEL}.*", pretrained=True):
        raise DoesNotApply(f"no released features for {subject.test.name!r}: there is no {name}")
    with runtime.load(name) as model:
        declared = model.release.tasks.get(task)
        made = [] if declared is None else [type(spec) for spec in declared.outputs.values()]
        if declared is None or [*declared.inputs.values()] != [subject.image] or made != [Vector]:
            raise DoesNotApply(f"{name} has no task {task!r} for images of shape {subject.image.shape}")
        yield model


def words(model: LoadedModel) -> str:
    """A judge in a protocol's words: its name, and the beginning of its manifest's SHA-256."""
    return f"{model.name} ({str(model.release.manifest['sha256'])[:8]})"
