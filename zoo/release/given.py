"""What the samples of a release are generated from, where users give it: images, texts, … of the test split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core import files
from zoo.core.errors import ReleaseError, one_line
from zoo.release.folder import Release

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "given.safetensors"
"""A tensor for each given input, (k, …), as graphs take it; sample i is generated from item i modulo k."""


def write(folder: Path, given: Mapping[str, NDArray[Any]]) -> None:
    """Write the given inputs of a run or a release into its folder."""
    import numpy as np
    from safetensors.numpy import save

    files.write(folder / FILE, save({name: np.ascontiguousarray(array) for name, array in given.items()}))


def read(release: Release, indices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The given inputs of the samples of `indices`, by name; {} for a model that takes none.

    Raises :class:`ReleaseError` where they do not fit the tasks.
    """
    plan = release.plan
    if plan is None or not plan.given():
        return {}
    from safetensors.numpy import load

    try:
        held = load(release.content(FILE))
    except ReleaseError:
        raise
    except Exception as error:
        raise ReleaseError(
            f"{release.folder / FILE} cannot be read: {one_line(error)}. Get the release again."
        ) from error
    for name, spec in plan.inputs("given").items():
        array = held.get(name)
        if array is None or not len(array) or (array.shape[1:], str(array.dtype)) != (spec.shape, spec.dtype):
            raise ReleaseError(f"{release.folder / FILE} has no {name} of the form of the task. Get the release again.")
    return {name: held[name][indices % len(held[name])] for name in plan.given()}
