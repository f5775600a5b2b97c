"""Generation on any backend: draw the noise, run the tasks, return the samples of (seed, index)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import OPTIONS, Form, Plan
from zoo.contract.specs import Autoregressive, Chain, Iterative, Label, Noise, OneShot, Text
from zoo.core import memory, philox
from zoo.core.arguments import check_count, is_integer
from zoo.core.errors import SettingError
from zoo.media import kinds
from zoo.media.convert import from_batch, join, to_batch
from zoo.media.kinds import text_to_ids
from zoo.sampling import autoregressive
from zoo.sampling.autoregressive import ALL, Run, SamplingParams
from zoo.sampling.ddim import iterate

Array = NDArray[Any]
Labels = int | Sequence[int] | NDArray[np.integer[Any]]
"""One class for all items, or one per item."""

MOST_ROWS = 64
"""The largest batch that is run at once; larger batches are not faster."""

MOST_ELEMENTS = 20_000_000
"""The maximum number of elements of a task's inputs and outputs in one batch: 80 MB of float32."""

PART = 10**9
"""Bytes per chunk of samples that the error of :func:`check_memory` suggests."""


def rows(*forms: Form) -> int:
    """The batch size at which tasks of these forms fit in memory. Samples do not depend on it."""
    size = max(sum(math.prod(spec.shape) for spec in (*form.inputs.values(), *form.outputs.values())) for form in forms)
    return max(1, min(MOST_ROWS, MOST_ELEMENTS // size))


def check_memory(plan: Plan, n: int, characters: int = 0) -> None:
    """Raise :class:`SettingError` if `n` samples exceed the memory; `characters` is the length of each text.

    The estimate counts the converted samples, twice while they are concatenated, or the tokens of texts.
    """
    if isinstance(plan.sample.x, Text):
        each = 9 * (characters or plan.sample.x.length)
        most = 24 * min(n, MOST_ROWS) * each // 9  # of the texts in the current batch
    else:
        each = 8 + 2 * math.prod(plan.gives.shape) * (1 if kinds.of(plan.gives).pixels else 4)
        most = 0
    if each > PART:
        what, instead = (
            f"length = {characters:,}: so many characters",
            "Set a smaller length, and continue the text by prompt.",
        )
    else:
        part, ending = 10 ** int(math.log10(PART / each)), "txt" if isinstance(plan.sample.x, Text) else "npy"
        what = f"n = {n:,} samples"
        instead = (
            f"Generate them in chunks: zoo generate … -n {part} --first 0 -o 0.{ending}, then --first {part} "
            f"-o {part}.{ending}, and so on; in Python n={part}, first={part}."
        )
    memory.check(n * each + most, what, instead)


@dataclass(frozen=True)
class Request:
    """The options of a generation besides seed and label."""

    sampling: SamplingParams = ALL
    steps: int | None = None
    eta: float | None = None
    given: NDArray[np.int64] | None = None
    """The tokens of each text, int64 (n, total), prompt first: see :func:`zoo.sampling.autoregressive.prompted`."""


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
    sampling: SamplingParams = ALL,
    steps: int | None = None,
    eta: float | None = None,
) -> Any:
    """The samples `first` … `first` + `n` − 1 of a seed, converted by :func:`zoo.media.convert.from_batch`.

    Raises :class:`SettingError` for an option that the model does not have.
    """
    seed, first, n = philox.checked(seed, first, n)
    _check(
        plan,
        label=label,
        prompt=None if prompt == "" else prompt,
        length=length,
        steps=steps,
        eta=eta,
        **_changed(sampling),
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
        request = Request(sampling, steps, eta, None if given is None else given[here])
        made = GENERATORS[plan.value.kind](run, plan, indices[here], seed, classes, request)
        parts.append(from_batch(made, plan.gives if given is None else plan.sample.x))
    return join(parts)


def _changed(sampling: SamplingParams) -> dict[str, float]:
    """The sampling parameters that differ from their defaults, by name."""
    return {name: value for name, value in vars(sampling).items() if value != getattr(ALL, name)}


def _check(plan: Plan, **options: Any) -> None:
    """Raise :class:`SettingError` for an option that is not None and that the model does not have."""
    for name, value in options.items():
        if value is not None and name not in plan.options:
            raise SettingError(f"{name} = {value!r} is for {OPTIONS[name]}, and this is none. Leave it out.")


def labels_of(label: Labels, n: int) -> NDArray[np.int64]:
    """The labels of `n` items, int64 (n,), from one label or one per item; the class range is not checked."""
    try:
        labels = np.full(n, label) if is_integer(label) else np.asarray(label)
    except ValueError:
        labels = np.asarray(None)
    if labels.ndim != 1 or (labels.dtype.kind not in "iu" and labels.size):
        raise SettingError(f"label = {label!r} is not an integer, nor a list of integers.")
    if len(labels) != n:
        raise SettingError(f"There are {len(labels)} labels for {n} samples: give one, or one per sample.")
    return labels.astype(np.int64)


def labels_in(form: Form) -> dict[str, Label]:
    """The inputs of a task that take one class per item."""
    return {name: spec for name, spec in form.inputs.items() if isinstance(spec, Label) and not spec.shape}


def labelled(
    specs: Mapping[str, Label],
    n: int,
    label: Labels | None,
    indices: NDArray[np.int64] | None = None,
) -> dict[str, Array]:
    """The classes of `n` items for each label input: `label`, one or one per item; by default index % classes.

    Raises :class:`SettingError` for a label if there is no label input, and without a label if there are no indices.
    """
    if label is not None and not specs:
        raise SettingError(f"label = {label!r} is for {OPTIONS['label']}, and this is none. Leave it out.")
    if label is not None:
        return {name: to_batch(labels_of(label, n), spec, "label") for name, spec in specs.items()}
    if indices is None and specs:
        most = min(spec.classes for spec in specs.values()) - 1
        raise SettingError(f"This model needs the class of its input. Set label, from 0 to {most}.")
    return {name: indices % spec.classes for name, spec in specs.items() if indices is not None}


def labels_for(plan: Plan, indices: NDArray[np.int64], label: Labels | None = None) -> dict[str, Array]:
    """The classes of the samples for each label input of the plan: `label`, by default index % classes."""
    return labelled(plan.labels(), len(indices), label, indices)


def one_shot(run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, given: Mapping[str, Array]) -> Array:
    """Run the last task and return the samples of `indices`; each of its inputs is in `given`, or is noise.

    The k-th noise input is stream k; after tokens, which are stream 0, it is stream k + 1.
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
    sampling: SamplingParams = ALL,
) -> tuple[NDArray[np.int64], Array]:
    """Sample tokens, int64 (n, *grid), and run the last task on them; return both.

    `given` holds known tokens, int64 (n, *grid); those that are :data:`zoo.sampling.autoregressive.UNSET` are sampled.
    None: all are sampled.
    """
    assert plan.tokens is not None
    total, count = math.prod(plan.tokens.shape), len(indices)
    free = (
        autoregressive.prompted(np.zeros(0, np.int64), count, total) if given is None else given.reshape(count, total)
    )
    grid = autoregressive.autoregress(run, plan, indices, seed, labels, free, sampling).reshape(
        count, *plan.tokens.shape
    )
    return grid, one_shot(run, plan, indices, seed, {**labels, plan.grid: grid})


def _one_shot(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, labels: Mapping[str, Array], request: Request
) -> Array:
    return one_shot(run, plan, indices, seed, labels)


def _text(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, labels: Mapping[str, Array], request: Request
) -> Array:
    assert request.given is not None
    return autoregressive.autoregress(run, plan, indices, seed, labels, request.given, request.sampling)


def _chain(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, labels: Mapping[str, Array], request: Request
) -> Array:
    return chain(run, plan, indices, seed, labels, sampling=request.sampling)[1]


def _iterative(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, labels: Mapping[str, Array], request: Request
) -> Array:
    return iterate(run, plan, indices, seed, labels, request.steps, request.eta)


GENERATORS: Mapping[str, Callable[[Run, Plan, NDArray[np.int64], int, Mapping[str, Array], Request], Array]] = {
    OneShot.kind: _one_shot,
    Autoregressive.kind: _text,
    Chain.kind: _chain,
    Iterative.kind: _iterative,
}
"""The function of each kind of generation, from a seed's indices and the samples' labels to a task's outputs."""
