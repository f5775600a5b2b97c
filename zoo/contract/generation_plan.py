"""What follows from a generation and its tasks: the role of each input, the options, and whether they fit together."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeVar

from zoo.contract.generation import DDIM, Autoregressive, Chain, Generation, Iterative, Loop
from zoo.contract.options import GRAPH, LENGTH, PROMPT, STEPS, TAKEN, TOKENS, Option
from zoo.contract.specs import (
    LONGEST,
    Image,
    Label,
    LogMel,
    Noise,
    Number,
    Sample,
    SampleSpec,
    Spec,
    Text,
    Vector,
)

Role = Literal["noise", "label", "number", "given", "state", "own", ""]
"""What an input of a task is to generation: "own" is one that a loop fills, and "" is none that generation has."""

LEAST, MOST = 1e-12, 1 - 1e-6
"""The range of ᾱ in which float32 can divide by √ᾱ and √(1 − ᾱ)."""

POINT = Vector(())
"""The form of ``time`` and ``until``."""


class Form(Protocol):
    """The inputs and outputs of a task, without its method."""

    @property
    def inputs(self) -> Mapping[str, Spec]: ...
    @property
    def outputs(self) -> Mapping[str, Spec]: ...


@dataclass(frozen=True)
class Plan:
    """A generation, its tasks and the form of the samples: an optional loop, and then an optional last task."""

    value: Generation
    tasks: Mapping[str, Form]
    sample: Sample

    @property
    def loop(self) -> Loop | None:
        """The part that calls its task many times, or None."""
        value = self.value.first if isinstance(self.value, Chain) else self.value
        return value if isinstance(value, Loop) else None

    @property
    def last(self) -> str:
        """The task that is called once, at the end; "" if a loop makes the samples."""
        return "" if isinstance(self.value, Loop) else self.value.task

    @property
    def tokens(self) -> Autoregressive | None:
        """The loop, if it samples tokens; else None."""
        return self.loop if isinstance(self.loop, Autoregressive) else None

    @property
    def _rules(self) -> _Rules[Any]:
        assert self.loop is not None
        return LOOPS[self.loop.kind]

    @cached_property
    def uses(self) -> tuple[str, ...]:
        """The names of the tasks that generation calls, in order."""
        return tuple(dict.fromkeys(name for name in (self.loop.task if self.loop else "", self.last) if name))

    @property
    def gives(self) -> Spec:
        """The form of a generated sample."""
        return next(iter(self.tasks[self.last].outputs.values())) if self.last else self._rules.gives(self)

    @property
    def made(self) -> str:
        """The input of a chain's last task that takes what the loop made."""
        return next(iter(self.tasks[self.last].inputs))

    @property
    def calls(self) -> int:
        """The number of task calls for one sample."""
        return (self._rules.calls(self) if self.loop else 0) + bool(self.last)

    def role(self, task: str, name: str) -> Role:
        """What an input of a task is."""
        form = self.tasks[task]
        spec, looped = form.inputs[name], self.loop is not None and task == self.loop.task
        if looped and name in self._rules.own_inputs:
            return "own"
        if looped and f"next_{name}" in form.outputs:
            return "state"
        if self.loop is not None and task == self.last and name == self.made:
            return "own"
        if isinstance(spec, Noise):
            return "noise"
        if isinstance(spec, Label):
            return "given" if spec.shape else "label"
        if isinstance(spec, Number):
            return "number"
        return "given" if isinstance(spec, SampleSpec) else ""

    def inputs(self, *roles: Role, task: str = "") -> dict[str, Spec]:
        """The inputs that have one of these roles, of one task, or of all if `task` is empty."""
        return {
            name: spec
            for used in ((task,) if task else self.uses)
            for name, spec in self.tasks[used].inputs.items()
            if self.role(used, name) in roles
        }

    def states(self) -> dict[str, Spec]:
        """The states of the loop's task."""
        assert self.loop is not None
        return self.inputs("state", task=self.loop.task)

    def schedule(self, task: str) -> tuple[float, ...]:
        """The points that ``time`` and ``until`` of a task come from; () for a task that takes none."""
        return self.loop.schedule if isinstance(self.loop, Iterative) and task == self.loop.task else ()

    def asked(self, task: str = "") -> dict[str, Spec]:
        """The inputs that users may set: given ones, labels and numbers. One sample has one value of each."""
        return self.inputs("given", "label", "number", task=task)

    def labels(self, task: str = "") -> dict[str, Label]:
        """The inputs that take the class of the sample, for one task, or for all tasks if `task` is empty."""
        return self.inputs("label", task=task)  # type: ignore[return-value]

    def given(self) -> dict[str, str]:
        """The inputs that users have to give, and the field of the data that each is like; "" if there is none."""
        return {name: self._field(name, spec) for name, spec in self.inputs("given").items()}

    def _field(self, name: str, spec: Spec) -> str:
        if self.sample.fields.get(name) == spec:
            return name
        return "x" if spec == self.sample.x else ""

    def streams(self, task: str) -> dict[str, int]:
        """The stream of random numbers of each noise input of a task, states that start as noise included."""
        stream = self._rules.streams if self.loop else 0
        for used in self.uses:
            found = {}
            for name, spec in self.tasks[used].inputs.items():
                if isinstance(spec, Noise) and self.role(used, name) in ("noise", "state"):
                    found[name], stream = stream, stream + 1
            if used == task:
                return found
        raise KeyError(task)

    @cached_property
    def options(self) -> Mapping[str, Option]:
        """What users may ask, by name: inputs of the tasks first, then what the loop takes."""
        found = []
        for name, spec in self.asked().items():
            if isinstance(spec, Number):
                found.append(Option(name, "number", spec, spec.default, spec.help, each=True))
            elif name in self.labels():
                found.append(Option(name, "label", spec, each=True))
            else:
                found.append(Option(name, "given", spec, each=True))
        return {option.name: option for option in (*found, *self.of_loop.values())}

    @cached_property
    def of_loop(self) -> Mapping[str, Option]:
        """What users may ask of the loop, by name."""
        return {option.name: option for option in (self._rules.options(self) if self.loop is not None else ())}

    @property
    def _in_graph(self) -> tuple[str, ...]:
        """The inputs and outputs of the generation's graph that are not its tasks'."""
        return (*GRAPH, *self.of_loop, *(("tokens",) if self.tokens is not None and self.last else ()))

    @property
    def description(self) -> str:
        """The tasks, the number of calls and the options as text: ``"step × 64 → decode; label, top_k"``."""
        many = "" if self.calls == 1 else f" × {self.calls - len(self.uses) + 1}"
        tasks = " → ".join([self.uses[0] + many, *self.uses[1:]])
        return f"{tasks}{'; ' if self.options else ''}{', '.join(self.options)}"

    def problem(self) -> str:
        """Return why the tasks do not fit the generation, or ``""`` if they fit."""
        if not self.uses:
            return "generation uses no task"
        for name in self.uses:
            if name not in self.tasks:
                return f"generation uses task {name!r}, which is not there"
        return next(filter(None, self._problems()), "")

    def _problems(self) -> Iterator[str]:
        if self.loop is not None:
            yield self._rules.problem(self)
        if self.loop is not None and self.last:
            if self.last == self.loop.task:
                yield self.unfit(self.last, "it is the loop's own")
            yield self._rules.problem_of_made(self)
        if self.gives.kind != self.sample.x.kind:
            yield self.unfit(self.uses[-1], f"it gives {self.gives.kind}, and the data is {self.sample.x.kind}")
        seen: dict[str, Spec] = {}
        for task in self.uses:
            for name in self.tasks[task].outputs:
                if name in self._in_graph:
                    yield self.unfit(task, f"the output {name!r} has a name that generation needs. Choose another")
            for name, spec in self.tasks[task].inputs.items():
                yield self._problem_of_input(task, name, spec, seen)

    def _problem_of_input(self, task: str, name: str, spec: Spec, seen: dict[str, Spec]) -> str:
        role = self.role(task, name)
        if not role:
            state = ", a state" if self.loop is not None and task == self.loop.task else ""
            what = f"neither noise, a label, a number{state} nor what a user can give"
            return self.unfit(task, f"the input {name!r} is {spec.kind}, {what}")
        asked = role in ("given", "label", "number")
        if role != "own" and name in (*self._in_graph, *(TAKEN if asked else ())):
            return self.unfit(task, f"the input {name!r} has a name that generation needs. Choose another")
        if asked and seen.setdefault(name, spec) != spec:
            return self.unfit(
                task, f"the input {name!r} is {_shown(spec)} here, and {_shown(seen[name])} in another task"
            )
        if role == "given" and not self._field(name, spec):
            there = ", ".join(
                f"{key} ({_shown(form)})" for key, form in (("x", self.sample.x), *self.sample.fields.items())
            )
            return self.unfit(
                task,
                f"the input {name!r} ({_shown(spec)}) is given by the user, and is like no field of the data, which "
                f"has {there}. Give it the name and the form of a field, or the form of x",
            )
        return ""

    def unfit(self, task: str, why: str) -> str:
        """The problem of a task of generation."""
        return f"task {task!r} is not of the form that {self.value.kind} generation needs: {why}"


