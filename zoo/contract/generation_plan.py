"""How a model generates: the tasks it calls, the options it accepts, and the form of the samples."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from zoo.contract.specs import (
    LONGEST,
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
    Spec,
    Text,
    Vector,
)

OPTIONS: Mapping[str, str] = {
    "label": "models with labels",
    "prompt": "models that write text",
    "length": "models that write text",
    "temperature": "models that sample tokens",
    "top_k": "models that sample tokens",
    "top_p": "models that sample tokens",
    "steps": "models that turn noise into a sample step by step",
    "eta": "models that turn noise into a sample step by step",
}
"""The options of generation beside the seed, and the models that accept each."""

LEAST, MOST = 1e-12, 1 - 1e-6
"""The range of ᾱ in which float32 can divide by √ᾱ and √(1 − ᾱ)."""


class Form(Protocol):
    """The inputs and outputs of a task, without its method."""

    @property
    def inputs(self) -> Mapping[str, Spec]: ...
    @property
    def outputs(self) -> Mapping[str, Spec]: ...


@dataclass(frozen=True)
class Plan:
    """A generation, its tasks and the form of the samples. :data:`RULES` has the rules of each kind of generation."""

    value: Generation
    tasks: Mapping[str, Form]
    sample: Sample

    @property
    def _rules(self) -> Rules[Any]:
        return RULES[self.value.kind]

    @property
    def tokens(self) -> Autoregressive | None:
        """The autoregressive part, or None."""
        return self._rules.tokens(self.value)

    @cached_property
    def uses(self) -> tuple[str, ...]:
        """The names of the tasks that generation calls, in order."""
        return tuple(dict.fromkeys((*([self.tokens.task] if self.tokens else []), self.value.task)))

    @property
    def gives(self) -> Spec:
        """The form of a generated sample."""
        return self._rules.gives(self)

    @cached_property
    def options(self) -> frozenset[str]:
        """The names of the ``OPTIONS`` that this generation accepts."""
        return frozenset([*(["label"] if self.labels() else []), *self._rules.options])

    @property
    def calls(self) -> int:
        """The number of task calls for one sample."""
        return self._rules.calls(self)

    @property
    def description(self) -> str:
        """The tasks, the number of calls and the accepted options as text: ``"step × 64 → decode; label, top_k"``."""
        many = "" if self.calls == 1 else f" × {self.calls - len(self.uses) + 1}"
        options = [name for name in OPTIONS if name in self.options]
        return f"{' → '.join([self.uses[0] + many, *self.uses[1:]])}{'; ' if options else ''}{', '.join(options)}"

    def states(self) -> dict[str, Spec]:
        """The recurrent states of the token's task: each input X for which the task has an output next_X."""
        assert self.tokens is not None
        form = self.tasks[self.tokens.task]
        return {name: spec for name, spec in form.inputs.items() if f"next_{name}" in form.outputs}

    def labels(self, task: str = "") -> dict[str, Label]:
        """The inputs that take the class of the sample, for one task, or for all tasks if `task` is empty."""
        if not task:
            return {name: spec for used in self.uses for name, spec in self.labels(used).items()}
        own = self._rules.own_inputs(self, task)
        return {
            name: spec for name, spec in self.tasks[task].inputs.items() if isinstance(spec, Label) and name not in own
        }

    @property
    def grid(self) -> str:
        """The input of a chain's last task that takes the grid of tokens."""
        return next(iter(self.tasks[self.value.task].inputs))

    def problem(self) -> str:
        """Return why the tasks do not fit the generation, or ``""`` if they fit."""
        for name in self.uses:
            if name not in self.tasks:
                return f"generation uses task {name!r}, which is not there"
        return self._rules.problem(self)


G = TypeVar("G", bound=Generation)


class Rules(ABC, Generic[G]):
    """The rules of one kind of generation."""

    options: tuple[str, ...] = ()
    """The ``OPTIONS`` that this kind accepts, except label."""

    def tokens(self, value: G) -> Autoregressive | None:
        """Return the autoregressive part, or None."""
        return None

    def gives(self, plan: Plan) -> Spec:
        """Return the form of a generated sample."""
        return plan.sample.x

    def calls(self, plan: Plan) -> int:
        """Return the number of task calls for one sample."""
        return 1

    def own_inputs(self, plan: Plan, task: str) -> set[str]:
        """Return the inputs of a task that generation itself fills."""
        return set()

    @abstractmethod
    def problem(self, plan: Plan) -> str:
        """Return why the existing tasks do not fit, or ``""`` if they fit."""


class _OneShot(Rules[OneShot]):
    def gives(self, plan: Plan) -> Spec:
        return next(iter(plan.tasks[plan.value.task].outputs.values()))

    def problem(self, plan: Plan) -> str:
        name = plan.value.task
        if plan.gives.kind != plan.sample.x.kind:
            return _unfit(name, plan, f"its first output is {plan.gives.kind}, and the data is {plan.sample.x.kind}")
        for key, spec in plan.tasks[name].inputs.items():
            if not isinstance(spec, Noise) and not (isinstance(spec, Label) and not spec.shape):
                return _unfit(name, plan, f"the input {key!r} is neither noise nor a label")
        return ""


