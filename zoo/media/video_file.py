"""Videos from files: an animated PNG, GIF or WebP, or a folder of images that are its frames, in sorted order.

Names are sorted with numbers by their value: ``2.png`` comes before ``10.png``. Frames are read one by one as they are
stored; how long each is shown does not matter.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.contract.data import ImageOptions
from zoo.core.errors import DataError, one_line, unreadable
from zoo.media import images
from zoo.media.images import AS_THEY_ARE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]

ENDINGS = (".png", ".apng", ".gif", ".webp")
"""Of the files that may be animated."""


class Form(NamedTuple):
    """What is known of a video before its pixels are read."""

    frames: int
    size: tuple[int, int]
    """(width, height) of the first frame."""
    transparent: bool


def form(source: str | Path, name: str) -> Form:
    """The form of a video, before its pixels are read. Raises :class:`DataError`, which calls the video `name`."""
    count, size, transparent = 0, (0, 0), False
    for _, frame in _frames(source, name):
        size = size if count else images.size_of(frame)
        transparent = transparent or images.is_transparent(frame)
        count += 1
    return Form(count, size, transparent)


def moves(path: Path) -> bool:
    """Whether a file is an animation."""
    with _opened(path, str(path)) as image:
        return bool(getattr(image, "is_animated", False))


def is_folder(path: Path) -> bool:
    """Whether a folder is one video: the first of its images is no animation. Raises :class:`DataError`."""
    files = frame_files(path)
    return bool(files) and not moves(files[0])


def frame_files(folder: Path) -> list[Path]:
    """The images in a folder, sorted. Raises :class:`DataError` for a folder that cannot be read."""
    try:
        found = [name for name in os.listdir(folder) if name.lower().endswith((*images.ENDINGS, ".apng"))]
    except OSError as error:
        raise unreadable(folder, error) from error
    return [folder / name for name in sorted(found, key=_by_number) if not name.startswith(".")]


def read(
    source: Any,
    channels: int,
    name: str,
    options: ImageOptions = AS_THEY_ARE,
    *,
    most: int = 0,
    size: tuple[int, int] | None = None,
    fit: Literal["", "crop", "pad"] = "",
) -> Pixels:
    """The first `most` frames (0: all) of a video: uint8 (f, h, w) for 1 channel, or (f, h, w, 3) for 3.

    `source` is the path of a file or a folder, or a Pillow image. Each frame is read as :func:`zoo.media.images.pixels`
    reads an image. With a `size`, (width, height), frames of another size are cut or padded by `fit`, or are an error.
    Raises :class:`DataError`, which calls the video `name`, where it is damaged or its frames differ in size.
    """
    import numpy as np

    made: list[Pixels] = []
    for label, frame in _frames(source, name):
        with _readable(label):
            if size is not None and not fit and images.size_of(frame) != size:
                width, height = images.size_of(frame)
                raise DataError(
                    f"{name} is {width}×{height} pixels; this model takes {size[0]}×{size[1]}. Resize it first, or "
                    "give --fit crop or --fit pad."
                )
            pixels = images.pixels(frame, channels, label, options)
        made.append(images.fitted(pixels, size, fit, options) if size is not None and fit else pixels)
        if made[-1].shape != made[0].shape:
            raise DataError(f"{name} has frames of several sizes: {_size(made[0])} and {_size(made[-1])}. Resize them.")
        if len(made) == most:
            break
    return np.stack(made)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


def _frames(source: Any, name: str) -> Iterator[tuple[str, Image.Image]]:
    """Each frame in turn, at least one: what errors call it, and a Pillow image that is valid until the next."""
    if hasattr(source, "seek") and hasattr(source, "convert"):
        yield from ((name, image) for image in _moments(source, name))
    elif os.path.isdir(source):
        files = frame_files(Path(source))
        if not files:
            raise DataError(f"{name} is a folder without images; its images would be the frames of a video.")
        for path in files:
            with _opened(path, str(path)) as image:
                yield str(path), image
    else:
        with _opened(Path(source), name) as image:
            yield from ((name, frame) for frame in _moments(image, name))


def _moments(image: Image.Image, name: str) -> Iterator[Image.Image]:
    """The frames of an opened file; an image that an animated PNG has only for other viewers is none."""
    at = 1 if image.info.get("default_image") else 0
    while True:
        with _readable(name):
            try:
                image.seek(at)
            except EOFError:
                return
        yield image
        at += 1


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Image.Image]:
    """Open an image."""
    from PIL import Image as Pillow

    with _readable(name):
        image = Pillow.open(path, formats=images.formats())
    with image:
        yield image


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Make any error while a file is read a :class:`DataError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, and about sizes that memory allows
            yield
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist. Check the path.") from error
    except PermissionError as error:
        raise unreadable(name, error) from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise DataError(
            f"{name} is damaged, or no animated PNG, GIF or WebP ({one_line(error)[:200]}). Replace it or remove it."
        ) from error


def _by_number(name: str) -> list[tuple[int, str]]:
    """A sort key: digits count by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]
