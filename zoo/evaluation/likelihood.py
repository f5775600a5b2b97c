"""The likelihood of a text under an autoregressive model, by teacher forcing of its ``step`` on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation import Autoregressive
from zoo.contract.metric import Measurement
from zoo.core.progress import Progress
from zoo.data import DataSplit
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel
from zoo.evaluation.intervals import of_samples
from zoo.sampling import autoregressive, generation
from zoo.sampling.generation import MOST_ROWS
from zoo.sampling.loop import begin

Array = NDArray[Any]


def measurements(evaluated: EvaluatedModel, budget: Budget) -> list[Measurement]:
    """The negative log-likelihood in nats per character: of each window's characters but the first, or whole texts."""
    model, plan = evaluated.model, evaluated.model.release.plan
    if plan is None or not isinstance(plan.value, Autoregressive):
        raise DoesNotApply(f"{model.name} does not generate token by token")
    if others := plan.inputs("given", "noise"):
        raise DoesNotApply(f"the text of {model.name} depends on more than its label: on {', '.join(others)}")
    count = min(budget.limit or len(evaluated.test), len(evaluated.test))
    values: list[Array] = []
    with Progress("Measuring nll", count, unit="windows", quiet=budget.quiet) as progress:
        for start in range(0, count, MOST_ROWS):
            done = min(start + MOST_ROWS, count)
            indices = np.arange(start, done)
            read, labels = windows(evaluated.test, indices), evaluated.test.labels
            if evaluated.test.windows is None:  # generation begins every text with token 0
                read = np.pad(read, ((0, 0), (1, 0)))
            known = {"label": labels[indices]} if labels is not None and "label" in plan.labels() else {}
            begun = begin(plan, indices, 0, generation.asked_of(plan, indices, **known))
            steps = autoregressive.read(model.backend.run, plan, begun, read[:, :-1].T)
            losses = [nats(outputs["logits"], after) for (_, outputs), after in zip(steps, read[:, 1:].T, strict=True)]
            values.append(np.mean(losses, axis=0))
            progress.update(done, {}, done)
    which = f"{count:,}" if count == len(evaluated.test) else f"the first {count:,} of {len(evaluated.test):,}"
    length = read.shape[1]
    what = f"windows of {length} characters, overlapping by one" if evaluated.test.windows else "whole texts"
    protocol = f"{what}; {which} of the test split of {evaluated.data}"
    return [of_samples("nll", np.concatenate(values), "nats per character", protocol)]


def windows(data: DataSplit, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The texts at `indices`, (n,), as :class:`zoo.data.DataSplit` counts them: int64 (n, length)."""
    text = data.windows
    if text is None:
        return data.read(indices).astype(np.int64)
    places = indices[:, None] * (text.length - 1) + np.arange(text.length)
    return data.read(places.reshape(-1)).reshape(places.shape).astype(np.int64)


def nats(logits: Array, picked: NDArray[np.int64]) -> NDArray[np.float64]:
    """−log p(picked), (n,), under logits (n, classes), in float64."""
    scores = logits.astype(np.float64)
    scores -= scores.max(-1, keepdims=True)
    own = np.take_along_axis(scores, picked[:, None], -1)[:, 0]
    return np.asarray(np.log(np.exp(scores).sum(-1)) - own)
