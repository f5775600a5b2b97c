"""The files of a user's own folder, by split and class: the rules that folder: and audio: share.

Classes are subfolders (sorted by name; what lies deeper belongs to them too), or the files lie directly in DIR and have
no labels. Where DIR has the subfolders train and test, these are the splits; otherwise every tenth file in sorted
order, from the first on, is to test. What begins with a dot is left out. Within a split files lie in the order of their
paths' SHA-256, which is the same on every machine, so that the first ones of a split are of all classes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.core import files
from zoo.core.errors import DataError, unreadable
from zoo.data.dataset import Split
from zoo.media.images import shown

SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""Folders of such a name are no classes."""


@dataclass(frozen=True, kw_only=True)
class Sort:
    """What sort of files is looked for."""

    kind: str
    """The word before the colon: ``"folder"``."""
    one: str
    """``"image"``."""
    endings: tuple[str, ...]


class Found(NamedTuple):
    """A file and the name of its class."""

    path: Path
    label: str | None


@dataclass(frozen=True)
class Tree:
    """The files of a folder."""

    root: Path
    one: str
    """What one of the files is: ``"image"``."""
    splits: Mapping[Split, Sequence[Found]]
    """Each in the order of :func:`_mixed`."""
    classes: tuple[str, ...]
    """The names of all that are in either split; () without labels."""
    left_out: tuple[Path, ...] = ()
    """The files that are of another sort."""

    @property
    def name(self) -> str:
        """The folder's own name, without those above it, as text: see :func:`zoo.media.images.shown`."""
        return shown(self.root.resolve().name)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes as text."""
        return tuple(map(shown, self.classes))

    @property
    def note(self) -> str:
        """What people should know: how many files were left out, and classes without files to train on."""
        return "; ".join(filter(None, [self._said_of_left_out, self._said_of_classes]))

    @property
    def _said_of_classes(self) -> str:
        """The classes of which all files are to test, as text; empty where there are none."""
        trained = {found.label for found in self.splits["train"]}
        lacking = [shown(name) for name in self.classes if name not in trained]
        if not lacking:
            return ""
        names, more = ", ".join(map(repr, lacking[:3])), ", …" if len(lacking) > 3 else ""
        return f"no {self.one} to train on is of {'the class' if len(lacking) == 1 else 'the classes'} {names}{more}"

    @property
    def _said_of_left_out(self) -> str:
        """How many files were left out, and examples of their names; empty where none was."""
        count = len(self.left_out)
        if not count:
            return ""
        names = ", ".join(repr(path.name) for path in self.left_out[:3])
        what = f"1 file is no {self.one}" if count == 1 else f"{count:,} files are no {self.one}s"
        was, more = "was" if count == 1 else "were", ", …" if count > 3 else ""
        return (
            f"{what} that can be read, by {'its' if count == 1 else 'their'} ending, and {was} left out: {names}{more}"
        )

    @property
    def every(self) -> list[Path]:
        """The files of both splits."""
        return [found.path for part in self.splits.values() for found in part]

    def paths(self, split: Split) -> list[Path]:
        """The files of a split."""
        return [found.path for found in self.splits[split]]

    def labels(self, split: Split) -> NDArray[np.int64] | None:
        """int64 (n,), or None."""
        if not self.classes:
            return None
        number = {label: index for index, label in enumerate(self.classes)}
        return np.array([number[found.label] for found in self.splits[split] if found.label is not None], np.int64)

    def fingerprint(self, split: Split, form: Iterable[int | str]) -> str:
        """The SHA-256 of what is known without reading the files: their form, and each one's path, size and class."""
        digest = hashlib.sha256(json.dumps(list(form)).encode())
        for path, label in self.splits[split]:
            entry = [path.relative_to(self.root).as_posix(), os.stat(path).st_size, label]
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()


def find(given: str, sort: Sort) -> Tree:
    """The files of a sort in the folder that was given; :class:`DataError` where there are none to use."""
    root = files.expand(given)
    if os.path.isfile(root):
        raise DataError(
            f"{given!r} is a file, and {sort.kind}: takes a folder. Name the folder that holds the {sort.one}s."
        )
    if not os.path.isdir(root):
        raise DataError(f"The folder {given!r} does not exist. Check the path after '{sort.kind}:'.")
    left_out: list[Path] = []
    splits = {split: _mixed(part, root) for split, part in _splits(root, sort, left_out).items()}
    classes = {found.label for part in splits.values() for found in part if found.label is not None}
    return Tree(root, sort.one, splits, tuple(sorted(classes)), tuple(sorted(left_out)))


def _mixed(part: list[Found], root: Path) -> list[Found]:
    """Files in the order of the SHA-256 of their paths below the folder."""

    def key(found: Found) -> bytes:
        name = found.path.relative_to(root).as_posix()
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()  # a name may be no UTF-8

    return sorted(part, key=key)


def _splits(root: Path, sort: Sort, left_out: list[Path]) -> dict[Split, list[Found]]:
    if os.path.isdir(root / "train") and os.path.isdir(root / "test"):
        train, test = _files(root / "train", sort, left_out), _files(root / "test", sort, left_out)
        if (train[0].label is None) != (test[0].label is None):
            bare, classed = ("train", "test") if train[0].label is None else ("test", "train")
            raise DataError(
                f"{str(root)!r} has class folders in {classed} and none in {bare}. Use them in both or neither."
            )
        return {"train": train, "test": test}
    every = _files(root, sort, left_out)
    split_names = sorted({found.label for found in every if found.label is not None and found.label.lower() in SPLITS})
    if split_names:
        raise DataError(
            f"{str(root)!r} has the folders {', '.join(split_names)}, which are names of splits and no classes. "
            "Name them train and test, or move the classes up."
        )
    if len(every) < 2:
        raise DataError(
            f"{str(root)!r} has 1 {sort.one}, and at least 2 are needed: to train on and to test. Add more."
        )
    return {"train": [found for index, found in enumerate(every) if index % 10], "test": every[::10]}


def _files(folder: Path, sort: Sort, left_out: list[Path]) -> list[Found]:
    """The files in a folder, sorted: all of them directly in it, or all of them in class folders.

    Those of another sort are added to `left_out`.
    """
    bare: list[Found] = []
    classed: list[Found] = []
    try:
        entries = sorted(entry for entry in os.listdir(folder) if not entry.startswith("."))
    except OSError as error:
        raise unreadable(error.filename, error) from error
    for entry in entries:
        path = folder / entry
        if os.path.isdir(path):
            classed += [Found(deeper, entry) for deeper in _below(path, sort, left_out)]
        elif _is_one(path, sort):
            bare.append(Found(path, None))
        else:
            left_out.append(path)
    if bare and classed:
        raise DataError(
            f"{str(folder)!r} has {sort.one}s both directly in it ({bare[0].path.name!r}) and in class folders "
            f"({classed[0].label!r}). Move them, so that it is one or the other."
        )
    if not bare and not classed:
        raise DataError(f"{str(folder)!r} has no {sort.one}s. Put files that end in {', '.join(sort.endings)} there.")
    return bare or classed


def _below(folder: Path, sort: Sort, left_out: list[Path]) -> list[Path]:
    """The files of a class, sorted: in its folder and at any depth below, links to folders not followed."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    paths: list[Path] = []
    for here, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in [Path(here, name) for name in names if not name.startswith(".")]:
            (paths if _is_one(path, sort) else left_out).append(path)
    return sorted(paths, key=lambda path: path.parts)


def _is_one(path: Path, sort: Sort) -> bool:
    return path.name.lower().endswith(sort.endings) and os.path.isfile(path)
