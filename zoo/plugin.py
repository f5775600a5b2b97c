"""The plugin contract: everything that a model plugin says, and all that zoo knows of a model.

A plugin is one frozen `Model` value, named by one entry point in the group ``zoo.models``:

    [project.entry-points."zoo.models"]
    vae = "zoo_autoencoders.vae:vae"

An algorithm is made of values: an ordinary ``torch.nn.Module``, a few functions, and the `Model` that ties
them together. Nothing inherits from zoo but recipes, which are plain frozen dataclasses. This file imports
neither torch nor numpy, so describing a model costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.contract import names
from zoo.contract.recipe import Recipe, setting
from zoo.contract.specs import (
    Audio,
    Autoregressive,
    Chain,
    Generation,
    Image,
    Iterative,
    Label,
    LogMel,
    Noise,
    OneShot,
    Sample,
    Score,
    Spec,
    Text,
    Vector,
)
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "AdamW", "Audio", "Autoregressive", "Batch", "Card", "Chain", "Image", "Iterative", "Label", "LogMel", "Measure",
    "Model", "Noise", "Objective", "OneShot", "RMSprop", "Recipe", "Sample", "Score", "Task", "Text", "Vector",
    "setting",
]  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What an objective and a measure are given."""

    x: Tensor
    """Images: float32 (b, c, h, w) in [0, 1]. Text: int64 (b, length). Audio clips: float32 (b, samples) in [-1, 1], or
    (b, bands, frames) in [0, 1]."""
    labels: Tensor
    """int64 (b,); zeros where the data set has none."""
    index: Tensor
    """int64 (b,): the position of each sample in its data set."""
    progress: Tensor
    """float32 scalar: the part of the run that is done, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class AdamW(Checked):
    """AdamW (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101).

    `lr` is a number, or the name of the recipe field that holds it. Weight decay acts on matrices and
    convolution kernels, not on biases and norms.
    """

    lr: float | str = "lr"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RMSprop(Checked):
    """RMSprop (Hinton 2012). `lr` and weight decay are as in :class:`AdamW`."""

    lr: float | str = "lr"
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Objective(Checked):
    """One phase of training: what it minimises, which weights it moves, and when.

    ``loss(module, batch, recipe)`` is a function that returns named scalar tensors, and changes nothing but buffers
    of the module in training mode, as batch norm does; the trainer minimises their sum and logs each. One training
    step runs the phases that are due in their order, each on a fresh batch. Torch is seeded anew for each phase of
    each step, so a loss may use ``torch.randn_like`` and the like, and resume is still exact.
    """

    loss: Callable[[Any, Batch, Any], Mapping[str, Tensor]]
    params: tuple[str, ...] = ()
    """The submodules whose weights this phase moves, but for those that `build` froze; () means all of them."""
    optimiser: AdamW | RMSprop = AdamW()
    every: int = 1
    """The phase is due when ``step % every == 0``."""
    during: tuple[float, float] = (0.0, 1.0)
    """The part of the run in which the phase is due: it starts at the first and ends before the second. Its learning
    rate warms up and decays within that part."""
    after: Callable[[Any, Any], None] | None = None
    """A projection ``after(module, recipe)`` that follows each step of the phase, such as weight clipping."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start, end = self.during
        if self.every < 1 or not 0 <= start < end <= 1:
            raise PluginError(
                f"An objective has every = {self.every} and during = {self.during}: every must be at least 1, "
                "and during two parts of the run, 0 ≤ start < end ≤ 1."
            )
        if twice := _twice(self.params):
            raise PluginError(f"An objective has params = {self.params!r}, which names {twice!r} twice.")


