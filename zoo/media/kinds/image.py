"""Images: PIL images, files and uint8 arrays as people hold them, float32 in [0, 1] in graphs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from zoo.contract.data import ImageOptions
from zoo.contract.specs import Image, Video
from zoo.core.errors import DataError, SettingError
from zoo.core.files import expand
from zoo.media import images
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Layout, Reading, SampleKind, batch_shape, file_names, stored

P = TypeVar("P", bound=Image | Video)


class PixelKind(SampleKind[P]):
    """What images and videos have in common: (n, …, c, h, w) in graphs, uint8 (n, …, h, w) or (n, …, h, w, c) else."""

    pixels = True

    def from_batch(self, array: Array, spec: P) -> Any:
        self.check_numbers(array, spec)
        scaled = np.clip(array, 0.0, 1.0)
        scaled *= 255.0
        return self.from_data(np.rint(scaled, out=scaled).astype(np.uint8))

    def gives(self, spec: P) -> str:
        return f"{self.unit}, uint8 {batch_shape(self.display_shape(spec))}"

    def example(self, spec: P, batch: int, stream: int) -> Array:
        levels: Array = np.rint(self._draw("uniform", spec, batch, stream) * np.float32(255))
        return levels / np.float32(255)

    def display_shape(self, spec: P) -> tuple[int, ...]:
        *lead, channels, height, width = spec.shape
        return (*lead, height, width) if channels == 1 else (*lead, height, width, channels)

    def is_displayed(self, value: Any, spec: P) -> bool:
        shape = self.display_shape(spec)
        return isinstance(value, np.ndarray) and value.dtype.kind == "u" and shape in (value.shape, value.shape[1:])

    def from_data(self, x: Array) -> Array:
        """uint8 (n, …, c, h, w) as (n, …, h, w), or (n, …, h, w, c)."""
        return x[..., 0, :, :] if x.shape[-3] == 1 else np.ascontiguousarray(np.moveaxis(x, -3, -1))

    def from_array(self, value: Any, spec: P, name: str) -> Array:
        """(n, …, h, w), (n, …, h, w, c) or one of n, uint8 or float in [0, 1], as float32 (n, …, c, h, w) in [0, 1]."""
        array = np.asarray(value)
        *lead, channels, height, width = spec.shape
        one, shape = (*lead, height, width, channels), array.shape
        if channels == 1 and shape[-len(one) + 1 :] == one[:-1]:
            array = array[..., None]
        if array.shape == one:
            array = array[None]
        if array.ndim != len(one) + 1 or array.shape[1:] != one:
            wanted = batch_shape(self.display_shape(spec))
            raise SettingError(f"{name} has shape {shape}; {self.unit} for this model are {wanted}.")
        if array.dtype == np.uint8:
            array = array.astype(np.float32) / np.float32(255)
        elif array.dtype.kind in "bf":
            if array.size and not (array.min() >= 0 and array.max() <= 1):
                raise SettingError(
                    f"{name} has values from {array.min():g} to {array.max():g}; floats must lie in [0, 1]."
                )
        else:
            raise SettingError(
                f"{name} has dtype {array.dtype}; {self.unit} are uint8 from 0 to 255, or floats in [0, 1]."
            )
        return np.ascontiguousarray(np.moveaxis(array, -1, -3), np.float32)


class ImageKind(PixelKind[Image]):
    """uint8 (n, h, w) in grey, else (n, h, w, c)."""

    noun, medium, unit, tag = "an image", "images", "images", "image-generation"
    card_count, card_ending = 16, ".png"
    endings = (".png", ".npy")
    layout = Layout(64, 8, 1)
    compared = (16, 8)

    def to_batch(self, value: Any, spec: Image, name: str, reading: Reading) -> Array:
        """Also floats in [0, 1], PIL images, file names, and lists of these.

        Files are turned as their EXIF orientation says, and transparent pixels are laid on the background, but for a
        model of 4 channels, which takes red, green, blue and alpha. Other numbers of channels are in no image file.
        """
        files = file_names(value)
        if files and all(str(file).endswith(".npy") for file in files):
            names = [name] if len(files) == 1 else map(str, files)
            return np.concatenate(
                [self.from_array(stored(file), spec, of) for file, of in zip(files, names, strict=True)]
            )
        if isinstance(value, (str, Path)) or hasattr(value, "convert"):
            value = [value]
        if isinstance(value, np.ndarray):
            return self.from_array(value, spec, name)
        if not isinstance(value, Sequence) or not value:
            raise SettingError(f"{name} is {type(value).__name__}; it must be images, file names or an array.")
        return np.concatenate([self._one(item, spec, name, reading) for item in value])

    def _one(self, item: Any, spec: Image, name: str, reading: Reading) -> Array:
        """An image, a file name or an array as an array with a batch axis of 1."""
        label = str(item) if isinstance(item, (str, Path)) else name
        is_image = isinstance(item, (str, Path)) or hasattr(item, "convert")
        if is_image and spec.channels not in images.CHANNELS:
            raise DataError(
                f"{label} is an image file, and images of this model have {spec.channels} channels. Give a .npy file."
            )
        return self.from_array(_opened(item, spec, label, reading) if is_image else item, spec, label)

    def takes(self, spec: Image) -> str:
        size, given = f"{spec.width}×{spec.height} pixels", f"{self.gives(spec)}, or floats in [0, 1]"
        if spec.channels not in images.CHANNELS:
            return f"{given}; the names of .npy files; all of {size}"
        return f"{given}; PIL images; the names of image files; all of {size}"

    def describe(self, spec: Image) -> str:
        words = {1: "", 3: " in colour"}.get(spec.channels, f" of {spec.channels} channels")
        return f"image {spec.height}×{spec.width}{words}"

    def frames(self, samples: Any, spec: Image) -> Pixels:
        """In grey or in colour; of other numbers of channels the planes side by side, in grey."""
        levels = np.asarray(samples, np.uint8)
        if spec.channels in (1, 3):
            return levels
        return np.moveaxis(levels, -1, -2).reshape(len(levels), *self.cell(spec))

    def cell(self, spec: Image) -> tuple[int, int]:
        return spec.height, spec.width * (1 if spec.channels in (1, 3) else spec.channels)


def _opened(item: Any, spec: Image, label: str, reading: Reading) -> Array:
    """An image or a file name as an array."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        if isinstance(item, (str, Path)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked first
                with Pillow.open(expand(item), formats=images.formats()) as opened:
                    return _pixels(opened, spec, label, reading)
        return _pixels(item, spec, label, reading)
    except FileNotFoundError as error:
        raise DataError(f"{label or repr(label)} does not exist. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{label} is a folder; the name of an image file is needed.") from error
    except Pillow.DecompressionBombError as error:
        raise DataError(f"{label} is too large an image. Make it smaller first.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{label} is no image that can be read, or it is damaged.") from error


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
    if image.mode != "F" or spec.channels == 4:
        return images.pixels(image, spec.channels, label, options)
    floats: Array = np.asarray(image)
    return floats if spec.channels == 1 else np.repeat(floats[..., None], 3, axis=2)
