"""How a sample is generated: a closed set of values, which a manifest holds and the runtime runs without the plugin.

Every input of a task that generation calls is one of these, by its spec:

    Noise                       drawn from the seed
    Label                       a class; by default the sample's index modulo the number of classes
    Number                      a number with a default and a range, such as a guidance scale
    Image, Text, Audio, …       given by the user; named like the field of the data that it is like
    a Label with a shape        given by the user too: several classes an item
    any X with an output next_X a state of a loop: what one step gives, the next one takes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zoo.contract.spec_json import from_json
from zoo.contract.typed import Checked


@dataclass(frozen=True)
class OneShot(Checked):
    """One call of `task`; its first output is the sample."""

    task: str
    kind: ClassVar[str] = "one-shot"


@dataclass(frozen=True)
class Autoregressive(Checked):
    """Token by token. `task` takes ``token`` (a Label) and states; it gives ``logits`` and each state X as ``next_X``.

    States start as zeros, token 0 is fed first and is no part of the sample, and each next token is
    argmax(logits / temperature + Gumbel noise) (Gumbel-max sampling; Maddison et al. 2014, https://arxiv.org/abs/1411.0030).
    """

    task: str
    shape: tuple[int, ...] = ()
    """The grid that a sample's tokens fill, row by row; () for text, which has any length."""
    kind: ClassVar[str] = "autoregressive"


@dataclass(frozen=True)
class Iterative(Checked):
    """Step by step, by a sampler that is a task: diffusion, flow matching, Langevin dynamics, masked tokens.

    `task` takes states, ``time`` and, if it likes, ``until``: the points of the schedule where the step starts and
    ends, each a ``Vector(())``. It gives each state X as ``next_X``. A state that is a Noise starts as noise, any other
    as zeros; a Noise that is no state is drawn again in each step. The sample is the first output of the last step that
    is no state, or else the first state.
    """

    task: str
    schedule: tuple[float, ...]
    """The points from the start to the end, one more than the largest number of steps; S steps of T visit the points
    ⌊k T / S⌋."""
    steps: int
    """Steps for a sample by default."""
    kind: ClassVar[str] = "iterative"


@dataclass(frozen=True)
class DDIM(Checked):
    """The iterative generation of releases of formats 1 and 2: `task` predicts the noise, and the sampler is DDIM.

    :mod:`zoo.sampling.ddim` has the equations. Newer releases have the sampler as a task.
    """

    task: str
    alphas: tuple[float, ...]
    steps: int
    eta: float = 0.0
    kind: ClassVar[str] = "ddim"


@dataclass(frozen=True)
class Chain(Checked):
    """A loop, and then one call of `task`, whose first input is what the loop made: its tokens, or its first state.

    A grid of tokens is a `Label` of its shape. The first output of `task` is the sample.
    """

    first: Autoregressive | Iterative
    task: str
    kind: ClassVar[str] = "chain"
    nested: ClassVar[Mapping[str, Any]] = {
        "first": {Autoregressive.kind: Autoregressive, Iterative.kind: Iterative},
    }


Loop = Autoregressive | Iterative | DDIM
Declared = OneShot | Autoregressive | Iterative | Chain
"""What a plugin declares."""

Generation = Declared | DDIM
"""What a manifest holds."""

GENERATIONS: dict[str, type[Generation]] = {
    value.kind: value for value in (OneShot, Autoregressive, Iterative, Chain, DDIM)
}


def generation_from_json(value: Any, where: str) -> Generation:
    """The generation that a manifest's JSON object declares; :class:`ReleaseError` that names `where` if none."""
    generation: Generation = from_json(value, GENERATIONS, where)
    return generation
