"""Between what people hold (images, audio clips, text, arrays) and what graphs take (float32 and int64 batches)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, Image, Label, LogMel, Noise, Score, Spec, Text
from zoo.core.errors import DataError, ReleaseError, SettingError, one_line
from zoo.core.files import expand
from zoo.media import images

Array = NDArray[Any]


Fit = Literal["", "crop", "pad"]


def to_batch(value: Any, spec: Spec, name: str, background: str = "white", fit: Fit = "") -> Array:
    """What a person gives for the input `name`, as the batch that a graph takes: (n, *spec.shape) of spec.dtype.

    Images: uint8, bool, or floats in [0, 1], (h, w), (n, h, w), (h, w, 3) or (n, h, w, 3); a PIL image or a file
    name; a list of these. Files are turned as their EXIF orientation says, and what is transparent is laid on
    `background`; with a `fit`, images of another size are cut or padded and resized. Audio: the name of a .wav file,
    cut or padded to length, or a list of these; or floats in [-1, 1], for spectrograms in [0, 1]. Text: str, or the
    :class:`~pathlib.Path` of a file, of exactly the spec's length; a list of these. Labels: an int or ints. Anything
    else: an array of the spec's shape, with or without a batch axis. All but text: also the name of a .npy file, or a
    list of these. Raises :class:`SettingError` or :class:`DataError`.
    """
    if isinstance(spec, Text):
        return np.stack([text_to_ids(text, spec, length=spec.length) for text in _texts(value, name)])
    files = _file_names(value)
    if files and all(str(file).endswith(".npy") for file in files):
        arrays = [_stored(file) for file in files]
        if len(arrays) > 1:
            return np.concatenate([to_batch(array, spec, str(f)) for array, f in zip(arrays, files, strict=True)])
        value = arrays[0]
    elif isinstance(spec, (Audio, LogMel)) and files:
        value = _sounds(files, spec)
    elif files and not isinstance(spec, Image):
        raise SettingError(f"{name} takes arrays, as .npy files; {str(files[0])!r} is none.")
    if isinstance(spec, Image):
        return _images(value, spec, name, images.ImageOptions(background=background), fit)
    return _array(value, spec, name)


def _array(value: Any, spec: Spec, name: str) -> Array:
    """Numbers as an array with a batch axis, of the spec's type and in its range."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise SettingError(f"{name} is no array: {one_line(error)}.") from error
    if array.dtype.kind not in ("iu" if spec.dtype == "int64" else "biuf"):
        raise SettingError(f"{name} has dtype {array.dtype}; it must be {spec.dtype}.")
    if array.shape == spec.shape:
        array = array[None]
    if array.shape[1:] != spec.shape or array.ndim == 0:
        raise SettingError(f"{name} has shape {array.shape}; it must be {_shape(spec.shape)}.")
    if isinstance(spec, Label) and len(wrong := array[(array < 0) | (array >= spec.classes)]):
        raise SettingError(f"{name} has the value {wrong[0]}; it must be from 0 to {spec.classes - 1}.")
    if isinstance(spec, (Audio, LogMel)) and array.size:
        least = -1 if isinstance(spec, Audio) else 0
        if not (array.min() >= least and array.max() <= 1):
            raise SettingError(f"{name} has values from {array.min():g} to {array.max():g}; they lie in [{least}, 1].")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        made = np.ascontiguousarray(array, spec.dtype)
    if len(wrong := array[~np.isfinite(made)]):
        raise SettingError(f"{name} has the value {wrong[0]:g}, which is not finite in {spec.dtype}. Check the input.")
    return made


def fitted(files: Sequence[str | Path], spec: Image, background: str, fit: Fit) -> Array:
    """Image files of any size as what a task takes: uint8 (n, h, w) or (n, h, w, 3), cut or padded, and resized."""
    made: Array = from_batch(to_batch(list(files), spec, "image", background, fit), spec)
    return made


