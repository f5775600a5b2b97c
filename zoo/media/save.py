"""Samples and results as files: grids of images and videos, audio clips, text, arrays, tables, JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.contract.specs import SampleSpec, Spec
from zoo.core import files
from zoo.core.errors import SettingError
from zoo.media import kinds


def endings(spec: Spec | None) -> tuple[str, ...]:
    """The endings that files of a form may have."""
    return kinds.of(spec).endings


def paths(path: Path, count: int, first: int = 0) -> list[Path]:
    """The files that `count` samples are written to: a .wav file holds one clip, the others hold all."""
    if path.suffix != ".wav" or count == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{first + index}") for index in range(count)]


def check(path: Path, spec: Spec | None, force: bool, count: int = 1, first: int = 0) -> None:
    """Raise unless the path is free, ends as it must, and is not inside a release, which never changes."""
    files.check_outside_releases(path)
    if path.suffix not in endings(spec):
        allowed = " or ".join(endings(spec))
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise SettingError(f"{str(path)!r} {ending}; it must end in {allowed}.")
    for part in paths(path, count, first):
        files.check_free(part, force)


def save(
    value: Any, path: Path, spec: Spec | None, *, force: bool = False, first: int = 0, columns: int | None = None
) -> list[Path]:
    """Write what a task or :meth:`~zoo.runtime.LoadedModel.generate` gave, a batch of the form `spec`, and say where.

    Audio clips in .wav files are numbered from `first` on where there are several; `columns` is the width of a grid of
    images. Raises :class:`SettingError` for an ending that the form cannot have, :class:`ExistsError` for a file
    that is there, unless `force`.
    """
    if not hasattr(value, "__len__") or len(value) == 0:
        raise SettingError(f"There is nothing to write to {str(path)!r}: no sample was given.")
    if columns is not None and (type(columns) is not int or columns < 1):
        raise SettingError(f"columns = {columns!r} is not an integer of at least 1.")
    if columns is not None:
        columns = min(columns, len(value))
    check(path, spec, force, len(value), first)
    found = paths(path, len(value), first)
    contents = kinds.of(spec).write(value, spec, path.suffix, columns)
    return [files.write(part, content, force) for part, content in zip(found, contents, strict=True)]


def as_samples(value: Any, specs: Iterable[Spec]) -> tuple[Any, SampleSpec | None]:
    """A value with a batch axis, and the first of some forms of samples that it has; None where it has none of them."""
    if isinstance(value, str):
        value = [value]
    elif not isinstance(value, dict) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        value = np.asarray(value)
        if value.dtype.kind not in "biuf":
            raise SettingError(f"What was given to save holds {value.dtype}, which is neither numbers nor text.")
    for spec in specs:
        kind = kinds.SAMPLES.get(spec.kind)
        if kind is not None and kind.is_displayed(value, spec):
            shape = kind.display_shape(spec)
            return value if shape is None else value.reshape(-1, *shape), cast(SampleSpec, spec)
    return value, None