L = TypeVar("L", bound=Loop)


class _Rules(ABC, Generic[L]):
    """The rules of one kind of loop."""

    own_inputs: tuple[str, ...] = ()
    """The inputs of the loop's task that the loop fills."""
    streams: int = 0
    """Streams of random numbers that the loop itself uses."""

    @abstractmethod
    def options(self, plan: Plan) -> tuple[Option, ...]:
        """Return what users may ask of the loop."""

    @abstractmethod
    def gives(self, plan: Plan) -> Spec:
        """Return the form of a sample that the loop alone makes."""

    @abstractmethod
    def calls(self, plan: Plan) -> int:
        """Return the number of calls of the loop's task for a sample."""

    @abstractmethod
    def problem(self, plan: Plan) -> str:
        """Return why the loop's task does not fit, or ``""``."""

    def problem_of_made(self, plan: Plan) -> str:
        """Return why a chain's last task does not take what the loop makes, or ``""``."""
        return ""


class _Tokens(_Rules[Autoregressive]):
    own_inputs, streams = ("token",), 1

    def options(self, plan: Plan) -> tuple[Option, ...]:
        text = plan.sample.x
        return (
            TOKENS
            if not isinstance(text, Text) or plan.last
            else (*TOKENS, PROMPT, replace(LENGTH, default=text.length))
        )

    def gives(self, plan: Plan) -> Spec:
        return plan.sample.x

    def calls(self, plan: Plan) -> int:
        assert plan.tokens is not None
        return math.prod(plan.tokens.shape if plan.last else plan.sample.x.shape)

    def problem(self, plan: Plan) -> str:
        assert plan.tokens is not None
        shape, text = plan.tokens.shape, plan.sample.x
        if not plan.last and (shape or not isinstance(text, Text)):
            return (
                "autoregressive generation is of text, and has no shape; a grid of tokens is the first part of a chain"
            )
        if plan.last and (not shape or min(shape) < 1 or math.prod(shape) > LONGEST):
            return f"the tokens of generation have the shape {str(list(shape))[:80]}, which is not usable"
        name = plan.tokens.task
        form = plan.tasks[name]
        token, logits = form.inputs.get("token"), form.outputs.get("logits")
        if not (isinstance(token, Label) and isinstance(logits, Vector) and token.shape == ()):
            return plan.unfit(name, "it takes no token, or gives no logits")
        if logits != Vector((token.classes,)) or (
            isinstance(text, Text) and not plan.last and text.classes != token.classes
        ):
            return plan.unfit(name, "it has another number of classes")
        return _problem_of_states(plan, name)

    def problem_of_made(self, plan: Plan) -> str:
        assert plan.tokens is not None
        grid, token = plan.tasks[plan.last].inputs[plan.made], plan.tasks[plan.tokens.task].inputs.get("token")
        fits = isinstance(token, Label) and grid == Label(token.classes, plan.tokens.shape)
        return "" if fits else plan.unfit(plan.last, "its first input is not the grid of tokens")


