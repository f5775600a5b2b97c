"""Data sets: ``load("mnist", "train")`` returns one whole split as numpy arrays. Needs no torch.

Named sets (:data:`zoo.data.table.NAMED`; ``zoo data list``) are in the data folder: `data_dir`, else $ZOO_DATA_DIR,
else a cache folder of the user. Missing files are downloaded, and every file is checked against its known SHA-256.
The user's own data:

    folder:DIR   images, of one size or resized; subfolders are classes
    text:FILE    a text in UTF-8
    audio:DIR    audio files of one sampling rate; subfolders are classes
    video:DIR    animated PNG, GIF or WebP files, or folders of frames; subfolders are classes
    array:FILE   numbers in a .npy file, or a table in a .csv or .parquet file

Modules are imported on first use.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from zoo.core import files
from zoo.core.errors import DataError, SettingError, suggest
from zoo.data.dataset import DataSet, Options, Split, resized
from zoo.data.known_file import Progress
from zoo.data.named import NamedSet
from zoo.data.table import NAMED
from zoo.media.images import ImageOptions

__all__ = ["NAMED", "OWN", "DataSet", "absolute", "data_folder", "form", "load", "named"]

FORM: Mapping[str, tuple[type, ...]] = {
    "length": (int,),
    "seconds": (int, float),
    "bands": (int,),
    "size": (int,),
    "fit": (str,),
    "background": (str,),
}
"""The options that define the form of a sample, and their types; recipes have fields of the same names."""

OWN = {
    "folder": ("folder:DIR", "names no folder", "where DIR holds the images", "images"),
    "text": ("text:FILE", "names no file", "where FILE is a text in UTF-8", "UTF-8"),
    "audio": ("audio:DIR", "names no folder", "where DIR holds the audio files", "audio"),
    "video": ("video:DIR", "names no folder", "where DIR holds the videos", "videos"),
    "array": ("array:FILE", "names no file", "where FILE is a .npy, .csv or .parquet file", "numbers"),
}
"""The user's own data, by the word before the colon: its syntax, and parts of messages about it."""


def load(
    name: str,
    split: Split,
    *,
    data_dir: str | Path | None = None,
    length: int = 128,
    seconds: float = 1.0,
    bands: int = 0,
    size: int = 0,
    fit: Literal["crop", "pad"] = "crop",
    background: str = "white",
    frames: int = 0,
    label: str = "",
    progress: Progress | None = None,
) -> DataSet:
    """Load one split of a data set.

    `length` is the number of characters in a window of text. `seconds` is the length of one clip, and `bands` its mel
    bands (0 keeps the waveform). `size`, `fit` and `background` are those of :class:`zoo.media.images.ImageOptions`:
    images and videos are resized to squares of `size` pixels a side (0: not resized), cropped or padded. `frames` is
    the number of frames of each of the user's own videos (0: that of the shortest), and `label` the column of classes
    of the user's own table (default: the column called label, if any). During a download,
    `progress` is called with the bytes done, the total bytes (or None) and the name of the file. Raises
    :class:`DataError` for data that is missing, damaged or of the wrong form, and :class:`SettingError` for an option
    out of range.
    """
    if split not in ("train", "test"):
        raise SettingError(f"A data set has no split {split!r}. Choose train or test.")
    if length < 2:
        raise SettingError(f"A window of text of length {length} is too short: at least 2 characters are needed.")
    if not 0 < seconds < math.inf:
        raise SettingError(f"An audio clip of seconds = {seconds} is not possible: it must be above 0.")
    if bands < 0:
        raise SettingError(f"bands = {bands} is not possible: it must be 0 (the waveform) or more.")
    images = ImageOptions(size=size, fit=fit, background=background)
    options = Options(
        data_dir=data_folder(data_dir), length=length, seconds=seconds, bands=bands, images=images, progress=progress
    )
    if name in NAMED:
        made: DataSet = import_module(NAMED[name].loader).load(NAMED[name], split, options)
        return resized(made, images)
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        from zoo.data import image_folder

        return image_folder.own(rest, split, images)
    if kind == "text" and rest:
        from zoo.data import text

        return text.own(rest, split, length)
    if kind == "audio" and rest:
        from zoo.data import audio_folder

        return audio_folder.own(rest, split, options)
    if kind == "video" and rest:
        from zoo.data import video_folder

        return video_folder.own(rest, split, images, frames)
    if kind == "array" and rest:
        from zoo.data import array_file

        return array_file.own(rest, split, label)
    raise DataError(_unknown(name))


def form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of :func:`load` that define the form of a sample, from a recipe's fields.

    Fields of another type are left out.
    """
    return {key: fields[key] for key, types in FORM.items() if type(fields.get(key)) in types}


def absolute(name: str) -> str:
    """Return the name with the path of the user's own data made absolute. Other names stay the same."""
    kind, _, place = name.partition(":")
    return f"{kind}:{os.path.abspath(files.expand(place))}" if kind in OWN and place else name


def named(name: str) -> NamedSet:
    """Return the description of a named data set. Raises :class:`DataError` for an unknown name."""
    if name not in NAMED:
        kind = name.partition(":")[0]
        if kind in OWN:
            raise DataError(f"{name!r} is your own data, not a named data set. Name one of {', '.join(NAMED)}.")
        raise DataError(_unknown(name))
    return NAMED[name]


def data_folder(given: str | Path | None = None) -> Path:
    """Return the folder of named data sets: `given`, else $ZOO_DATA_DIR, else the user's cache folder."""
    if given or (given := os.environ.get("ZOO_DATA_DIR")):
        return files.expand(given)
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")  # XDG: a relative path is ignored
    return Path(base) / "zoo" / "data"


def _unknown(name: str) -> str:
    """Return the message for an unknown data set."""
    kind = name.partition(":")[0]
    if kind in OWN:
        form, lacks, hint, _ = OWN[kind]
        return f"{name!r} {lacks}. Write {form}, {hint}."
    if os.path.isdir(name):
        near = f" Did you mean {f'folder:{name}'!r}?"
    elif os.path.isfile(name):
        kind = "array" if name.lower().endswith((".npy", ".csv", ".parquet")) else "text"
        near = f" Did you mean {f'{kind}:{name}'!r}?"
    else:
        near = suggest(kind, [*NAMED, *OWN])
    own = ", ".join(f"{form} ({what})" for form, _, _, what in OWN.values())
    return f"No data set named {name!r}.{near} Known are {', '.join(NAMED)}, {own}."