def from_batch(array: Array, spec: Spec) -> Any:
    """What a graph gives, as people want it: images uint8 (n, h, w) or (n, h, w, 3), a list of str, or an array.

    Audio clips are clipped: float32 (n, samples) in [-1, 1], spectrograms float32 (n, bands, frames) in [0, 1]. Raises
    :class:`ReleaseError` for values that are not numbers, and for characters that are not in the vocabulary.
    """
    if isinstance(spec, (Image, Audio, LogMel)) and np.isnan(array).any():
        raise ReleaseError(f"The model gave {spec.kind} values that are not numbers. Check its input and its weights.")
    if isinstance(spec, Text) and array.size and not (array.min() >= 0 and array.max() < spec.classes):
        raise ReleaseError(
            f"The model gave characters that are none of the {spec.classes} in its vocabulary. Get the release again."
        )
    if isinstance(spec, Image):
        scaled = np.clip(array, 0.0, 1.0)
        scaled *= 255.0
        levels = np.rint(scaled, out=scaled).astype(np.uint8)
        return levels[:, 0] if spec.channels == 1 else np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
    if isinstance(spec, Text):
        return [ids_to_text(ids, spec) for ids in array]
    if isinstance(spec, (Audio, LogMel)):
        return np.clip(array, -1 if isinstance(spec, Audio) else 0, 1)
    return array


def join(parts: Sequence[Any]) -> Any:
    """Batches that :func:`from_batch` gave, one after the other as one."""
    if isinstance(parts[0], list):
        return [text for part in parts for text in part]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def takes(spec: Spec) -> str:
    """What :func:`to_batch` takes for an input of that form, in words."""
    if isinstance(spec, Image):
        size = f"{spec.width}×{spec.height} pixels"
        return f"{gives(spec)}, or floats in [0, 1]; PIL images; the names of image files; all of {size}"
    if isinstance(spec, Text):
        known = f"{spec.classes} characters that it knows"
        return f"a str of {spec.length} characters, of the {known}; the Path of a text file; a list of these"
    if isinstance(spec, (Audio, LogMel)):
        return f"{gives(spec)}; the names of .wav files at {spec.rate} Hz, which are cut or padded to length"
    return f"{gives(spec)}; the name of a .npy file"


def gives(spec: Spec) -> str:
    """What :func:`from_batch` gives for an output of that form, in words."""
    form = f"{spec.dtype} {_shape(spec.shape)}"
    if isinstance(spec, Image):
        colours = () if spec.channels == 1 else (spec.channels,)
        return f"images, uint8 {_shape((spec.height, spec.width, *colours))}"
    if isinstance(spec, Text):
        return f"a list of n str of {spec.length} characters"
    if isinstance(spec, Audio):
        return f"audio clips, {form} in [-1, 1] at {spec.rate} Hz"
    if isinstance(spec, LogMel):
        return f"log-mel spectrograms, {form} in [0, 1]"
    if isinstance(spec, Label):
        return f"{form} from 0 to {spec.classes - 1}"
    if isinstance(spec, Noise):
        return f"{form}, {'standard normal' if spec.distribution == 'normal' else 'uniform in [0, 1)'} for samples"
    if isinstance(spec, Score):
        return f"{form}, the higher, the stranger"
    return form


def _shape(shape: tuple[int, ...]) -> str:
    """A shape with its batch axis: ``"(n, 8, 8)"``, ``"(n,)"``."""
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"


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


def _file_names(value: Any) -> list[str | Path]:
    """The names of files that a value is, one or a list; [] for any other value."""
    names = [value] if isinstance(value, (str, Path)) else value
    if isinstance(names, (list, tuple)) and all(isinstance(item, (str, Path)) for item in names):
        return list(names)
    return []


def _stored(file: str | Path) -> Array:
    """The array in a .npy file."""
    try:
        return np.asarray(np.load(expand(file), allow_pickle=False))
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist. Check the path.") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} is no array that can be read: {one_line(error)}.") from error


def _texts(value: Any, name: str) -> list[str]:
    """Texts, from what they are given as."""
    items = [value] if isinstance(value, (str, Path)) else value
    if not isinstance(items, (list, tuple)) or not items or not all(isinstance(item, (str, Path)) for item in items):
        raise SettingError(
            f"{name} is {type(value).__name__}; it must be a str, the Path of a text, or a list of these."
        )
    return [_read_text(item) if isinstance(item, Path) else item for item in items]


