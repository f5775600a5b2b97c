"""Where the files of a data set are on this machine. Reads no file, and needs only paths: those of a registry do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.core import files
from zoo.core.errors import installed

if TYPE_CHECKING:
    from zoo.contract.data import DataSet, Files, KnownFile

MODULES = {"scikit-learn": "sklearn"}
"""The modules of packages that are imported by another name."""

Candidates = Mapping[str, Sequence[Sequence[Sequence[str]]]]
"""Of each split, the :attr:`KnownFile.candidates` of each file."""


def locate(known: KnownFile, data_dir: Path) -> Path | None:
    """Return the path of a known file in the data folder, or its first unpacked folder, or None. Reads no file."""
    return first_there(known.candidates, data_dir)


def first_there(candidates: Iterable[Iterable[str]], data_dir: Path) -> Path | None:
    """Return the first path of the first of :attr:`KnownFile.candidates` all of which exist, or None."""
    for paths in candidates:
        if all((os.path.isdir if path.endswith("/") else os.path.isfile)(data_dir / path) for path in paths):
            return data_dir / next(iter(paths))
    return None


def candidates(known: Files) -> Candidates:
    """Return the places of the files of each split, as a registry holds them."""
    return {split: [[list(paths) for paths in file.candidates] for file in several] for split, several in known.items()}


def chosen(known: DataSet, split: str, data_dir: Path) -> tuple[KnownFile, ...]:
    """Return the files to read for a split: `unpacked` if all of these exist and some of `files` do not."""
    published, instead = known.files.get(split, ()), known.unpacked.get(split, ())
    lacking = any(locate(file, data_dir) is None for file in published)
    return instead if instead and lacking and all(locate(file, data_dir) for file in instead) else published


def place(entry: Mapping[str, Any], distribution: str, data_dir: Path) -> str | None:
    """Return where the data of an entry of a registry is, or None if it is missing."""
    if package := entry.get("package"):
        return f"part of {package}" if installed(MODULES.get(package, package)) else None
    if not entry.get("files"):
        return f"part of {distribution}"
    paths = [path for split in entry["files"] for path in _paths(entry, split, data_dir)]
    folders = dict.fromkeys(str(path.parent) for path in paths if path)
    return ", ".join(folders) if all(paths) else None


def located(name: str, data_dir: Path) -> str | None:
    """Return where a data set is, or None if it is missing: the user's own, or one that its plugin describes."""
    from zoo.data.uses import data_set

    known, (kind, _, own) = data_set(name), name.partition(":")
    if known.place:
        return own if files.expand(own).exists() else None
    entry = {"package": known.package, "files": candidates(known.files), "unpacked": candidates(known.unpacked)}
    return place(entry, registry.find(kind, registry.DATA).distribution, data_dir)


def _paths(entry: Mapping[str, Any], split: str, data_dir: Path) -> list[Path | None]:
    packed, instead = (
        [first_there(file, data_dir) for file in (entry.get(key) or {}).get(split, ())] for key in ("files", "unpacked")
    )
    return instead if instead and all(instead) and not all(packed) else packed
