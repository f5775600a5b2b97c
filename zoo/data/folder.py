"""folder:DIR: the user's own pictures, all of one size.

Classes are subfolders (sorted by name; what lies deeper belongs to them too), or the pictures lie directly in DIR and
have no labels. Where DIR has the subfolders train and test, these are the splits; otherwise every tenth picture in
sorted order, from the first on, is to test. Pictures that are all grey have 1 channel, otherwise all have 3; alpha is
dropped, 16 bits become 8, an animation gives its first frame, and an EXIF rotation is not applied.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from zoo.data.dataset import DataSet, Split, fingerprint
from zoo.data.store import unreadable
from zoo.errors import DataError, one_line
from zoo.specs import Image, Sample

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
LARGEST_SIDE = 4096


class Found(NamedTuple):
    """A picture file and the name of its class."""

    path: Path
    label: str | None


def load(given: str, split: Split) -> DataSet:
    """One split of the pictures in a folder."""
    root = Path(os.path.expanduser(given))
    if os.path.isfile(root):
        raise DataError(f"{given!r} is a file, and folder: takes a folder. Name the folder that holds the pictures.")
    if not os.path.isdir(root):
        raise DataError(f"The folder {given!r} does not exist. Check the path after 'folder:'.")
    splits = find(root)
    channels, height, width = _common_form([found.path for part in splits.values() for found in part])
    x = _pixels([found.path for found in splits[split]], channels, height, width)
    classes = sorted({found.label for part in splits.values() for found in part if found.label is not None})
    number = {label: index for index, label in enumerate(classes)}
    labels = np.array([number[found.label] for found in splits[split] if found.label is not None], np.int64)
    name = root.resolve().name
    return DataSet(
        name=f"folder:{name}",
        split=split,
        sample=Sample(Image(channels, height, width), classes=len(classes)),
        x=x,
        labels=labels if classes else None,
        source=f"The user's own folder of pictures {name!r}",
        licence="unknown",
        sha256=fingerprint(x, labels if classes else None),
    )


def find(root: Path) -> dict[Split, list[Found]]:
    """The pictures of both splits, each sorted."""
    if os.path.isdir(root / "train") and os.path.isdir(root / "test"):
        train, test = _pictures(root / "train"), _pictures(root / "test")
        if (train[0].label is None) != (test[0].label is None):
            bare, classed = ("train", "test") if train[0].label is None else ("test", "train")
            raise DataError(
                f"{str(root)!r} has class folders in {classed} and none in {bare}. Use them in both or neither."
            )
        return {"train": train, "test": test}
    every = _pictures(root)
    if len(every) < 2:
        raise DataError(f"{str(root)!r} has 1 picture, and at least 2 are needed: to train on and to test. Add more.")
    return {"train": [found for index, found in enumerate(every) if index % 10], "test": every[::10]}


def _pictures(folder: Path) -> list[Found]:
    """The pictures in a folder, sorted: all of them directly in it, or all of them in class folders."""
    bare: list[Found] = []
    classed: list[Found] = []
    try:
        entries = sorted(entry for entry in os.listdir(folder) if not entry.startswith("."))
    except OSError as error:
        raise unreadable(error.filename, error) from error
    for entry in entries:
        path = folder / entry
        if os.path.isdir(path):
            classed += [Found(deeper, entry) for deeper in _below(path)]
        elif _is_picture(path):
            bare.append(Found(path, None))
    if bare and classed:
        raise DataError(
            f"{str(folder)!r} has pictures both directly in it ({bare[0].path.name!r}) and in class folders "
            f"({classed[0].label!r}). Move them, so that it is one or the other."
        )
    if not bare and not classed:
        raise DataError(f"{str(folder)!r} has no pictures. Put files that end in {', '.join(ENDINGS)} there.")
    return bare or classed


def _below(folder: Path) -> list[Path]:
    """The pictures of a class, sorted: in its folder and at any depth below, links to folders not followed."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    paths = []
    for here, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        paths += [Path(here, name) for name in names if not name.startswith(".") and _is_picture(Path(here, name))]
    return sorted(paths, key=lambda path: path.parts)


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS) and os.path.isfile(path)


def _common_form(paths: list[Path]) -> tuple[int, int, int]:
    """The channels, the height and the width that all pictures have."""
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


def _pixels(paths: list[Path], channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (n, c, h, w)."""
    shape = (len(paths), channels, height, width)
    try:
        x = np.empty(shape, np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{shape[0]:,} pictures of {width}x{height} pixels need {math.prod(shape):,} bytes of memory: too many. "
            "Use fewer or smaller pictures."
        ) from error
    for index, path in enumerate(paths):
        with _opened(path) as image:
            if image.mode.startswith("I"):  # 16 bits
                x[index] = np.asarray(image).clip(0, 65535) >> 8
            elif channels == 1:
                x[index] = np.asarray(image.convert("L"))
            else:
                x[index] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)  # (h, w, 3) -> (3, h, w)
    return x


def _is_grey(image: Pillow.Image) -> bool:
    if image.mode == "P":
        palette = np.array(image.getpalette()).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA") or image.mode.startswith("I")


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """A picture, opened; whatever goes wrong while it is read becomes a :class:`DataError` that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of a transparency that is dropped
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