@dataclass(frozen=True)
class Measure(Checked):
    """A figure of merit, the mean over samples it has not seen: ``fn(module, batch, recipe)`` gives one a sample, (b,).

    Torch is seeded anew for each batch, so `fn` may draw noise and is still the same every time.
    """

    name: str
    fn: Callable[[Any, Batch, Any], Tensor]
    unit: str
    protocol: str
    """How it is measured, in a few words: "dynamically binarised, one sample of z an image"."""
    better: Literal["lower", "higher"] = "lower"
    limit: int | None = None
    """For a slow one: it is left to ``zoo evaluate``, which takes the first so many test samples unless told more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not names.RECIPE.fullmatch(self.name):
            raise PluginError(
                f"Measure: the name {self.name!r} is not allowed. It may have letters, digits, '.', '-' and '_'."
            )
        if self.limit is not None and self.limit < 1:
            raise PluginError(f"Measure: limit = {self.limit} of {self.name!r} must be at least 1, or None.")


@dataclass(frozen=True)
class Task(Checked):
    """Something a trained model does: ``method(*tensors)`` with one tensor an input, in order.

    From this one declaration come the torch call, the ONNX graph, the runtime method, ``zoo run`` and the
    parity row. `method` returns a tensor, or a tuple of one tensor an output, in order. Every tensor has the
    batch as its first axis. Verbs are shared by all models: encode, decode, reconstruct, score, denoise, step.
    """

    method: Callable[..., Any]
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs or not self.outputs:
            raise PluginError("Task: it has no inputs or no outputs, and needs at least one of each.")
        for name in (*self.inputs, *self.outputs):
            if problem := names.argument_problem(name):
                raise PluginError(f"Task: the input or output {name!r} {problem}.")
        both = [name for name in self.inputs if name in self.outputs]
        if both:
            raise PluginError(f"Task: {', '.join(both)} is an input and an output. Give them different names.")


@dataclass(frozen=True, kw_only=True)
class Card(Checked):
    """What a person reads of a model before anything else."""

    title: str
    summary: str
    """One or two sentences: what it is, and what it is good for."""
    paper: str
    """The address of the paper."""
    citation: str
    """Authors and year, as in "Kingma & Welling 2014"."""


@dataclass(frozen=True, kw_only=True)
class Model(Checked):
    """A model: architecture, objectives, tasks, and the recipes that train it."""

    card: Card
    build: Callable[[Any, Sample], nn.Module]
    """``build(recipe, sample)`` makes the module for samples of that form, with fresh weights. What it freezes by
    ``requires_grad_(False)`` stays frozen in every phase; a frozen part that it leaves in eval mode stays in it."""
    objectives: tuple[Objective, ...]
    tasks: Callable[[Any], Mapping[str, Task]]
    """``tasks(module)``: what the module does, by name."""
    recipes: Mapping[str, Recipe]
    """By name. One is called ``tiny`` and trains in a second or two."""
    generate: Generation | Callable[[Any], Generation] | None = None
    """``generate(module)`` where it depends on the module, as a grid of tokens does on the size of the images."""
    measures: tuple[Measure, ...] = ()
    """The first one without a `limit` chooses the checkpoint called "best". One that has the name of a metric that zoo
    takes of any model, such as mse or fid, is the metric of that name of this model, everywhere."""
    finish: Callable[[Any, Iterable[Batch], Any], None] | None = None
    """``finish(module, batches, recipe)`` runs before each checkpoint is written, on a module in eval mode and
    without gradients: it fits what gradients do not, such as a prior over codes, into buffers that training
    does not read. `batches` is one pass over the training data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.objectives:
            raise PluginError("Model: it has no objectives, and needs at least one to be trained.")
        if twice := _twice(tuple(measure.name for measure in self.measures)):
            raise PluginError(f"Model: two of its measures are called {twice!r}. Give them different names.")
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

    def generation(self, module: Any) -> Generation | None:
        """How a module of this model generates."""
        return self.generate(module) if callable(self.generate) else self.generate


def _twice(values: tuple[str, ...]) -> str:
    """The first that is there more than once, or ``""``."""
    return next((value for value in values if values.count(value) > 1), "")
