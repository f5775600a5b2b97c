"""Generation on any backend: draw the noise, run the tasks, return the samples of (seed, index) and what was asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import DDIM, Autoregressive, Iterative
from zoo.contract.generation_plan import Form, Plan
from zoo.contract.options import RESERVED, USUAL, Option
from zoo.contract.specs import Label, Number, Text
from zoo.core import memory, philox
from zoo.core.arguments import check_count, is_integer
from zoo.core.errors import SettingError, suggest
from zoo.media import kinds
from zoo.media.convert import from_batch, join, to_batch
from zoo.media.kinds import Fit, numbered, text_to_ids
from zoo.sampling import autoregressive, ddim, loop
from zoo.sampling.autoregressive import ALL, SamplingParams
from zoo.sampling.loop import Run

Array = NDArray[Any]
Labels = int | str | Sequence[int] | Sequence[str] | NDArray[np.integer[Any]]
"""One class for all items, or one per item; a class is its number or its name."""

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
    """What a loop is asked beside the inputs of its task."""

    sampling: SamplingParams = ALL
    steps: int | None = None
    eta: float | None = None
    tokens: NDArray[np.int64] | None = None
    """The known tokens of each sample, int64 (n, total): see :func:`zoo.sampling.autoregressive.prompted`."""


def generate(
    run: Run,
    plan: Plan,
    *,
    n: int | None = None,
    seed: int = 0,
    first: int = 0,
    background: str = "white",
    fit: Fit = "",
    **options: Any,
) -> Any:
    """The samples `first` … `first` + `n` − 1 of a seed, converted by :func:`zoo.media.convert.from_batch`.

    `options` are those of ``plan.options``; `n` is by default as many as are given or listed, or 1. Given images and
    videos are laid on `background` and fitted to size by `fit`, as :func:`zoo.media.convert.to_batch` says. Raises
    :class:`SettingError` for an option that the model does not have, for a value that it cannot have, and for a given
    input that is missing.
    """
    options = {name: value for name, value in options.items() if value is not None}
    for name, value in options.items():
        if name not in plan.options:
            raise _unknown(plan, name, value)
    given = given_batches(plan, options, background, fit)
    seed, first, n = philox.checked(seed, first, listed(plan, given, options) or 1 if n is None else n)
    of_loop = {name: value for name, value in options.items() if name in plan.of_loop}
    sampling = SamplingParams(**{name: of_loop[name] for name in vars(ALL) if name in of_loop})
    tokens, length = None, 0
    if "prompt" in plan.of_loop:
        begun, length = _begun(plan, of_loop)
        check_memory(plan, n, length)
        tokens = autoregressive.prompted(begun, n, length)
    else:
        check_memory(plan, n)
    indices, size = np.arange(first, first + n, dtype=np.int64), rows(*(plan.tasks[name] for name in plan.uses))
    asked = _asked(plan, indices, {**options, **given})
    parts = []
    for start in range(0, n, size):
        here = slice(start, min(start + size, n))
        request = Request(sampling, of_loop.get("steps"), of_loop.get("eta"), None if tokens is None else tokens[here])
        made = sample(run, plan, indices[here], seed, {name: value[here] for name, value in asked.items()}, request)
        parts.append(from_batch(made, plan.gives if tokens is None else plan.sample.x))
    return join(parts)


def sample(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, asked: Mapping[str, Array], request: Request
) -> Array:
    """What the last task, or a loop alone, gives for the samples of `indices`: (n, …), as its graph has it."""
    if plan.loop is None:
        return once(run, plan, indices, seed, asked)
    made = LOOPS[plan.loop.kind](run, plan, indices, seed, asked, request)
    return once(run, plan, indices, seed, {**asked, plan.made: made}) if plan.last else made


def asked_of(plan: Plan, indices: NDArray[np.int64], **options: Any) -> dict[str, Array]:
    """A batch for each input of ``plan.asked()``: what is in `options`, else the default for each of `indices`.

    `options` holds labels, numbers, and given inputs as a graph takes them, each for one sample or for all.
    """
    return _asked(plan, indices, options)


def _asked(plan: Plan, indices: NDArray[np.int64], options: Mapping[str, Any]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, spec in plan.asked().items():
        value = options.get(name)
        if isinstance(spec, Number):
            found[name] = _spread(to_batch(spec.default if value is None else value, spec, name), indices, name)
        elif isinstance(spec, Label) and not spec.shape:
            label = indices % spec.classes if value is None else labels_of(value, len(indices), spec, name)
            found[name] = to_batch(label, spec, name)
        elif value is None:
            raise _lacks(plan, name)
        else:
            found[name] = _spread(value, indices, name)
    return found


def _spread(batch: Array, indices: NDArray[np.int64], name: str) -> Array:
    """A batch with one item, or one for each sample, as one for each sample."""
    if len(batch) not in (1, len(indices)):
        raise SettingError(
            f"There are {len(batch)} values of {name} for {len(indices)} samples: give one, or one per sample."
        )
    return np.repeat(batch, len(indices), axis=0) if len(batch) != len(indices) else batch


def given_batches(plan: Plan, options: Mapping[str, Any], background: str = "white", fit: Fit = "") -> dict[str, Array]:
    """The batch of each given input: one item, or one for each sample.

    Raises :class:`SettingError` where nothing is given, and for what does not fit.
    """
    specs = plan.inputs("given")
    if fit not in ("", "crop", "pad"):
        raise SettingError(f"fit = {fit!r} is neither 'crop' nor 'pad'.")
    if fit and not fits(plan):
        raise SettingError(
            f"fit = {fit!r} is for models that generate from an image or a video, and this is none. Leave it out."
        )
    found = {}
    for name, spec in specs.items():
        if options.get(name) is None:
            raise _lacks(plan, name)
        found[name] = to_batch(options[name], spec, name, background, fit if kinds.of(spec).pixels else "", pad=True)
    return found


def fits(plan: Plan) -> bool:
    """Whether images or videos are given, which can be fitted to size."""
    return any(kinds.of(spec).pixels for spec in plan.inputs("given").values())


def listed(plan: Plan, given: Mapping[str, Array], options: Mapping[str, Any]) -> int:
    """How many samples are asked for by lists of labels and numbers and by what is given; 0 if none is."""
    lists = (options[name] for name in plan.asked() if name in options and name not in given)
    several = (len(value) for value in lists if hasattr(value, "__len__") and not isinstance(value, str))
    return max([0, *map(len, given.values()), *several])


def _article(option: Option) -> str:
    assert option.spec is not None
    return f"{'an' if option.spec.kind[0] in 'aeiou' else 'a'} {option.spec.kind} that is given, its {option.name}"


def _lacks(plan: Plan, name: str) -> SettingError:
    return SettingError(f"This model generates from {_article(plan.options[name])}. Set {name}.")


def _unknown(plan: Plan, name: str, value: Any) -> SettingError:
    if name in USUAL and not (name == "label" and plan.labels()):
        return SettingError(f"{name} = {value!r} is for {USUAL[name]}, and this is none. Leave it out.")
    known = [*RESERVED, *plan.options]
    return SettingError(f"This model has no option {name!r}.{suggest(name, known)} It has: {', '.join(known)}.")


def _begun(plan: Plan, options: Mapping[str, Any]) -> tuple[NDArray[np.int64], int]:
    """The tokens of the prompt, and the length of a whole text."""
    prompt, length = options.get("prompt", ""), options.get("length")
    assert isinstance(plan.sample.x, Text)
    if not isinstance(prompt, str):
        raise SettingError(f"prompt = {prompt!r} is not text.")
    if length is not None:
        check_count("length", length, 1)
    begun = text_to_ids(prompt, plan.sample.x)
    return begun, len(begun) + (length or plan.sample.x.length)


def labels_of(label: Labels, n: int, spec: Label, name: str = "label") -> NDArray[np.int64]:
    """The labels of `n` items, int64 (n,), from one label or one per item; the class range is not checked."""
    label = numbered(label, spec, name)
    try:
        labels = np.full(n, label) if is_integer(label) else np.asarray(label)
    except ValueError:
        labels = np.asarray(None)
    if labels.ndim != 1 or (labels.dtype.kind not in "iu" and labels.size):
        raise SettingError(f"{name} = {label!r} is not an integer, nor a list of integers.")
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
        raise SettingError(f"label = {label!r} is for {USUAL['label']}, and this is none. Leave it out.")
    if label is not None:
        return {name: to_batch(labels_of(label, n, spec), spec, "label") for name, spec in specs.items()}
    if indices is None and specs:
        most = min(spec.classes for spec in specs.values()) - 1
        raise SettingError(f"This model needs the class of its input. Set label, from 0 to {most}.")
    return {name: indices % spec.classes for name, spec in specs.items() if indices is not None}


def once(run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, inputs: Mapping[str, Array]) -> Array:
    """Run the last task and return the samples of `indices`: `inputs` has all that is no noise."""
    task, drawn = plan.tasks[plan.last], plan.inputs("noise", task=plan.last)
    streams = plan.streams(plan.last)
    wanted = [(spec.distribution, spec.shape) for spec in drawn.values()]  # type: ignore[union-attr]
    made = philox.draws(wanted, seed, indices, next(iter(streams.values()))) if wanted else []
    feeds = {name: inputs[name] for name in task.inputs if name not in drawn} | dict(zip(drawn, made, strict=True))
    return run(plan.last, feeds)[next(iter(task.outputs))]


def tokens_of(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, asked: Mapping[str, Array], request: Request
) -> NDArray[np.int64]:
    """Sample what is unknown of the tokens: int64 (n, total) for text, (n, *grid) for a grid."""
    assert plan.tokens is not None
    grid, count = plan.tokens.shape, len(indices)
    if request.tokens is None:
        known = autoregressive.prompted(np.zeros(0, np.int64), count, math.prod(grid))
    else:
        known = request.tokens.reshape(count, -1)
    tokens = autoregressive.autoregress(run, plan, indices, seed, asked, known, request.sampling)
    return tokens.reshape(count, *grid) if grid else tokens


def _iterative(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, asked: Mapping[str, Array], request: Request
) -> Array:
    return loop.iterate(run, plan, indices, seed, asked, request.steps)


def _ddim(
    run: Run, plan: Plan, indices: NDArray[np.int64], seed: int, asked: Mapping[str, Array], request: Request
) -> Array:
    assert isinstance(plan.loop, DDIM)
    eta = to_batch(plan.loop.eta if request.eta is None else request.eta, Number(0.0, ge=0, le=1), "eta")
    return ddim.iterate(run, plan, indices, seed, asked, request.steps, float(eta[0]))


LOOPS: Mapping[str, Callable[[Run, Plan, NDArray[np.int64], int, Mapping[str, Array], Request], Array]] = {
    Autoregressive.kind: tokens_of,
    Iterative.kind: _iterative,
    DDIM.kind: _ddim,
}
"""The function of each kind of loop, from a seed's indices and what was asked to what the loop makes."""
