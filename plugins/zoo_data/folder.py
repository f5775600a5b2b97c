"""folder:DIR: the user's own images, of one size or resized to it. :mod:`zoo.data.folder_scan` finds the files.

If all images are grey, the data has 1 channel, otherwise 3; see :func:`zoo.media.images.pixels`. If both splits
together need more memory than :func:`zoo.core.memory.limit`, `x` is a :class:`zoo.data.stream.Stream`, which reads
images on demand.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import zoo
from zoo.contract.data import ImageOptions, Split
from zoo.core import memory
from zoo.core.errors import DataError, one_line, unreadable
from zoo.data import folder_scan
from zoo.data.data_split import fingerprint
from zoo.data.stream import Stream
from zoo.media import images

LARGEST_SIDE = 4096
"""The largest side in pixels of images that are not resized."""

IMAGES = folder_scan.Sort(kind="folder", one="image", endings=images.ENDINGS)


def load(split: Split, folder: Path, options: zoo.ImageOptions) -> zoo.Loaded:
    """Load one split of the images in a folder."""
    most = memory.limit()
    found = folder_scan.find(folder, IMAGES)
    paths, labels = found.paths(split), found.labels(split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata
        form, transparent = _common_form(found.every, options)
        if len(found.every) * math.prod(form) > most:
            x: NDArray[np.uint8] | Stream = Stream(paths, form, partial(decode, options=options))
        else:
            x = _in_memory(paths, form, options)
    done = options.describe(transparent=transparent)
    return zoo.Loaded(
        fields={"x": x} | ({} if labels is None else {"label": labels}),
        sample=zoo.Sample(zoo.Image(*form), {"label": zoo.Label(len(found.classes))} if found.classes else {}),
        source=f"The user's own folder of images {found.name!r}{done}",
        sha256=found.fingerprint(split, (*form, *([done] if done else [])))
        if isinstance(x, Stream)
        else fingerprint(x, labels),
        classes=found.class_names,
        note=found.note,
    )


class _Form(NamedTuple):
    """The common form of all images in a folder."""

    shape: tuple[int, int, int]
    """(channels, height, width)."""
    transparent: bool
    """Whether any image is transparent."""


def _common_form(paths: list[Path], options: ImageOptions) -> _Form:
    """Return the common form of all images after resizing. Reads only their headers."""
    first, size, grey, transparent = paths[0], (0, 0), True, False
    for path in paths:
        with _opened(path) as image:
            found = images.size_of(image)
            if not options.size and max(found) > LARGEST_SIDE:
                raise DataError(_too_large(path))
            if path == first:
                size = found
            if not options.size and found != size:
                raise DataError(
                    f"Images must have one size: {str(first)!r} is {size[0]}x{size[1]} and {str(path)!r} is "
                    f"{found[0]}x{found[1]} pixels. Make all of them squares of one size with --set data.size=64 (cut; "
                    "--set data.fit=pad pads them), or remove the odd ones."
                )
            grey = grey and images.is_grey(image, options)
            transparent = transparent or images.is_transparent(image)
    width, height = (options.size, options.size) if options.size else size
    padded = bool(options.size) and options.fit == "pad"
    return _Form(((1 if grey and (options.is_grey or not padded) else 3), height, width), transparent)


def _in_memory(paths: list[Path], form: tuple[int, int, int], options: ImageOptions) -> NDArray[np.uint8]:
    """Read all images into uint8 (n, c, h, w)."""
    shape = (len(paths), *form)
    try:
        x = np.empty(shape, np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{shape[0]:,} images of {form[2]}x{form[1]} pixels need {math.prod(shape):,} bytes of memory: too many. "
            "Set ZOO_MEMORY to less, so that images are read on demand."
        ) from error
    for path, row in zip(paths, x, strict=True):
        decode(path, row, options)
    return x


def decode(path: Path, into: NDArray[np.uint8], options: ImageOptions = images.AS_THEY_ARE) -> None:
    """Read one image into uint8 (c, h, w). Raises :class:`DataError` if it is damaged or its size has changed."""
    channels, height, width = into.shape
    with _opened(path) as image:
        size = images.size_of(image)
        if not options.size and size != (width, height):
            raise DataError(
                f"{str(path)!r} is now {size[0]}x{size[1]} pixels, and was {width}x{height}. "
                "Put it back, or start again."
            )
        pixels = images.pixels(image, channels, str(path), options)
        into[:] = pixels if channels == 1 else pixels.transpose(2, 0, 1)  # (h, w, 3) -> (3, h, w)


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """Open an image. Any error while it is read becomes a :class:`DataError` with its path."""
    try:
        with Pillow.open(path, formats=images.formats()) as image:
            yield image
    except (DataError, MemoryError):
        raise
    except Pillow.DecompressionBombError as error:
        raise DataError(_too_large(path)) from error
    except PermissionError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise DataError(
            f"{str(path)!r} is damaged or not an image ({one_line(error)[:200]}). Replace it or remove it."
        ) from error


def _too_large(path: Path) -> str:
    return (
        f"{str(path)!r} is larger than {LARGEST_SIDE}x{LARGEST_SIDE} pixels. Resize all images with "
        "--set data.size=64 or so, or remove it."
    )


folder = zoo.DataSet(
    card=zoo.DataCard(
        title="images in a folder",
        source="The user's own folder of images",
        licence="unknown",
        citation="none",
        split="DIR/train and DIR/test, else every tenth file to test",
    ),
    options=zoo.ImageOptions,
    load=load,
    place="DIR",
)
