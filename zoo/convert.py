"""Between what people hold (pictures, sounds, text, arrays) and what graphs take (float32 and int64 batches)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, ReleaseError, SettingError
from zoo.specs import Audio, Image, Label, LogMel, Spec, Text

Array = NDArray[Any]


def to_batch(value: Any, spec: Spec, name: str) -> Array:
    """What a person gives for the input `name`, as the batch that a graph takes: (n, *spec.shape) of spec.dtype.

    Pictures: uint8, or floats in [0, 1], (h, w), (n, h, w), (h, w, 3) or (n, h, w, 3); a PIL picture or a file
    name; a list of these. Sounds: the name of a .wav file, cut or padded to length, or a list of these; or floats in
    [-1, 1], for spectrograms in [0, 1]. Text: str, or a list of str of one length. Labels: an int or ints. Anything
    else: an array of the spec's shape, with or without a batch axis. Raises :class:`SettingError` or
    :class:`DataError`.
    """
    if isinstance(spec, Image):
        return _images(value, spec, name)
    if isinstance(spec, Text):
        texts = [value] if isinstance(value, str) else list(value)
        return np.stack([text_to_ids(text, spec, length=spec.length) for text in texts])
    if isinstance(spec, (Audio, LogMel)):
        value = _sounds(value, spec, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SettingError(f"{name} is no array: {error}.") from error
    if array.dtype.kind not in ("iu" if spec.dtype == "int64" else "iuf"):
        raise SettingError(f"{name} has dtype {array.dtype}; it must be {spec.dtype}.")
    if array.shape == spec.shape:
        array = array[None]
    if array.shape[1:] != spec.shape or array.ndim == 0:
        raise SettingError(f"{name} has shape {array.shape}; it must be (n, {', '.join(map(str, spec.shape))}).")
    if isinstance(spec, Label) and array.size and not (array.min() >= 0 and array.max() < spec.classes):
        raise SettingError(f"{name} has a value outside 0 to {spec.classes - 1}.")
    if isinstance(spec, (Audio, LogMel)) and array.size:
        least = -1 if isinstance(spec, Audio) else 0
        if not (array.min() >= least and array.max() <= 1):
            raise SettingError(f"{name} has values from {array.min():g} to {array.max():g}; they lie in [{least}, 1].")
    return np.ascontiguousarray(array, spec.dtype)


def from_batch(array: Array, spec: Spec) -> Any:
    """What a graph gives, as people want it: pictures uint8 (n, h, w) or (n, h, w, 3), a list of str, or an array.

    Sounds are clipped: float32 (n, samples) in [-1, 1], spectrograms float32 (n, bands, frames) in [0, 1]. Raises
    :class:`ReleaseError` for values that are not numbers, and for characters that are not in the vocabulary.
    """
    if isinstance(spec, (Image, Audio, LogMel)) and np.isnan(array).any():
        raise ReleaseError(f"The model gave {spec.kind} values that are not numbers. Check its input and its weights.")
    if isinstance(spec, Text) and array.size and not (array.min() >= 0 and array.max() < spec.classes):
        raise ReleaseError(
            f"The model gave characters that are none of the {spec.classes} in its vocabulary. Get the release again."
        )
    if isinstance(spec, Image):
        levels = np.rint(np.clip(array, 0.0, 1.0) * 255.0).astype(np.uint8)
        return levels[:, 0] if spec.channels == 1 else np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
    if isinstance(spec, Text):
        return [ids_to_text(ids, spec) for ids in array]
    if isinstance(spec, (Audio, LogMel)):
        return np.clip(array, -1 if isinstance(spec, Audio) else 0, 1)
    return array


def text_to_ids(text: str, spec: Text, length: int | None = None) -> NDArray[np.int64]:
    """A text as indices into the vocabulary, int64 (length,); :class:`SettingError` for a character not in it."""
    index = {character: position for position, character in enumerate(spec.vocabulary)}
    unknown = next((character for character in text if character not in index), None)
    if unknown is not None:
        raise SettingError(f"The character {unknown!r} is not one of the {len(index)} that this model was trained on.")
    if length is not None and len(text) != length:
        raise SettingError(f"The text has {len(text)} characters; this task takes exactly {length}.")
    return np.array([index[character] for character in text], np.int64)


def ids_to_text(ids: Array, spec: Text) -> str:
    """The characters that the indices stand for."""
    return "".join(spec.vocabulary[int(index)] for index in ids)


def _sounds(value: Any, spec: Audio | LogMel, name: str) -> Any:
    """Names of .wav files as waveforms or spectrograms, float32 (n, *spec.shape); anything else as it is."""
    names = [value] if isinstance(value, (str, Path)) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(item, (str, Path)) for item in names):
        return value
    from zoo.data import audio, wav

    waveforms = np.empty((len(names), spec.samples), np.int16)
    for row, item in zip(waveforms, names, strict=True):
        rate, waveform = wav.read(Path(item), str(item))
        if rate != spec.rate:
            raise DataError(f"{item} has {rate} Hz; this model takes {spec.rate} Hz. Resample it first.")
        row[:] = audio.fit(waveform, spec.samples)
    return audio.log_mel(waveforms, spec) if isinstance(spec, LogMel) else waveforms.astype(np.float32) / 32768


def _images(value: Any, spec: Image, name: str) -> Array:
    if isinstance(value, (str, Path)) or hasattr(value, "convert"):
        value = [value]
    if not isinstance(value, np.ndarray):
        if not isinstance(value, Sequence) or not value:
            raise SettingError(f"{name} is {type(value).__name__}; it must be pictures, file names or an array.")
        return np.concatenate([_one_image(item, spec, name) for item in value])
    return _image_array(value, spec, name)


def _one_image(item: Any, spec: Image, name: str) -> Array:
    """A picture, a file name or an array as an array with a batch axis of 1."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    label = name
    if isinstance(item, (str, Path)):
        label = str(item)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked first
                with Pillow.open(item) as opened:
                    _check_size(opened, spec, label)
                    opened.load()
                    item = opened.copy()
        except FileNotFoundError as error:
            raise DataError(f"{label} does not exist.") from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
            raise DataError(f"{label} is no picture that can be read, or it is damaged.") from error
    if hasattr(item, "convert"):
        _check_size(item, spec, label)
        item = np.asarray(item.convert("L" if spec.channels == 1 else "RGB"))
    return _image_array(np.asarray(item), spec, label)


