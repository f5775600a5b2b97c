"""What a model makes of what users give it: given inputs of the test split beside the samples that come of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.specs import Text
from zoo.gallery.media import Back, placed
from zoo.media import grid as grids
from zoo.media import kinds, table
from zoo.media.grid import Pixels
from zoo.runtime import LoadedModel, given_of, samples_of

SEED = 0

NUMBERS = 6
"""The numbers of a given array that are quoted, at most."""


def beside(model: LoadedModel, into: Path) -> tuple[Back, ...]:
    """Write an image of samples, each below what it was generated from; () for a model that is given nothing to show.

    Given texts and arrays are quoted in the caption, and generated arrays are a table.
    """
    plan, x = model.release.plan, model.release.sample.x
    kind = kinds.of_sample(x)
    count, columns = kind.compared
    given = given_of(model, count) if plan is not None else {}
    if plan is None or not given or kind.display_shape(x) is None:
        return ()
    rows: dict[str, list[Pixels]] = {}
    said = [f"Samples of seed {SEED}"]
    for name, spec in plan.inputs("given").items():
        own = kinds.SAMPLES.get(spec.kind)
        if own is not None and own.has_image and not isinstance(spec, Text):
            rows[name] = own.moments(given[name], spec)
        else:
            said.append(f"{name}: {', '.join(map(_quoted, given[name]))}")
    made: Any = samples_of(model, count, SEED)
    if not kind.has_image:
        top = Back("; ".join(said), table=table.excerpt(table.write(made, getattr(x, "names", ())), rows=count))
        return (top, _image(rows, f"The {' and '.join(rows)} of each", columns, into)) if rows else (top,)
    if rows:
        said[0] += f", each below its {' and '.join(rows)}"
    rows["samples"] = kind.moments(made, x)
    return (_image(rows, "; ".join(said), columns, into),)


def _image(rows: Mapping[str, list[Pixels]], caption: str, columns: int, into: Path) -> Back:
    """Rows below each other, at each of their moments; one that moves for a shorter time stays at its last."""
    moments = range(max(map(len, rows.values())))
    together = [[row[min(moment, len(row) - 1)] for row in rows.values()] for moment in moments]
    frames = [grids.enlarge(grids.stacks(_same_size(row), columns)) for row in together]
    path = into / "given.png"
    return Back(caption, placed(grids.png(*frames), path, caption, path))


def _quoted(value: Any) -> str:
    """A given text, or the first numbers of a given array."""
    if isinstance(value, str):
        return f"“{value.strip()}”"
    numbers = np.ravel(value)
    return f"({', '.join(f'{number:.4g}' for number in numbers[:NUMBERS])}{', …' if len(numbers) > NUMBERS else ''})"


def _same_size(rows: list[Pixels]) -> list[Pixels]:
    """Frames of different sizes, enlarged by whole numbers and padded with white at the right and below."""
    height, width = (max(row.shape[axis] for row in rows) for axis in (1, 2))
    colour = any(row.ndim == 4 for row in rows)
    fitted = []
    for row in rows:
        scale = max(1, min(height // row.shape[1], width // row.shape[2]))
        row = row.repeat(scale, axis=1).repeat(scale, axis=2)
        row = np.repeat(row[..., None], 3, axis=3) if colour and row.ndim == 3 else row
        padding = [(0, 0), (0, height - row.shape[1]), (0, width - row.shape[2]), *[(0, 0)] * (row.ndim - 3)]
        fitted.append(np.pad(row, padding, constant_values=255))
    return fitted