class _Iterative(_Rules[Iterative]):
    own_inputs = ("time", "until")

    def options(self, plan: Plan) -> tuple[Option, ...]:
        assert isinstance(plan.loop, Iterative)
        return (_steps(plan.loop.steps, len(plan.loop.schedule) - 1),)

    def gives(self, plan: Plan) -> Spec:
        return plan.tasks[plan.uses[0]].outputs[sample_output(plan)]

    def calls(self, plan: Plan) -> int:
        assert isinstance(plan.loop, Iterative)
        return plan.loop.steps

    def problem(self, plan: Plan) -> str:
        assert isinstance(plan.loop, Iterative)
        name, points, most = plan.loop.task, plan.loop.schedule, len(plan.loop.schedule) - 1
        if not 1 <= most <= LONGEST:
            return f"the schedule of generation must have 2 to {LONGEST + 1:,} points, and it has {most + 1:,}"
        if not 1 <= plan.loop.steps <= most:
            return f"generation has {plan.loop.steps} steps, and its schedule of {most + 1} points allows 1 to {most}"
        if not all(abs(point) < 1e30 for point in points):
            return "the schedule of generation has a point that is not finite"
        form = plan.tasks[name]
        for key in ("time", "until"):
            spec = form.inputs.get(key)
            if spec is None and key == "time":
                return plan.unfit(name, "it takes no time, a zoo.Vector(()): where in the schedule a step starts")
            if spec not in (None, POINT):
                return plan.unfit(
                    name, f"its {key} is {_shown(spec)}, and must be a zoo.Vector(()), a point of the schedule"
                )
        if not plan.states():
            return plan.unfit(name, "it has no state: no input X with an output next_X")
        return _problem_of_states(plan, name)

    def problem_of_made(self, plan: Plan) -> str:
        taken, state = plan.tasks[plan.last].inputs[plan.made], next(iter(plan.states().values()))
        fits = (taken.shape, taken.dtype) == (state.shape, state.dtype)
        return (
            "" if fits else plan.unfit(plan.last, f"its first input {plan.made!r} has not the form of the first state")
        )


