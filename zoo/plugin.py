"""The plugin contract: everything that a model plugin says, and all that zoo knows of a model.

A plugin is one frozen `Model` value, named by one entry point in the group ``zoo.models``:

    [project.entry-points."zoo.models"]
    vae = "zoo_autoencoders.vae:vae"

An algorithm is made of values: an ordinary ``torch.nn.Module``, a few functions, and the `Model` that ties
them together. Nothing inherits from zoo but recipes, which are plain frozen dataclasses. This file imports
neither torch nor numpy, so describing a model costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo import names
from zoo.errors import PluginError
from zoo.specs import (
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
from zoo.typed import Checked

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "AdamW", "Audio", "Autoregressive", "Batch", "Card", "Chain", "Image", "Iterative", "Label", "LogMel", "Measure",
    "Model", "Noise", "Objective", "OneShot", "RMSprop", "Recipe", "Sample", "Score", "Task", "Text", "Vector",
    "setting",
]  # fmt: skip


def setting(
    default: Any,
    help: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> Any:
    """A recipe field with its help line and its range: `least` and `most` inclusive, `above` exclusive."""
    metadata = {"help": help, "least": least, "most": most, "above": above}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """How a model is trained: the fields that every model has. A model adds its own in a subclass.

    Fields are int, float, bool, str, tuples of these, or a `Literal` of strings; each can be set with
    ``zoo train NAME --set KEY=VALUE``. A bad type or range is a :class:`zoo.errors.SettingError`.
    """

    data: str = setting("digits", "data set: a name, folder:DIR, text:FILE or audio:DIR")
    length: int = setting(128, "characters in one sample of a text; other data ignore it", least=2)
    seconds: float = setting(1.0, "length of one sound: longer ones are cut, shorter ones padded with silence", above=0)
    bands: int = setting(0, "mel bands of one sound; 0 keeps the waveform", least=0)
    size: int = setting(
        0, "pixels of each side that images are resized to; 0 keeps them as they are", least=0, most=4096
    )
    fit: Literal["crop", "pad"] = setting(
        "crop", "what resizing does to an image that is not square: cut it, or pad it"
    )
    background: str = setting("white", "colour of padding, and behind transparent pixels: a name, or #rrggbb")
    steps: int = setting(1000, "training steps", least=1)
    batch: int = setting(128, "samples in a batch, over all processes and parts", least=1)
    accumulate: int = setting(1, "parts in which a process computes its share of a batch, to save memory", least=1)
    lr: float = setting(1e-3, "peak learning rate", above=0)
    warmup: int = setting(0, "steps of linear learning-rate warm-up", least=0)
    decay: Literal["constant", "linear", "cosine"] = setting("constant", "learning rate after warm-up, down to 0")
    clip: float = setting(0.0, "largest gradient norm of a phase; 0 leaves gradients as they are", least=0)
    ema: float = setting(
        0.0, "decay of a moving average of the weights, which is then what is released", least=0, most=1
    )
    precision: Literal["auto", "fp32", "tf32", "bf16"] = setting(
        "auto", "bf16: bfloat16 autocast; tf32: fast matrix products on NVIDIA; auto: bf16 where the device has it"
    )
    flip: bool = setting(False, "mirror half of the training pictures")
    crop: int = setting(0, "move training pictures by up to so many pixels", least=0)
    leave_out: int = setting(-1, "a class to leave out of training; -1 leaves out none", least=-1)
    validation: int = setting(0, "training samples held out to choose the best checkpoint and to stop early", least=0)
    early_stop: str = setting("", "measure that ends the run when it gets no better; empty: none")
    patience: int = setting(5, "checkpoints without a better one before an early stop", least=1)
    quantize_loss: float = setting(
        0.1, "part of itself by which a measure may get worse in a release with narrow numbers", least=0
    )
    seed: int = setting(0, "seed of everything random", least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        from zoo.settings import check

        check(self)


@dataclass(frozen=True)
class Batch:
    """What an objective and a measure are given."""

    x: Tensor
    """Pictures: float32 (b, c, h, w) in [0, 1]. Text: int64 (b, length). Sounds: float32 (b, samples) in [-1, 1], or
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
    """``generate(module)`` where it depends on the module, as a grid of tokens does on the size of the pictures."""
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
