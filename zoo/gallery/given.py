"""What a model makes of what users give it: given inputs of the test split beside the samples that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.specs import Text
from zoo.gallery.media import Back, placed
from zoo.media import grid as grids
from zoo.media import kinds
from zoo.media.grid import Pixels
from zoo.runtime import LoadedModel, given_of, samples_of

SEED = 0


def beside(model: LoadedModel, into: Path) -> tuple[Back, ...]:
    """Write an image of samples, each below what it was generated from; () for a model that is given nothing to show.

    Given images, audio clips and videos are shown as frames; given texts are quoted.
    """
    plan, x = model.release.plan, model.release.sample.x
    kind = kinds.of_sample(x)
    count, columns = kind.compared
    given = given_of(model, count) if plan is not None else {}
    if plan is None or not given or kind.display_shape(x) is None:
        return ()
    specs, rows, words = plan.inputs("given"), [], []
    for name, value in given.items():
        spec = specs[name]
        if isinstance(spec, Text):
            words.append(f"{name}: " + ", ".join(f"“{text.strip()}”" for text in value))
        elif spec.kind in kinds.SAMPLES and hasattr(spec, "plural"):
            rows.append(kinds.SAMPLES[spec.kind].frames(value, spec))
    made: Any = samples_of(model, count, SEED)
    rows.append(kind.frames(made, x))
    grid = grids.stacks(_same_size(rows), columns)
    above = f", each below its {' and '.join(name for name in given if not isinstance(specs[name], Text))}"
    caption = f"Samples of seed {SEED}{above if len(rows) > 1 else ''}{'; ' if words else ''}{'; '.join(words)}"
    path = into / "given.png"
    return (Back(caption, placed(grids.png(grids.enlarge(grid)), path, caption, path)),)


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