def _check_size(picture: Any, spec: Image, label: str) -> None:
    if picture.size != (spec.width, spec.height):
        raise DataError(
            f"{label} is {picture.size[0]}×{picture.size[1]} pixels; this model takes {spec.width}×{spec.height}. "
            "Resize it first."
        )


def _image_array(array: Array, spec: Image, name: str) -> Array:
    """(n, h, w), (n, h, w, c) or one picture, uint8 or float in [0, 1], as float32 (n, c, h, w) in [0, 1]."""
    hwc = (spec.height, spec.width, spec.channels)
    if spec.channels == 1 and array.shape[-2:] == hwc[:2]:
        array = array[..., None]
    if array.shape == hwc:
        array = array[None]
    if array.ndim != 4 or array.shape[1:] != hwc:
        wanted = f"(n, {spec.height}, {spec.width}" + (")" if spec.channels == 1 else f", {spec.channels})")
        raise SettingError(f"{name} has shape {array.shape}; pictures for this model are {wanted}.")
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)
    elif array.dtype.kind == "f":
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise SettingError(f"{name} has values from {array.min():g} to {array.max():g}; floats must lie in [0, 1].")
    else:
        raise SettingError(f"{name} has dtype {array.dtype}; pictures are uint8, or floats in [0, 1].")
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2), np.float32)
