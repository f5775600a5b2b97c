"""The plugin contract: everything that a model plugin declares, and everything that zoo knows about a model.

A plugin is one frozen `Model` value. One entry point in the group ``zoo.models`` names it:

    [project.entry-points."zoo.models"]
    vae = "zoo_autoencoders.vae:vae"

An algorithm is an ordinary ``torch.nn.Module``, a few functions, and the `Model` that ties them together. Only
recipes inherit from a class of zoo, and they are plain frozen dataclasses. This file imports neither torch nor
numpy, so importing it is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.contract import names
from zoo.contract.recipe import Recipe, setting
from zoo.contract.specs import (
    Array,
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
    Video,
)
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "AdamW", "Array", "Audio", "Autoregressive", "Batch", "Card", "Chain", "Image", "Iterative", "Label", "LogMel",
    "Metric", "Model", "Noise", "Objective", "OneShot", "RMSprop", "Recipe", "Sample", "Score", "Task", "Text",
    "Vector", "Video", "setting",
]  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """A batch of samples: the input of objectives and metrics."""

    x: Tensor
    """Images: float32 (b, c, h, w) in [0, 1]. Videos: float32 (b, frames, c, h, w) in [0, 1]. Text: int64 (b, length).
    Audio clips: float32 (b, samples) in [-1, 1], or (b, bands, frames) in [0, 1]. Arrays: float32 (b, *shape)."""
    fields: Mapping[str, Tensor]
    """The other fields of the samples, by name: ``batch["caption"]``. Labels are int64."""
    index: Tensor
    """int64 (b,): the position of each sample in its data set."""
    progress: Tensor
    """float32 scalar: the fraction of the run that is done, 0 to 1."""

    def __getitem__(self, name: str) -> Tensor:
        """A field of the samples, (b, …); ``"x"`` is the modelled one. Raises KeyError for one that they have not."""
        return self.x if name == "x" else self.fields[name]

    @property
    def labels(self) -> Tensor:
        """The field ``label``, int64 (b,); zeros where the data set has none."""
        return self.fields["label"] if "label" in self.fields else self.index * 0


@dataclass(frozen=True, kw_only=True)
class AdamW(Checked):
    """AdamW (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101).

    `lr` is a number, or the name of a recipe field. Weight decay acts on matrices and convolution kernels, not on
    biases and norms.
    """

    lr: float | str = "lr"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RMSprop(Checked):
    """RMSprop (Hinton 2012). `lr` and weight decay work as in :class:`AdamW`."""

    lr: float | str = "lr"
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Objective(Checked):
    """One phase of training: what it minimises, which weights it moves, and when.

    ``loss(module, batch, recipe)`` returns named scalar tensors. The trainer minimises their sum and logs each term.
    A loss may change buffers of the module (as batch norm does in training mode), and nothing else. One training step
    runs the phases that are due, in order, each on a new batch. The trainer seeds torch before each phase of each
    step, so a loss may call ``torch.randn_like`` and resume is still exact.
    """

    loss: Callable[[Any, Batch, Any], Mapping[str, Tensor]]
    params: tuple[str, ...] = ()
    """The submodules whose weights this phase updates; () means all. Weights that `build` froze stay frozen."""
    optimiser: AdamW | RMSprop = AdamW()
    every: int = 1
    """The phase is due when ``step % every == 0``."""
    during: tuple[float, float] = (0.0, 1.0)
    """The phase is due from the first to before the second of these fractions of the run. Its learning rate warms up
    and decays within this interval."""
    after: Callable[[Any, Any], None] | None = None
    """``after(module, recipe)`` runs after each step of the phase: a projection such as weight clipping."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start, end = self.during
        if self.every < 1 or not 0 <= start < end <= 1:
            raise PluginError(
                f"An objective has every = {self.every} and during = {self.during}: every must be at least 1, "
                "and during two fractions of the run, 0 ≤ start < end ≤ 1."
            )
        if twice := _twice(self.params):
            raise PluginError(f"An objective has params = {self.params!r}, which names {twice!r} twice.")


@dataclass(frozen=True)
class Metric(Checked):
    """A metric: the mean over test samples of ``fn(module, batch, recipe)``, which returns one value a sample, (b,).

    zoo seeds torch before each batch, so `fn` may draw noise and still return the same values every time.
    """

    name: str
    fn: Callable[[Any, Batch, Any], Tensor]
    unit: str
    protocol: str
    """How the metric is measured, in a few words: "dynamically binarised, one sample of z an image"."""
    better: Literal["lower", "higher"] = "lower"
    limit: int | None = None
    """For a slow metric: only ``zoo evaluate`` computes it, on the first `limit` test samples unless ``--limit`` says
    otherwise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not names.RECIPE.fullmatch(self.name):
            raise PluginError(
                f"Metric: the name {self.name!r} is not allowed. It may have letters, digits, '.', '-' and '_'."
            )
        if self.limit is not None and self.limit < 1:
            raise PluginError(f"Metric: limit = {self.limit} of {self.name!r} must be at least 1, or None.")


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
            if problem := names.argument_problem(name):
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
    build: Callable[[Any, Sample], nn.Module]
    """``build(recipe, sample)`` makes the module for samples of that form, with newly initialised weights. Weights
    that it freezes with ``requires_grad_(False)`` stay frozen in every phase. A frozen submodule that it leaves in eval
    mode stays in eval mode."""
    objectives: tuple[Objective, ...]
    tasks: Callable[[Any], Mapping[str, Task]]
    """``tasks(module)`` returns the tasks of the module by name."""
    recipes: Mapping[str, Recipe]
    """The recipes by name. One must be called ``tiny`` and train in a second or two."""
    generate: Generation | Callable[[Any], Generation] | None = None
    """How the model generates. A function ``generate(module)`` where this depends on the module: a grid of tokens, for
    example, depends on the image size."""
    metrics: tuple[Metric, ...] = ()
    """The first metric without a `limit` chooses the checkpoint called "best". A metric with the name of one of zoo's
    own, such as mse or fid, replaces it for this model everywhere."""
    finish: Callable[[Any, Iterable[Batch], Any], None] | None = None
    """``finish(module, batches, recipe)`` runs before each checkpoint is written, with the module in eval mode and
    without gradients. It fits what gradients do not fit, such as a prior over latents, and writes it into buffers that
    training does not read. `batches` is one pass over the training data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.objectives:
            raise PluginError("Model: it has no objectives, and needs at least one to be trained.")
        if twice := _twice(tuple(metric.name for metric in self.metrics)):
            raise PluginError(f"Model: two of its metrics are called {twice!r}. Give them different names.")
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
        """Return how a module of this model generates."""
        return self.generate(module) if callable(self.generate) else self.generate


def _twice(values: tuple[str, ...]) -> str:
    """Return the first value that occurs more than once, or ``""``."""
    return next((value for value in values if values.count(value) > 1), "")
