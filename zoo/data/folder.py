"""folder:DIR: the user's own pictures, all of one size; :mod:`zoo.data.tree` says how they lie.

Pictures that are all grey have 1 channel, otherwise all have 3; alpha is dropped, 16 bits become 8, an animation gives
its first frame, and an EXIF rotation is not applied. Where both splits together would take more memory than
:func:`zoo.data.memory.limit`, they are read as they are needed: `x` is a :class:`zoo.data.stream.Stream`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from zoo import pictures
from zoo.data import memory, tree
from zoo.data.dataset import DataSet, Split, fingerprint
from zoo.data.store import unreadable
from zoo.data.stream import Stream
from zoo.errors import DataError, one_line
from zoo.specs import Image, Sample

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
LARGEST_SIDE = 4096
PICTURES = tree.Sort(kind="folder", one="picture", endings=ENDINGS)


def own(given: str, split: Split) -> DataSet:
    """One split of the pictures in a folder."""
    most = memory.limit()
    found = tree.find(given, PICTURES)
    paths, labels = found.paths(split), found.labels(split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        form = _common_form(found.every)
        if len(found.every) * math.prod(form) > most:
            x: NDArray[np.uint8] | Stream = Stream(paths, form, decode)
        else:
            x = _in_memory(paths, form)
    return DataSet(
        name=f"folder:{found.name}",
        split=split,
        sample=Sample(Image(*form), classes=len(found.classes)),
        x=x,
        labels=labels,
        source=f"The user's own folder of pictures {found.name!r}",
        licence="unknown",
        sha256=found.fingerprint(split, form) if isinstance(x, Stream) else fingerprint(x, labels),
    )


def _common_form(paths: list[Path]) -> tuple[int, int, int]:
    """The channels, the height and the width that all pictures have. Reads their headers only."""
    first, size, grey = paths[0], (0, 0), True
    for path in paths:
        with _opened(path) as image:
            if max(image.size) > LARGEST_SIDE:
                raise DataError(_too_large(path))
            if path == first:
                size = image.size
            if image.size != size:
                raise DataError(
                    f"Pictures must have one size: {str(first)!r} is {size[0]}x{size[1]} and {str(path)!r} is "
                    f"{image.size[0]}x{image.size[1]} pixels. Resize or remove the odd ones."
                )
            grey = grey and _is_grey(image)
    width, height = size
    return (1 if grey else 3), height, width


def _in_memory(paths: list[Path], form: tuple[int, int, int]) -> NDArray[np.uint8]:
    """uint8 (n, c, h, w)."""
    shape = (len(paths), *form)
    try:
        x = np.empty(shape, np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{shape[0]:,} pictures of {form[2]}x{form[1]} pixels need {math.prod(shape):,} bytes of memory: too many. "
            "Set ZOO_MEMORY to less, so that they are read as they are needed."
        ) from error
    for path, row in zip(paths, x, strict=True):
        decode(path, row)
    return x


def decode(path: Path, into: NDArray[np.uint8]) -> None:
    """Read one picture into uint8 (c, h, w); :class:`DataError` if it is damaged or no longer of that size."""
    channels, height, width = into.shape
    with _opened(path) as image:
        if image.size != (width, height):
            raise DataError(
                f"{str(path)!r} is now {image.size[0]}x{image.size[1]} pixels, and was {width}x{height}. "
                "Put it back, or start again."
            )
        pixels = pictures.levels(image, channels)
        into[:] = pixels if channels == 1 else pixels.transpose(2, 0, 1)  # (h, w, 3) -> (3, h, w)


def _is_grey(image: Pillow.Image) -> bool:
    if image.mode == "P":
        palette = np.array(image.getpalette()).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA") or image.mode.startswith("I")


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """A picture, opened; whatever goes wrong while it is read becomes a :class:`DataError` that names it."""
    try:
        with Pillow.open(path, formats=FORMATS) as image:
            yield image
    except (DataError, MemoryError):
        raise
    except Pillow.DecompressionBombError as error:
        raise DataError(_too_large(path)) from error
    except PermissionError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise DataError(
            f"{str(path)!r} is damaged or no picture ({one_line(error)[:200]}). Replace it or remove it."
        ) from error


def _too_large(path: Path) -> str:
    return f"{str(path)!r} is larger than {LARGEST_SIDE}x{LARGEST_SIDE} pixels. Make it smaller or remove it."
