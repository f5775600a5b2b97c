"""The plugin contract: everything that a plugin declares, and everything that zoo knows about it.

A plugin is one frozen value, and one entry point that names it:

    [project.entry-points."zoo.models"]
    vae = "zoo_autoencoders.vae:vae"        # a Model: below

    [project.entry-points."zoo.data"]
    mnist = "zoo_data.mnist:mnist"          # a DataSet: zoo/contract/data.py

An algorithm is an ordinary ``torch.nn.Module``, a few functions, and the `Model` that ties them together. Its parts are
values too: an `Objective` is a phase of training (zoo/contract/objective.py), a spec such as `Image` is the form of an
input (specs.py), `OneShot` and its like say how samples are generated (generation.py), a `Codec` how they are
compressed (codec.py). Only recipes and options of data inherit from a class of zoo, and they are plain frozen
dataclasses. None of these files imports torch or numpy, so importing them is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.contract import names
from zoo.contract.batch import Batch
from zoo.contract.codec import Codec
from zoo.contract.data import (
    AudioOptions,
    DataCard,
    DataSet,
    ImageOptions,
    Inside,
    KnownFile,
    Loaded,
    Options,
    TextOptions,
)
from zoo.contract.generation import Autoregressive, Chain, Declared, Iterative, OneShot
from zoo.contract.logger import RunInfo
from zoo.contract.objective import AdamW, Objective, RMSprop
from zoo.contract.own_metrics import Metric, SetMetric
from zoo.contract.recipe import Recipe
from zoo.contract.settings import setting
from zoo.contract.specs import (
    Array,
    Audio,
    Image,
    Label,
    LogMel,
    Noise,
    Number,
    Sample,
    Score,
    Spec,
    Text,
    Vector,
    Video,
)
from zoo.contract.typed import Checked
from zoo.contract.use import Use, use
from zoo.core.errors import PluginError

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "AdamW", "Array", "Audio", "AudioOptions", "Autoregressive", "Batch", "Card", "Chain", "Codec", "DataCard",
    "DataSet", "Image", "ImageOptions", "Inside", "Iterative", "KnownFile", "Label", "Loaded", "LogMel", "Metric",
    "Model", "Noise", "Number", "Objective", "OneShot", "Options", "RMSprop", "Recipe", "RunInfo", "Sample", "Score",
    "SetMetric", "Task", "Text", "TextOptions", "Use", "Vector", "Video", "setting", "use",
]  # fmt: skip


@dataclass(frozen=True)
class Task(Checked):
    """Something that a trained model does: ``method(*tensors)``, with one tensor for each input, in order.

    zoo derives the torch call, the ONNX graph, the runtime method, ``zoo run`` and the parity check from this
    declaration. `method` returns one tensor, or a tuple with one tensor for each output, in order. The first axis of
    every tensor is the batch. All models share the same names: encode, decode, reconstruct, score, denoise, step.
    """

    method: Callable[..., Any]
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs or not self.outputs:
            raise PluginError("Task: it has no inputs or no outputs, and needs at least one of each.")
        for name in (*self.inputs, *self.outputs):
            if problem := names.declared_problem(name):
                raise PluginError(f"Task: the input or output {name!r} {problem}.")
        both = [name for name in self.inputs if name in self.outputs]
        if both:
            raise PluginError(f"Task: {', '.join(both)} is an input and an output. Give them different names.")


@dataclass(frozen=True, kw_only=True)
class Card(Checked):
    """What people read first about a model."""

    title: str
    summary: str
    """One or two sentences: what the model is, and what it is good for."""
    paper: str
    """The URL of the paper."""
    citation: str
    """Authors and year, as in "Kingma & Welling 2014"."""


@dataclass(frozen=True, kw_only=True)
class Model(Checked):
    """A model: architecture, objectives, tasks, and the recipes that train it."""

    card: Card
    build: Callable[..., nn.Module]
    """``build(recipe, sample)`` makes the module for samples of that form, with newly initialised weights; the models
    of `needs` are further arguments, by name. Weights that it freezes with ``requires_grad_(False)`` stay frozen in
    every phase."""
    objectives: tuple[Objective, ...] | Callable[[Any, Any], tuple[Objective, ...]]
    """The phases of training, in order. A function ``objectives(recipe, module)`` where they depend on these."""
    tasks: Callable[[Any], Mapping[str, Task]]
    """``tasks(module)`` returns the tasks of the module by name."""
    recipes: Mapping[str, Recipe]
    """The recipes by name. One must be called ``tiny`` and train in a second or two."""
    generate: Declared | Callable[[Any], Declared] | None = None
    """How the model generates. A function ``generate(module)`` where this depends on the module: a grid of tokens, for
    example, depends on the image size."""
    metrics: tuple[Metric | SetMetric, ...] = ()
    """The first metric chooses the checkpoint called "best", is the one that a quantised release is held to, and stands
    first everywhere. It is computed at every checkpoint, whatever it costs."""
    finish: Callable[[Any, Iterable[Batch], Any], None] | None = None
    """``finish(module, batches, recipe)`` runs before each checkpoint is written, with the module in eval mode and
    without gradients. It fits what gradients do not fit, such as a prior over latents, and writes it into buffers that
    training does not read. `batches` is one pass over the training data."""
    frozen: tuple[str, ...] = ()
    """Submodules that nothing changes: their weights are not trained, and they are always in eval mode, so their
    statistics stay and their dropout is off. The trainer checks both."""
    needs: Mapping[str, str] | Callable[[Any], Mapping[str, str]] | None = None
    """Released models that this one is built with, by argument of `build`: ``{"features": "features.mnist"}``, or a
    function ``needs(recipe)``. Each is a module with its released weights, frozen and in eval mode."""
    codec: Codec | Callable[[Any], Codec] | None = None
    """How samples are compressed to bytes. A function ``codec(module)`` where this depends on the module."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.objectives:
            raise PluginError("Model: it has no objectives, and needs at least one to be trained.")
        if twice := _twice(self.frozen):
            raise PluginError(f"Model: frozen = {self.frozen!r} names {twice!r} twice.")
        if twice := _twice(tuple(metric.name for metric in self.metrics)):
            raise PluginError(f"Model: two of its metrics are called {twice!r}. Give them different names.")
        if sets := [metric.name for metric in self.metrics if isinstance(metric, SetMetric) and self.generate is None]:
            raise PluginError(
                f"Model: the metric {sets[0]!r} is of generated samples, and this model generates nothing. "
                "Declare generate, such as zoo.OneShot('decode')."
            )
        if "tiny" not in self.recipes:
            there = ", ".join(self.recipes) or "none"
            raise PluginError(
                "Model: it has no recipe 'tiny', which trains in a second or two on data that needs no download. "
                f"There are: {there}."
            )
        for name in self.recipes:
            if not names.RECIPE.fullmatch(name):
                raise PluginError(
                    f"Model: the recipe name {name!r} is not allowed. It may have letters, digits, '.', '-' and '_'."
                )

    def phases(self, recipe: Any, module: Any) -> tuple[Objective, ...]:
        """Return the objectives of a module."""
        return self.objectives(recipe, module) if callable(self.objectives) else self.objectives

    def needed(self, recipe: Any) -> Mapping[str, str]:
        """Return the SOURCE of each released model that a recipe needs, by argument of `build`."""
        return (self.needs(recipe) if callable(self.needs) else self.needs) or {}

    def generation(self, module: Any) -> Declared | None:
        """Return how a module of this model generates."""
        return self.generate(module) if callable(self.generate) else self.generate

    def compression(self, module: Any) -> Codec | None:
        """Return how a module of this model compresses."""
        return self.codec(module) if callable(self.codec) else self.codec


def _twice(values: tuple[str, ...]) -> str:
    """Return the first value that occurs more than once, or ``""``."""
    return next((value for value in values if values.count(value) > 1), "")
