"""The subject of an evaluation, which is a model with its data, and the budget: the sizes of subsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.codec import Codec
from zoo.contract.generation import Generation
from zoo.contract.specs import Image, Noise, Sample, Vector
from zoo.core.errors import EvaluationError
from zoo.core.progress import Progress
from zoo.data import DataSplit
from zoo.media import kinds
from zoo.media.display import to_display, to_graph
from zoo.modules.torch_backend import TorchBackend
from zoo.plugin import Task
from zoo.release import Release, ReleasedTask
from zoo.runtime import LoadedModel

Array = NDArray[Any]

BLOCK = 500
"""Images per block; progress is updated after each block."""


class DoesNotApply(EvaluationError):
    """A group of metrics does not apply to this model; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The numbers of samples and seeds of an evaluation. Subsets of images are drawn with seed 0."""

    limit: int | None = None
    """Number of test samples; None: all, or the limit of a slow metric."""
    samples: int | None = None
    """Number of generated samples; None: as many as there are test images, at most `most`."""
    most: int = 10_000
    seeds: int = 3
    """Number of seeds of generation, and of k-means."""
    fit: int = 10_000
    """Number of training images on which probes, k-NN and PCA are fitted."""
    reference: int | None = None
    """Number of training images that generated ones are compared with; None: all."""
    quiet: bool = False


@dataclass(frozen=True)
class EvaluatedModel:
    """A trained model with the two splits of its data. Only `whole` contains a class left out of training."""

    model: LoadedModel
    training: DataSplit
    test: DataSplit
    whole: DataSplit
    """The test split, including the class left out of training."""
    leave_out: int = -1
    """The class left out of training, or -1."""

    @property
    def data(self) -> str:
        """The data set's description in a protocol."""
        return self.test.name if self.leave_out < 0 else f"{self.test.name} without class {self.leave_out}"

    @cached_property
    def image(self) -> Image:
        """The form of its images; raise :class:`DoesNotApply` for other samples."""
        x = self.model.release.sample.x
        if not isinstance(x, Image):
            raise DoesNotApply(f"it models {kinds.of_sample(x).medium}, and this is measured on images")
        return x

    @cached_property
    def latent(self) -> Vector | None:
        """The form of its latents; None without a task ``encode`` from an image to a vector of floats."""
        task = self.model.release.tasks.get("encode")
        if task is None or list(task.inputs.values()) != [self.model.release.sample.x]:
            return None
        made = next(iter(task.outputs.values()))
        return made if isinstance(made, Vector) and made.dtype == "float32" else None

    @cached_property
    def way(self) -> tuple[str, ...]:
        """The tasks that together reconstruct an image; () if there are none."""
        tasks, x = self.model.release.tasks, self.model.release.sample.x
        if "reconstruct" in tasks and _one(tasks["reconstruct"].inputs) == x:
            return ("reconstruct",)
        if self.model.release.codec is not None:
            return self.model.release.codec.encode, self.model.release.codec.decode
        back = tasks.get("decode")
        if self.latent is None or back is None or next(iter(back.outputs.values())) != x:
            return ()
        taken = _one(back.inputs)
        return ("encode", "decode") if isinstance(taken, (Vector, Noise)) and taken.shape == self.latent.shape else ()

    def reconstruct(self, x: Array, quiet: bool) -> Array:
        """Reconstruct images, uint8 (n, c, h, w), or arrays: float32 of the same shape, images in [0, 1]."""
        value = to_display(x)
        for task in self.way:
            value = apply(self.model, task, value, quiet)
        return to_graph(from_display(value))


def of_module(
    name: str,
    module: Any,
    tasks: Mapping[str, Task],
    generation: Generation | None,
    sample: Sample,
    codec: Codec | None = None,
) -> LoadedModel:
    """Wrap a module in memory as a loaded model with the torch backend."""
    declared = {key: ReleasedTask("", task.inputs, task.outputs) for key, task in tasks.items()}
    release = Release(Path(), {}, name, sample, declared, generation, "", {}, {}, codec)
    return LoadedModel(release, TorchBackend.of_module(module, tasks))


def apply(model: LoadedModel, task: str, x: Array, quiet: bool) -> Array:
    """Run a task on a whole array, block by block with progress, and return its first output."""
    parts = []
    with Progress(f"{model.name}: {task}", len(x), unit="samples", quiet=quiet) as progress:
        for start in range(0, len(x), BLOCK):
            made = model.run(task, x[start : start + BLOCK])
            parts.append(next(iter(made.values())) if isinstance(made, dict) else made)
            done = min(start + BLOCK, len(x))
            progress.update(done, {}, done)
    return np.concatenate(parts)


def from_display(x: Array) -> Array:
    """The inverse of :func:`zoo.media.display.to_display` for images and arrays."""
    if x.dtype != np.uint8:
        return x
    return x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)


def without(data: DataSplit, label: int) -> DataSplit:
    """A data set without the samples of a class."""
    if label < 0:
        return data
    if data.labels is None:
        raise EvaluationError(f"Class {label} was left out of training, and {data.name} has no labels to identify it.")
    return data.take(np.flatnonzero(data.labels != label))


def some(data: DataSplit, count: int | None) -> DataSplit:
    """`count` random samples (seed 0) of a data set of images, in its order; all if it has no more."""
    if count is None or count >= len(data):
        return data
    return data.take(np.sort(np.random.default_rng(0).permutation(len(data))[:count]))


def _one(specs: Mapping[str, Any]) -> Any:
    """The only spec, or None."""
    return next(iter(specs.values())) if len(specs) == 1 else None