def _read_text(path: Path) -> str:
    try:
        return expand(path).read_text("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Check the path.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no text that can be read: {one_line(error)}.") from error


def _sounds(files: Sequence[str | Path], spec: Audio | LogMel) -> Array:
    """The .wav files as waveforms or spectrograms, float32 (n, *spec.shape)."""
    from zoo.media import mel, wav

    waveforms = np.empty((len(files), spec.samples), np.int16)
    for row, item in zip(waveforms, files, strict=True):
        rate, waveform = wav.read(expand(item), str(item))
        if rate != spec.rate:
            raise DataError(f"{item} has {rate} Hz; this model takes {spec.rate} Hz. Resample it first.")
        row[:] = mel.fit(waveform, spec.samples)
    return mel.log_mel(waveforms, spec) if isinstance(spec, LogMel) else waveforms.astype(np.float32) / 32768


def _images(value: Any, spec: Image, name: str, options: images.ImageOptions, fit: Fit) -> Array:
    if isinstance(value, (str, Path)) or hasattr(value, "convert"):
        value = [value]
    if not isinstance(value, np.ndarray):
        if not isinstance(value, Sequence) or not value:
            raise SettingError(f"{name} is {type(value).__name__}; it must be images, file names or an array.")
        return np.concatenate([_one_image(item, spec, name, options, fit) for item in value])
    return _image_array(value, spec, name)


def _one_image(item: Any, spec: Image, name: str, options: images.ImageOptions, fit: Fit) -> Array:
    """An image, a file name or an array as an array with a batch axis of 1."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    label = str(item) if isinstance(item, (str, Path)) else name
    try:
        if isinstance(item, (str, Path)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked first
                with Pillow.open(expand(item), formats=images.formats()) as opened:
                    item = _pixels(opened, spec, label, options, fit)
        elif hasattr(item, "convert"):
            item = _pixels(item, spec, label, options, fit)
    except FileNotFoundError as error:
        raise DataError(f"{label or repr(label)} does not exist. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{label} is a folder, and takes the name of an image.") from error
    except Pillow.DecompressionBombError as error:
        raise DataError(f"{label} is too large an image. Make it smaller first.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{label} is no image that can be read, or it is damaged.") from error
    return _image_array(np.asarray(item), spec, label)


def _pixels(image: Any, spec: Image, label: str, options: images.ImageOptions, fit: Fit) -> Array:
    """A PIL image as an array: floats as they are, the rest as uint8; with a `fit` always uint8."""
    size = images.size_of(image)
    if fit:
        upright = images.pixels(image, spec.channels, label, options)
        return images.fitted(upright, (spec.width, spec.height), fit, options)
    if size != (spec.width, spec.height):
        raise DataError(
            f"{label} is {size[0]}×{size[1]} pixels; this model takes {spec.width}×{spec.height}. Resize it "
            "first, or let zoo run do it: --fit crop or --fit pad."
        )
    if image.mode != "F":
        return images.pixels(image, spec.channels, label, options)
    floats: Array = np.asarray(image)
    return floats if spec.channels == 1 else np.repeat(floats[..., None], 3, axis=2)


def _image_array(array: Array, spec: Image, name: str) -> Array:
    """(n, h, w), (n, h, w, c) or one image, uint8 or float in [0, 1], as float32 (n, c, h, w) in [0, 1]."""
    hwc = (spec.height, spec.width, spec.channels)
    shape = array.shape
    if spec.channels == 1 and array.shape[-2:] == hwc[:2]:
        array = array[..., None]
    if array.shape == hwc:
        array = array[None]
    if array.ndim != 4 or array.shape[1:] != hwc:
        wanted = f"(n, {spec.height}, {spec.width}" + (")" if spec.channels == 1 else f", {spec.channels})")
        raise SettingError(f"{name} has shape {shape}; images for this model are {wanted}.")
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)
    elif array.dtype.kind in "bf":
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise SettingError(f"{name} has values from {array.min():g} to {array.max():g}; floats must lie in [0, 1].")
    else:
        raise SettingError(f"{name} has dtype {array.dtype}; images are uint8 from 0 to 255, or floats in [0, 1].")
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2), np.float32)
