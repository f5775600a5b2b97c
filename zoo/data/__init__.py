"""Data sets: ``load("mnist", "train")`` returns one whole split as numpy arrays. Needs no torch.

Every data set is a plugin, a :class:`zoo.DataSet` behind an entry point (``zoo data list``). The files of a named set
are in the data folder: `data_dir`, else $ZOO_DATA_DIR, else a cache folder of the user. Missing files are downloaded,
and every file is checked against its known SHA-256. The user's own data is named by its kind and its path, as in
``folder:DIR``, ``text:FILE``, ``audio:DIR``, ``video:DIR`` and ``array:FILE``.

Modules are imported on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core import files
from zoo.core.errors import DataError, SettingError

if TYPE_CHECKING:
    from zoo.contract.data import SPLITS, DataSet, Split
    from zoo.contract.use import Use
    from zoo.data.data_split import DataSplit
    from zoo.data.known_file import Progress
    from zoo.data.uses import absolute, changed, completed, data_set, options_of, parse, replaced, unknown

_HOME = {
    "zoo.contract.data": ("SPLITS",),
    "zoo.data.data_split": ("DataSplit",),
    "zoo.data.uses": (
        "absolute", "changed", "completed", "data_set", "options_of", "parse", "replaced", "unknown",
    ),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "SPLITS", "DataSplit", "absolute", "changed", "completed", "data_folder", "data_set", "load", "named",
    "options_of", "parse", "replaced", "unknown",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'zoo.data' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def load(
    name: str | Use,
    split: Split,
    *,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> DataSplit:
    """Load one split of a data set, with those `options` of it that are not the defaults: ``size=32``.

    During a download, `progress` is called with the bytes done, the total bytes (or None) and the name of the file.
    Raises :class:`DataError` for data that is missing, damaged or of the wrong form, :class:`SettingError` for an
    option that the data set does not have or that is out of range, and :class:`PluginError` where the plugin of the
    data set is wrong.
    """
    from zoo.contract.data import SPLITS
    from zoo.contract.use import Use
    from zoo.data.loading import load_split

    if split not in SPLITS:
        raise SettingError(f"A data set has no split {split!r}. Choose train or test.")
    given = name if isinstance(name, Use) else Use(name)
    return load_split(Use(given.name, {**given.options, **options}), split, data_folder(data_dir), progress)


def named(name: str) -> DataSet:
    """Return a named data set. Raises :class:`DataError` for an unknown name, and for the user's own data."""
    from zoo import registry
    from zoo.data.uses import data_set

    if ":" in name and name.partition(":")[0] in registry.plugins(registry.DATA):
        kind, names = name.partition(":")[0], ", ".join(row.name for row in registry.data_rows() if not row.place)
        raise DataError(f"{name!r} is your own data, not a named data set. Name its kind, {kind}, or one of {names}.")
    known = data_set(name)
    return known


def data_folder(given: str | Path | None = None) -> Path:
    """Return the folder of named data sets: `given`, else $ZOO_DATA_DIR, else the user's cache folder."""
    if given or (given := os.environ.get("ZOO_DATA_DIR")):
        return files.expand(given)
    return files.user_cache() / "data"
