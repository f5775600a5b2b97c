"""A generation with its tasks: what it needs of them, what it takes from people, and what it gives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

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
    "temperature": "models that pick tokens",
    "top_k": "models that pick tokens",
    "top_p": "models that pick tokens",
    "steps": "models that turn noise into a sample step by step",
    "eta": "models that turn noise into a sample step by step",
}
"""What may be asked of a generation beside a seed, and of which."""

LEAST, MOST = 1e-12, 1 - 1e-6
"""Between these lie all ᾱ, so that float32 can divide by √ᾱ and √(1 − ᾱ)."""


class Form(Protocol):
    """What a task takes and gives; its method does not matter here."""

    @property
    def inputs(self) -> Mapping[str, Spec]: ...
    @property
    def outputs(self) -> Mapping[str, Spec]: ...


@dataclass(frozen=True)
class Plan:
    """How samples of a form are generated, by which tasks."""

    value: Generation
    tasks: Mapping[str, Form]
    sample: Sample

    @property
    def tokens(self) -> Autoregressive | None:
        """The part that goes token by token, where there is one."""
        if isinstance(self.value, Chain):
            return self.value.tokens
        return self.value if isinstance(self.value, Autoregressive) else None

    @cached_property
    def uses(self) -> tuple[str, ...]:
        """The names of the tasks that it calls, in that order."""
        return tuple(dict.fromkeys((*([self.tokens.task] if self.tokens else []), self.value.task)))

    @property
    def gives(self) -> Spec:
        """The form of what it gives."""
        if isinstance(self.value, (OneShot, Chain)):
            return next(iter(self.tasks[self.value.task].outputs.values()))
        return self.sample.x

    @cached_property
    def options(self) -> frozenset[str]:
        """The names of those of ``OPTIONS`` that it can follow."""
        names = ["label"] if self.labels() else []
        if self.tokens is not None:
            names += ["temperature", "top_k", "top_p", *(["prompt", "length"] if not self.tokens.shape else [])]
        if isinstance(self.value, Iterative):
            names += ["steps", "eta"]
        return frozenset(names)

    @property
    def calls(self) -> int:
        """How many calls of a task a sample takes."""
        if isinstance(self.value, Iterative):
            return self.value.steps
        return 1 if self.tokens is None else math.prod(self.tokens.shape or self.sample.x.shape) + len(self.uses) - 1

    @property
    def words(self) -> str:
        """The tasks that it calls, how often, and what may be asked of it: ``"step × 64 → decode; label, top_k"``."""
        many = "" if self.calls == 1 else f" × {self.calls - len(self.uses) + 1}"
        asked = [name for name in OPTIONS if name in self.options]
        return f"{' → '.join([self.uses[0] + many, *self.uses[1:]])}{'; ' if asked else ''}{', '.join(asked)}"

    def states(self) -> dict[str, Spec]:
        """The inputs that the token's task hands on to itself: each X for which it gives a next_X."""
        assert self.tokens is not None
        form = self.tasks[self.tokens.task]
        return {name: spec for name, spec in form.inputs.items() if f"next_{name}" in form.outputs}

    def labels(self, task: str = "") -> dict[str, Label]:
        """The inputs that are a class of the sample, of one of its tasks, or of all of them."""
        if not task:
            return {name: spec for used in self.uses for name, spec in self.labels(used).items()}
        inputs = self.tasks[task].inputs
        own: set[str] = set()
        if self.tokens is not None and task == self.tokens.task:
            own = {"token", *self.states()}
        elif isinstance(self.value, Chain):
            own = {self.grid}
        elif isinstance(self.value, Iterative):
            own = {"time"}
        return {name: spec for name, spec in inputs.items() if isinstance(spec, Label) and name not in own}

    @property
    def grid(self) -> str:
        """The input of a chain's last task that takes the tokens."""
        return next(iter(self.tasks[self.value.task].inputs))

    def problem(self) -> str:
        """Why the tasks do not fit the generation, in words; empty where they do."""
        for name in self.uses:
            if name not in self.tasks:
                return f"generation uses task {name!r}, which is not there"
        checks = {OneShot: _one_shot, Autoregressive: _text, Chain: _chain, Iterative: _iterative}
        return checks[type(self.value)](self)


def _unfit(name: str, plan: Plan, why: str = "") -> str:
    return f"task {name!r} is not of the form that {plan.value.kind} generation needs{why and ': '}{why}"


def _one_shot(plan: Plan) -> str:
    name = plan.value.task
    if plan.gives.kind != plan.sample.x.kind:
        return _unfit(name, plan, f"its first output is {plan.gives.kind}, and the data is {plan.sample.x.kind}")
    for key, spec in plan.tasks[name].inputs.items():
        if not isinstance(spec, Noise) and not (isinstance(spec, Label) and not spec.shape):
            return _unfit(name, plan, f"the input {key!r} is neither noise nor a label")
    return ""


def _text(plan: Plan) -> str:
    assert plan.tokens is not None
    if plan.tokens.shape or not isinstance(plan.sample.x, Text):
        return "autoregressive generation is of text, and has no shape; a grid of tokens is the first part of a chain"
    return _steps(plan, plan.sample.x.classes)


def _steps(plan: Plan, classes: int | None) -> str:
    """A task that makes logits and the next states of a token and states."""
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
    """The inputs beside the known ones are of these kinds, or one class a sample, of one number of classes."""
    classes = plan.labels()
    for key, spec in plan.tasks[name].inputs.items():
        if key not in known and not isinstance(spec, kinds) and (spec != classes.get(key) or spec.shape):
            return _unfit(name, plan, f"the input {key!r} is neither {' nor '.join(['drawn', 'a label', 'a state'])}")
    return ""


def _chain(plan: Plan) -> str:
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


def _iterative(plan: Plan) -> str:
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
        return _unfit(name, plan, f"it takes x, of shape {list(x.shape)}, and time, of {len(alphas)}, and gives noise")
    return _others(name, plan, {"x", "time"})
