"""Between what people hold (images, audio clips, text, arrays) and what graphs take (float32 and int64 batches)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.specs import Spec
from zoo.media import kinds, notebook
from zoo.media.kinds.base import Array, Fit, Reading


def to_batch(value: Any, spec: Spec, name: str, background: str = "white", fit: Fit = "", pad: bool = False) -> Array:
    """What a person gives for the input `name`, as the batch that a graph takes: (n, *spec.shape) of spec.dtype.

    Images: uint8, bool, or floats in [0, 1], (h, w), (n, h, w), (h, w, c) or (n, h, w, c); a PIL image or a file
    name; a list of these. Videos: the same with frames before h; the name of an animated file or of a folder of frames;
    longer ones are cut. Files are turned as their EXIF orientation says, and what is transparent is laid on
    `background`; with a `fit`, images of another size are cut or padded and resized. Audio: the name of a .wav file,
    cut or padded to length, or a list of these; or floats in [-1, 1], for spectrograms in [0, 1]. Text: str, or the
    :class:`~pathlib.Path` of a file, of exactly the spec's length, or with `pad` at most, padded with the first
    character of its vocabulary; a list of these. Labels: an int or ints. Arrays of data: numbers within the spec's
    bounds; the name of a .csv or .parquet file of one row a sample, with its columns by name where the file and the
    spec have names. Anything else: an array of the spec's shape, with or without a batch axis. All but text: also the
    name of a .npy file, or a list of these. Raises :class:`SettingError` or :class:`DataError`.
    """
    return kinds.of(spec).to_batch(value, spec, name, Reading(background, fit, pad))


def fitted(files: Sequence[str | Path], spec: Spec, background: str, fit: Fit) -> Array:
    """Image or video files of any size as what a task takes: uint8, cut or padded, and resized."""
    made: Array = from_batch(to_batch(list(files), spec, spec.kind, background, fit), spec)
    return made


def from_batch(array: Array, spec: Spec) -> Any:
    """What a graph gives, as people hold it: images uint8 (n, h, w) or (n, h, w, c), videos the same with frames before
    h, a list of str, or an array.

    Audio clips are clipped: float32 (n, samples) in [-1, 1], spectrograms float32 (n, bands, frames) in [0, 1]. In a
    notebook, samples show themselves (:mod:`zoo.media.notebook`). Raises :class:`ReleaseError` for values that are not
    numbers, and for characters that are not in the vocabulary.
    """
    return notebook.displayed(kinds.of(spec).from_batch(array, spec), spec)


def join(parts: Sequence[Any]) -> Any:
    """Batches that :func:`from_batch` gave, one after the other as one."""
    if len(parts) == 1:
        return parts[0]
    texts = isinstance(parts[0], list)
    made = [text for part in parts for text in part] if texts else np.concatenate(parts)
    return notebook.like(made, parts[0])


def takes(spec: Spec) -> str:
    """What :func:`to_batch` takes for an input of that form, in words."""
    return kinds.of(spec).takes(spec)


def gives(spec: Spec) -> str:
    """What :func:`from_batch` gives for an output of that form, in words."""
    return kinds.of(spec).gives(spec)