class _DDIM(_Rules[DDIM]):
    own_inputs, streams = ("x", "time"), 2

    def options(self, plan: Plan) -> tuple[Option, ...]:
        assert isinstance(plan.loop, DDIM)
        help = "noise added in each step: 0 is none (DDIM), 1 is that of DDPM"
        return _steps(plan.loop.steps, len(plan.loop.alphas)), Option(
            "eta", "number", Number(plan.loop.eta, ge=0, le=1), plan.loop.eta, help
        )

    def gives(self, plan: Plan) -> Spec:
        return plan.sample.x

    def calls(self, plan: Plan) -> int:
        assert isinstance(plan.loop, DDIM)
        return plan.loop.steps

    def problem(self, plan: Plan) -> str:
        assert isinstance(plan.loop, DDIM)
        name, alphas = plan.loop.task, plan.loop.alphas
        if not 1 <= plan.loop.steps <= len(alphas) <= LONGEST or not 0 <= plan.loop.eta <= 1:
            return "generation has steps that are not 1 to as many as its alphas, or an eta that is not 0 to 1"
        falling = all(later < earlier for earlier, later in itertools.pairwise(alphas))
        if not falling or not LEAST <= alphas[-1] <= alphas[0] <= MOST:
            return f"the alphas of generation do not fall, or are not between {LEAST:g} and {MOST:g}"
        if not isinstance(plan.sample.x, (Image, LogMel)):
            return f"ddim generation is of images and spectrograms, and this is {plan.sample.x.kind}"
        form, x = plan.tasks[name], Vector(plan.sample.x.shape)
        if form.inputs.get("x") != x or form.inputs.get("time") != Label(len(alphas)) or form.outputs.get("noise") != x:
            return plan.unfit(
                name, f"it takes x, of shape {list(x.shape)}, and time, of {len(alphas)}, and gives noise"
            )
        return ""


LOOPS: Mapping[str, _Rules[Any]] = {
    Autoregressive.kind: _Tokens(),
    Iterative.kind: _Iterative(),
    DDIM.kind: _DDIM(),
}
"""The rules by kind of loop. ``zoo.sampling.generation.LOOPS`` has the samplers of each kind, and
``zoo_export.generate_graph.LOOPS`` their graphs."""


def sample_output(plan: Plan) -> str:
    """The output of an iterative loop's task that is the sample: the first that is no state, or the first state."""
    states = plan.states()
    outputs = plan.tasks[plan.uses[0]].outputs
    others = [name for name in outputs if name.removeprefix("next_") not in states or not name.startswith("next_")]
    return others[0] if others else f"next_{next(iter(states))}"


def _steps(usual: int, most: int) -> Option:
    return replace(STEPS, default=usual, most=most)


def _shown(spec: Spec) -> str:
    """A spec as in a plugin: ``zoo.Image(channels=1, height=8, width=8)``."""
    text = f"zoo.{spec!r}"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _problem_of_states(plan: Plan, task: str) -> str:
    form = plan.tasks[task]
    for name, spec in plan.states().items():
        after = form.outputs[f"next_{name}"]
        if (spec.shape, spec.dtype) != (after.shape, after.dtype):
            return plan.unfit(
                task, f"the state {name!r} changes its form, from {list(spec.shape)} to {list(after.shape)}"
            )
        if isinstance(spec, Label) and spec != after:
            return plan.unfit(task, f"the state {name!r} changes its number of classes")
    return ""
