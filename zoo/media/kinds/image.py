"""Images: PIL images, files and uint8 arrays as people hold them, float32 in [0, 1] in graphs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.data import ImageOptions
from zoo.contract.specs import Image
from zoo.core.errors import DataError, SettingError
from zoo.core.files import expand
from zoo.media import images
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Layout, Reading, SampleKind, batch_shape, file_names, stored


class ImageKind(SampleKind[Image]):
    """uint8 (n, h, w), or (n, h, w, 3) in colour."""

    noun, unit, tag = "an image", "images", "image-generation"
    card_count, card_ending = 16, ".png"
    endings = (".png", ".npy")
    layout = Layout(64, 8, 1)
    compared = (16, 8)

    def to_batch(self, value: Any, spec: Image, name: str, reading: Reading) -> Array:
        """Also floats in [0, 1], PIL images, file names, and lists of these.

        Files are turned as their EXIF orientation says, and transparent pixels are laid on the background.
        """
        files = file_names(value)
        if files and all(str(file).endswith(".npy") for file in files):
            names = [name] if len(files) == 1 else map(str, files)
            return np.concatenate([_image_array(stored(file), spec, of) for file, of in zip(files, names, strict=True)])
        return _images(value, spec, name, reading)

    def from_batch(self, array: Array, spec: Image) -> Any:
        self.check_numbers(array, spec)
        scaled = np.clip(array, 0.0, 1.0)
        scaled *= 255.0
        levels = np.rint(scaled, out=scaled).astype(np.uint8)
        return levels[:, 0] if spec.channels == 1 else np.ascontiguousarray(levels.transpose(0, 2, 3, 1))

    def takes(self, spec: Image) -> str:
        size = f"{spec.width}×{spec.height} pixels"
        return f"{self.gives(spec)}, or floats in [0, 1]; PIL images; the names of image files; all of {size}"

    def gives(self, spec: Image) -> str:
        return f"images, uint8 {batch_shape(self.display_shape(spec))}"

    def describe(self, spec: Image) -> str:
        return f"image {spec.height}×{spec.width}{' in colour' if spec.channels == 3 else ''}"

    def example(self, spec: Image, batch: int, stream: int) -> Array:
        levels: Array = np.rint(self._draw("uniform", spec, batch, stream) * np.float32(255))
        return levels / np.float32(255)

    def display_shape(self, spec: Image) -> tuple[int, ...]:
        return (spec.height, spec.width) if spec.channels == 1 else (spec.height, spec.width, spec.channels)

    def is_displayed(self, value: Any, spec: Image) -> bool:
        shape = self.display_shape(spec)
        return isinstance(value, np.ndarray) and value.dtype.kind == "u" and shape in (value.shape, value.shape[1:])

    def from_data(self, x: Array) -> Array:
        """uint8 (n, c, h, w) as (n, h, w), or (n, h, w, 3) in colour."""
        return x[:, 0] if x.shape[1] == 1 else np.ascontiguousarray(x.transpose(0, 2, 3, 1))

    def frames(self, samples: Any, spec: Image) -> Pixels:
        return np.asarray(samples, np.uint8)


def _images(value: Any, spec: Image, name: str, reading: Reading) -> Array:
    if isinstance(value, (str, Path)) or hasattr(value, "convert"):
        value = [value]
    if not isinstance(value, np.ndarray):
        if not isinstance(value, Sequence) or not value:
            raise SettingError(f"{name} is {type(value).__name__}; it must be images, file names or an array.")
        return np.concatenate([_one_image(item, spec, name, reading) for item in value])
    return _image_array(value, spec, name)


def _one_image(item: Any, spec: Image, name: str, reading: Reading) -> Array:
    """An image, a file name or an array as an array with a batch axis of 1."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    label = str(item) if isinstance(item, (str, Path)) else name
    try:
        if isinstance(item, (str, Path)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked first
                with Pillow.open(expand(item), formats=images.formats()) as opened:
                    item = _pixels(opened, spec, label, reading)
        elif hasattr(item, "convert"):
            item = _pixels(item, spec, label, reading)
    except FileNotFoundError as error:
        raise DataError(f"{label or repr(label)} does not exist. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{label} is a folder; the name of an image file is needed.") from error
    except Pillow.DecompressionBombError as error:
        raise DataError(f"{label} is too large an image. Make it smaller first.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{label} is no image that can be read, or it is damaged.") from error
    return _image_array(np.asarray(item), spec, label)


def _pixels(image: Any, spec: Image, label: str, reading: Reading) -> Array:
    """A PIL image as an array: floats as they are, the rest as uint8; with a `fit` always uint8."""
    size = images.size_of(image)
    options = ImageOptions(background=reading.background)
    if reading.fit:
        upright = images.pixels(image, spec.channels, label, options)
        return images.fitted(upright, (spec.width, spec.height), reading.fit, options)
    if size != (spec.width, spec.height):
        raise DataError(
            f"{label} is {size[0]}×{size[1]} pixels; this model takes {spec.width}×{spec.height}. Resize it "
            "first, or give --fit crop or --fit pad."
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
