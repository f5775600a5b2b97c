"""Finds the files of a user's own folder, by split and class: the rules that folder: and audio: share.

Classes are the subfolders of DIR, sorted by name, with all files at any depth below them. Files directly in DIR have no
labels. If DIR has the subfolders train and test, these are the splits. Otherwise every tenth file in sorted order,
starting with the first, is a test file. Names that begin with a dot are ignored. Within a split, files are ordered by
the SHA-256 of their paths, which is the same on every machine, so that the first files of a split are of all classes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.contract.data import Split
from zoo.core.errors import DataError, unreadable
from zoo.media.images import shown

SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""Folders with these names are not classes."""


@dataclass(frozen=True, kw_only=True)
class Sort:
    """The sort of files to find."""

    kind: str
    """The word before the colon: ``"folder"``."""
    one: str
    """The word for one file: ``"image"``."""
    endings: tuple[str, ...]
    is_folder: Callable[[Path], bool] | None = None
    """Whether a folder is one item itself, like a video as a folder of frames; None: no folder is."""

    def is_one(self, path: Path) -> bool:
        """Whether a path is an item of this sort."""
        if os.path.isdir(path):
            return self.is_folder is not None and self.is_folder(path)
        return path.name.lower().endswith(self.endings) and os.path.isfile(path)


class Found(NamedTuple):
    """A file and the name of its class."""

    path: Path
    label: str | None


@dataclass(frozen=True)
class Tree:
    """The files of a folder."""

    root: Path
    one: str
    """The word for one file: ``"image"``."""
    splits: Mapping[Split, Sequence[Found]]
    """The files of each split, in the order of :func:`_mixed`."""
    classes: tuple[str, ...]
    """The names of the classes of both splits; () without labels."""
    left_out: tuple[Path, ...] = ()
    """The files of another sort."""

    @property
    def name(self) -> str:
        """The name of the folder without its parents, as text: see :func:`zoo.media.images.shown`."""
        return shown(self.root.resolve().name)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes as text."""
        return tuple(map(shown, self.classes))

    @property
    def note(self) -> str:
        """Warnings for the user: the number of ignored files, and classes without training files."""
        return "; ".join(filter(None, [self._said_of_left_out, self._said_of_classes]))

    @property
    def _said_of_classes(self) -> str:
        """The classes without training files, as text; empty if there are none."""
        trained = {found.label for found in self.splits["train"]}
        lacking = [shown(name) for name in self.classes if name not in trained]
        if not lacking:
            return ""
        names, more = ", ".join(map(repr, lacking[:3])), ", …" if len(lacking) > 3 else ""
        subject, verb = ("the class", "has") if len(lacking) == 1 else ("the classes", "have")
        return f"{subject} {names}{more} {verb} no training {self.one}"

    @property
    def _said_of_left_out(self) -> str:
        """The number of ignored files, and examples of their names; empty if there are none."""
        count = len(self.left_out)
        if not count:
            return ""
        names = ", ".join(repr(path.name) for path in self.left_out[:3])
        files, were = ("1 file does", "was") if count == 1 else (f"{count:,} files do", "were")
        more = ", …" if count > 3 else ""
        one = f"{'an' if self.one[0] in 'aeiou' else 'a'} {self.one}"
        return f"{files} not have the extension of {one} and {were} ignored: {names}{more}"

    @property
    def every(self) -> list[Path]:
        """The files of both splits."""
        return [found.path for part in self.splits.values() for found in part]

    def paths(self, split: Split) -> list[Path]:
        """The files of a split."""
        return [found.path for found in self.splits[split]]

    def labels(self, split: Split) -> NDArray[np.int64] | None:
        """The labels of a split: int64 (n,), or None."""
        if not self.classes:
            return None
        number = {label: index for index, label in enumerate(self.classes)}
        return np.array([number[found.label] for found in self.splits[split] if found.label is not None], np.int64)

    def fingerprint(self, split: Split, form: Iterable[int | str]) -> str:
        """Return the SHA-256 of the form and of each file's path, size and class. Reads no file."""
        digest = hashlib.sha256(json.dumps(list(form)).encode())
        for path, label in self.splits[split]:
            entry = [path.relative_to(self.root).as_posix(), os.stat(path).st_size, label]
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()


def find(root: Path, sort: Sort) -> Tree:
    """Find the files of a sort in a folder. Raises :class:`DataError` if there are none, or their layout is wrong."""
    given = str(root)
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
    """Sort files by the SHA-256 of their paths relative to the folder."""

    def key(found: Found) -> bytes:
        name = found.path.relative_to(root).as_posix()
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()  # a name may not be UTF-8

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
            f"{str(root)!r} has the folders {', '.join(split_names)}, which are names of splits, not of classes. "
            "Name them train and test, or move the classes up."
        )
    if len(every) < 2:
        raise DataError(
            f"{str(root)!r} has 1 {sort.one}, and at least 2 are needed: one for training, one for testing. Add more."
        )
    return {"train": [found for index, found in enumerate(every) if index % 10], "test": every[::10]}


def _files(folder: Path, sort: Sort, left_out: list[Path]) -> list[Found]:
    """Return the files in a folder, sorted: either all directly in it, or all in class folders.

    Files of another sort are added to `left_out`.
    """
    bare: list[Found] = []
    classed: list[Found] = []
    try:
        entries = sorted(entry for entry in os.listdir(folder) if not entry.startswith("."))
    except OSError as error:
        raise unreadable(error.filename, error) from error
    for entry in entries:
        path = folder / entry
        if os.path.isdir(path) and not sort.is_one(path):
            classed += [Found(deeper, entry) for deeper in _below(path, sort, left_out)]
        elif sort.is_one(path):
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
    """Return the files of a class, sorted: in its folder and at any depth below it. Links to folders are ignored."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    paths: list[Path] = []
    for here, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        whole = [name for name in below if sort.is_one(Path(here, name))]
        below[:] = [name for name in below if name not in whole]
        for path in [Path(here, name) for name in (*whole, *names) if not name.startswith(".")]:
            (paths if sort.is_one(path) else left_out).append(path)
    return sorted(paths, key=lambda path: path.parts)
