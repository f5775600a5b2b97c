"""Runs a generation on any backend: draws the noise, calls the tasks, gives the samples of (seed, index)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import OPTIONS, Form, Plan
from zoo.contract.specs import Chain, Image, Iterative, Label, Noise, OneShot, Text
from zoo.core import memory, philox
from zoo.core.arguments import check_count, is_integer
from zoo.core.errors import SettingError
from zoo.media.convert import from_batch, join, text_to_ids, to_batch
from zoo.sampling import autoregressive
from zoo.sampling.autoregressive import ALL, Picking, Run
from zoo.sampling.ddim import iterate

Array = NDArray[Any]
Labels = int | Sequence[int] | NDArray[np.integer[Any]]
"""A class for all items, or one for each."""

MOST_ROWS = 64
"""The largest batch that is run at once; a larger one gains nothing."""

MOST_ELEMENTS = 20_000_000
"""Numbers that a task's inputs and outputs may have at once, of all samples together: 80 MB of float32."""

PART = 10**9
"""Bytes of samples in one of the parts that are proposed where all are too many."""


def rows(*forms: Form) -> int:
    """How many samples tasks are run on at once, so that they fit in memory. It changes no sample."""
    size = max(sum(math.prod(spec.shape) for spec in (*form.inputs.values(), *form.outputs.values())) for form in forms)
    return max(1, min(MOST_ROWS, MOST_ELEMENTS // size))


def check_memory(plan: Plan, n: int, characters: int = 0) -> None:
    """Raise :class:`SettingError` where `n` samples take more memory than there is; `characters` are those of a text.

    What is kept until all are made: samples as people want them, twice while they are joined; texts as tokens.
    """
    if isinstance(plan.sample.x, Text):
        each = 9 * (characters or plan.sample.x.length)
        most = 24 * min(n, MOST_ROWS) * each // 9  # of those that are being written
    else:
        each = 8 + 2 * math.prod(plan.gives.shape) * (1 if isinstance(plan.gives, Image) else 4)
        most = 0
    if each > PART:
        what, instead = (
            f"length = {characters:,}: so many characters",
            "Set a smaller length, and go on from its end: prompt.",
        )
    else:
        part, ending = 10 ** int(math.log10(PART / each)), "txt" if isinstance(plan.sample.x, Text) else "npy"
        what = f"n = {n:,} samples"
        instead = (
            f"Write them in parts: zoo generate … -n {part} --first 0 -o 0.{ending}, then --first {part} "
            f"-o {part}.{ending}, and so on; in Python n={part}, first={part}."
        )
    memory.check(n * each + most, what, instead)


def generate(
    run: Run,
    plan: Plan,
    *,
    n: int,
    seed: int,
    first: int = 0,
    label: int | Sequence[int] | None = None,
    prompt: str = "",
    length: int | None = None,
    picking: Picking = ALL,
    steps: int | None = None,
    eta: float | None = None,
) -> Any:
    """The samples `first` … `first` + `n` − 1 of a seed, for people (see :func:`zoo.media.convert.from_batch`).

    Raises :class:`SettingError` for an option that the model cannot follow.
    """
    seed, first, n = philox.checked(seed, first, n)
    _check(
        plan,
        label=label,
        prompt=None if prompt == "" else prompt,
        length=length,
        steps=steps,
        eta=eta,
        **_changed(picking),
    )
    given = None
    if isinstance(plan.sample.x, Text) and plan.tokens is not None:
        if not isinstance(prompt, str):
            raise SettingError(f"prompt = {prompt!r} is not text.")
        if length is not None:
            check_count("length", length, 1)
        begun = text_to_ids(prompt, plan.sample.x)
        check_memory(plan, n, len(begun) + (length or plan.sample.x.length))
        given = autoregressive.prompted(begun, n, len(begun) + (length or plan.sample.x.length))
    else:
        check_memory(plan, n)
    labels = None if label is None else labels_of(label, n)
    indices, size = np.arange(first, first + n, dtype=np.int64), rows(*(plan.tasks[name] for name in plan.uses))
    parts = []
    for start in range(0, n, size):
        here = slice(start, min(start + size, n))
        classes = labels_for(plan, indices[here], None if labels is None else labels[here])
        if isinstance(plan.value, OneShot):
            made = one_shot(run, plan, indices[here], seed, classes)
        elif isinstance(plan.value, Iterative):
            made = iterate(run, plan, indices[here], seed, classes, steps, eta)
        elif isinstance(plan.value, Chain):
            _, made = chain(run, plan, indices[here], seed, classes, picking=picking)
        else:
            assert given is not None
            made = autoregressive.autoregress(run, plan, indices[here], seed, classes, given[here], picking)
        parts.append(from_batch(made, plan.gives if given is None else plan.sample.x))
    return join(parts)


def _changed(picking: Picking) -> dict[str, float]:
    """What of a way to pick is not as usual, by name."""
    return {name: value for name, value in vars(picking).items() if value != getattr(ALL, name)}


def _check(plan: Plan, **asked: Any) -> None:
    """Raise :class:`SettingError` for what is asked, and not None, of a model that cannot follow it."""
    for name, value in asked.items():
        if value is not None and name not in plan.options:
            raise SettingError(f"{name} = {value!r} is for {OPTIONS[name]}, and this is none. Leave it out.")


def labels_of(label: Labels, n: int) -> NDArray[np.int64]:
    """The label of each of `n` items, int64 (n,): one for all, or one an item; of any class."""
    try:
        found = np.full(n, label) if is_integer(label) else np.asarray(label)
    except ValueError:
        found = np.asarray(None)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
        raise SettingError(f"label = {label!r} is not an integer, nor a list of them.")
    if len(found) != n:
        raise SettingError(f"There are {len(found)} labels for {n} samples: give one, or one a sample.")
    return found.astype(np.int64)


def labels_in(form: Form) -> dict[str, Label]:
    """The inputs of a task that are one class an item."""
    return {name: spec for name, spec in form.inputs.items() if isinstance(spec, Label) and not spec.shape}


def labelled(
    specs: Mapping[str, Label],
    n: int,
    label: Labels | None,
    indices: NDArray[np.int64] | None = None,
) -> dict[str, Array]:
    """The class of each of `n` items, for each input that is one: `label`, one or one an item, or index % classes.

    Raises :class:`SettingError` for a label where there is no such input, and for none where there are no indices.
    """
    if label is not None and not specs:
        raise SettingError(f"label = {label!r} is for {OPTIONS['label']}, and this is none. Leave it out.")
    if label is not None:
        return {name: to_batch(labels_of(label, n), spec, "label") for name, spec in specs.items()}
    if indices is None and specs:
        most = min(spec.classes for spec in specs.values()) - 1
        raise SettingError(f"This model is told the class of what it is given. Say it: label, from 0 to {most}.")
    return {name: indices % spec.classes for name, spec in specs.items() if indices is not None}


def labels_for(plan: Plan, indices: NDArray[np.int64], label: Labels | None = None) -> dict[str, Array]:
    """The class of each sample, for each input that is one: what was asked for, or index % classes."""
    return labelled(plan.labels(), len(indices), label, indices)


def one_shot(run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, given: Mapping[str, Array]) -> Array:
    """The samples at `indices`, as the last task gives them: its inputs are given, or noise drawn in turn.

    The k-th noise is stream k; after tokens, which are stream 0, stream k + 1.
    """
    task = plan.tasks[plan.value.task]
    drawn = {name: spec for name, spec in task.inputs.items() if isinstance(spec, Noise)}
    kinds = [(spec.distribution, spec.shape) for spec in drawn.values()]
    made = philox.draws(kinds, seed, indices, 0 if plan.tokens is None else 1) if kinds else []
    feeds = {name: given[name] for name in task.inputs if name not in drawn} | dict(zip(drawn, made, strict=True))
    return run(plan.value.task, feeds)[next(iter(task.outputs))]


def chain(
    run: Run,
    plan: Plan,
    indices: NDArray[np.int64],
    seed: int,
    labels: Mapping[str, Array],
    *,
    given: NDArray[np.int64] | None = None,
    picking: Picking = ALL,
) -> tuple[NDArray[np.int64], Array]:
    """The tokens, int64 (n, *grid), and the samples that the last task makes of them.

    Of the tokens that are `given`, in that form, those that are :data:`zoo.sampling.autoregressive.FREE` are picked;
    None: all.
    """
    assert plan.tokens is not None
    total, count = math.prod(plan.tokens.shape), len(indices)
    free = (
        autoregressive.prompted(np.zeros(0, np.int64), count, total) if given is None else given.reshape(count, total)
    )
    grid = autoregressive.autoregress(run, plan, indices, seed, labels, free, picking).reshape(
        count, *plan.tokens.shape
    )
    return grid, one_shot(run, plan, indices, seed, {**labels, plan.grid: grid})
