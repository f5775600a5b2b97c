"""Data sets: ``load("mnist", "train")`` gives one whole split as numpy arrays. Needs no torch.

    digits        1,797 pictures of 8x8, part of scikit-learn: no download
    mnist         70,000 pictures of 28x28
    shakespeare   1.1 million characters
    descriptions  15,000 characters, part of scikit-learn: no download
    folder:DIR    your own pictures; subfolders are classes
    text:FILE     your own UTF-8 text

Named sets lie under the data folder: `data_dir`, else $ZOO_DATA_DIR, else a cache folder of the user. What is not
there is downloaded, and every byte of a named set is checked against its known SHA-256.
"""

from __future__ import annotations

import os
from pathlib import Path

from zoo.data import digits, folder, mnist, text
from zoo.data.dataset import DataSet, Split
from zoo.data.store import Progress
from zoo.errors import DataError, SettingError, suggest

__all__ = ["NAMES", "DataSet", "data_folder", "load"]

NAMES = ("digits", "mnist", "shakespeare", "descriptions")


def load(
    name: str,
    split: Split,
    *,
    data_dir: str | Path | None = None,
    length: int = 128,
    progress: Progress | None = None,
) -> DataSet:
    """One split of a data set.

    `length` is the number of characters in a window of text. `progress` is called during a download with the bytes
    that are done, the bytes in all (or None) and the name of the file.
    """
    if split not in ("train", "test"):
        raise SettingError(f"A data set has no split {split!r}. Choose train or test.")
    if length < 2:
        raise SettingError(f"A window of text of length {length} is too short: at least 2 characters are needed.")
    kind, _, rest = name.partition(":")
    if name == "digits":
        return digits.load(split)
    if name == "mnist":
        return mnist.load(split, data_folder(data_dir), progress)
    if name == "shakespeare":
        return text.shakespeare(split, length, data_folder(data_dir), progress)
    if name == "descriptions":
        return text.descriptions(split, length)
    if kind == "folder" and rest:
        return folder.load(rest, split)
    if kind == "text" and rest:
        return text.load(rest, split, length)
    raise DataError(_unknown(name))


def data_folder(given: str | Path | None = None) -> Path:
    """The folder under which named data sets lie: `given`, else $ZOO_DATA_DIR, else the user's cache folder."""
    if given or (given := os.environ.get("ZOO_DATA_DIR")):
        return Path(os.path.expanduser(given))
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")  # XDG: a relative one is ignored
    return Path(base) / "zoo" / "data"


def _unknown(name: str) -> str:
    kind = name.partition(":")[0]
    if kind == "folder":
        return f"{name!r} names no folder. Write folder:DIR, where DIR holds the pictures."
    if kind == "text":
        return f"{name!r} names no file. Write text:FILE, where FILE is a text in UTF-8."
    if os.path.isdir(name):
        near = f" Did you mean {f'folder:{name}'!r}?"
    elif os.path.isfile(name):
        near = f" Did you mean {f'text:{name}'!r}?"
    else:
        near = suggest(kind, [*NAMES, "folder", "text"])
    return f"No data set named {name!r}.{near} Known are {', '.join(NAMES)}, folder:DIR (pictures), text:FILE (UTF-8)."