class _Autoregressive(Rules[Autoregressive]):
    """Autoregressive generation of text of any length."""

    options = ("temperature", "top_k", "top_p", "prompt", "length")

    def tokens(self, value: Autoregressive) -> Autoregressive:
        return value

    def calls(self, plan: Plan) -> int:
        return math.prod(plan.sample.x.shape)

    def own_inputs(self, plan: Plan, task: str) -> set[str]:
        return {"token", *plan.states()}

    def problem(self, plan: Plan) -> str:
        assert plan.tokens is not None
        if plan.tokens.shape or not isinstance(plan.sample.x, Text):
            return (
                "autoregressive generation is of text, and has no shape; a grid of tokens is the first part of a chain"
            )
        return _steps(plan, plan.sample.x.classes)


class _Chain(Rules[Chain]):
    options = ("temperature", "top_k", "top_p")

    def tokens(self, value: Chain) -> Autoregressive:
        return value.tokens

    def gives(self, plan: Plan) -> Spec:
        return next(iter(plan.tasks[plan.value.task].outputs.values()))

    def calls(self, plan: Plan) -> int:
        assert plan.tokens is not None
        return math.prod(plan.tokens.shape) + 1

    def own_inputs(self, plan: Plan, task: str) -> set[str]:
        assert plan.tokens is not None
        return {"token", *plan.states()} if task == plan.tokens.task else {plan.grid}

    def problem(self, plan: Plan) -> str:
        assert plan.tokens is not None
        name, shape = plan.value.task, plan.tokens.shape
        if not shape or min(shape) < 1 or math.prod(shape) > LONGEST:
            return f"the tokens of generation have the shape {str(list(shape))[:80]}, which is not usable"
        if name == plan.tokens.task or plan.gives.kind != plan.sample.x.kind:
            return _unfit(name, plan, f"it gives no {plan.sample.x.kind}")
        grid, token = plan.tasks[name].inputs[plan.grid], plan.tasks[plan.tokens.task].inputs.get("token")
        if not isinstance(token, Label) or grid != Label(token.classes, shape):
            return _unfit(name, plan, "its first input is not the grid of tokens")
        return _steps(plan, None) or _others(name, plan, {plan.grid}, Noise)


class _Iterative(Rules[Iterative]):
    options = ("steps", "eta")

    def calls(self, plan: Plan) -> int:
        assert isinstance(plan.value, Iterative)
        return plan.value.steps

    def own_inputs(self, plan: Plan, task: str) -> set[str]:
        return {"time"}

    def problem(self, plan: Plan) -> str:
        assert isinstance(plan.value, Iterative)
        name, alphas = plan.value.task, plan.value.alphas
        if not 1 <= plan.value.steps <= len(alphas) <= LONGEST or not 0 <= plan.value.eta <= 1:
            return "generation has steps that are not 1 to as many as its alphas, or an eta that is not 0 to 1"
        falling = all(later < earlier for earlier, later in itertools.pairwise(alphas))
        if not falling or not LEAST <= alphas[-1] <= alphas[0] <= MOST:
            return f"the alphas of generation do not fall, or are not between {LEAST:g} and {MOST:g}"
        if not isinstance(plan.sample.x, (Image, LogMel)):
            return f"iterative generation is of images and spectrograms, and this is {plan.sample.x.kind}"
        form, x = plan.tasks[name], Vector(plan.sample.x.shape)
        if form.inputs.get("x") != x or form.inputs.get("time") != Label(len(alphas)) or form.outputs.get("noise") != x:
            wanted = f"it takes x, of shape {list(x.shape)}, and time, of {len(alphas)}, and gives noise"
            return _unfit(name, plan, wanted)
        return _others(name, plan, {"x", "time"})


RULES: Mapping[str, Rules[Any]] = {
    OneShot.kind: _OneShot(),
    Autoregressive.kind: _Autoregressive(),
    Chain.kind: _Chain(),
    Iterative.kind: _Iterative(),
}
"""The rules by kind of generation. ``zoo.sampling.generation.GENERATORS`` has the generators of each kind, and
``zoo_export.generate_graph.BODIES`` their graphs."""


def _unfit(name: str, plan: Plan, why: str = "") -> str:
    return f"task {name!r} is not of the form that {plan.value.kind} generation needs{why and ': '}{why}"


def _steps(plan: Plan, classes: int | None) -> str:
    """Check that the token's task maps a token and states to logits and the next states."""
    assert plan.tokens is not None
    name = plan.tokens.task
    form = plan.tasks[name]
    token, logits = form.inputs.get("token"), form.outputs.get("logits")
    if not (isinstance(token, Label) and isinstance(logits, Vector) and token.shape == ()):
        return _unfit(name, plan, "it takes no token, or gives no logits")
    if logits != Vector((token.classes,)) or classes not in (None, token.classes):
        return _unfit(name, plan, "it has another number of classes")
    if any(spec != form.outputs[f"next_{key}"] for key, spec in plan.states().items()):
        return _unfit(name, plan, "a state changes its form")
    return _others(name, plan, {"token", *plan.states()})


def _others(name: str, plan: Plan, known: set[str], *kinds: type[Spec]) -> str:
    """Check the remaining inputs: each is of one of these kinds, or is one class a sample.

    Class inputs of one name must have the same number of classes.
    """
    classes = plan.labels()
    for key, spec in plan.tasks[name].inputs.items():
        if key not in known and not isinstance(spec, kinds) and (spec != classes.get(key) or spec.shape):
            return _unfit(name, plan, f"the input {key!r} is neither {' nor '.join(['drawn', 'a label', 'a state'])}")
    return ""
