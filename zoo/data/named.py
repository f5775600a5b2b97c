"""Descriptions of named data sets, and the files of each that are on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.contract.specs import Sample
from zoo.data.dataset import DataSet, Split
from zoo.data.known_file import KnownFile, locate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Files = Mapping[Split, tuple[KnownFile, ...]]


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """The description of a named data set, known without reading its data."""

    name: str
    title: str
    kind: Literal["image", "text", "audio"]
    loader: str
    """A module with ``load(known, split, options) -> DataSet``."""
    train: int | None
    """The number of training samples (text: characters). None if it depends on the version of another package."""
    test: int | None
    shape: tuple[int, ...]
    """The shape of one sample in memory: images (c, h, w), audio clips of one second (samples,), text ()."""
    split: str
    """How the data is split into training and test samples."""
    source: str
    """One line: the origin of the data, and the citation."""
    citation: str
    licence: str
    proven: bool
    """Whether the loader was tried on the published files themselves, or only on small files of their format."""
    classes: tuple[str, ...] = ()
    """The names of the classes, in the order of the labels."""
    files: Files = field(default_factory=dict)
    """The files of each split."""
    unpacked: Files = field(default_factory=dict)
    """Files that can replace `files`."""
    package: str = ""
    """The package that contains the data (scikit-learn, or zoo itself), if no file is needed."""

    @property
    def every_file(self) -> tuple[KnownFile, ...]:
        """The files of both splits, without duplicates."""
        return tuple(dict.fromkeys(known for split in ("train", "test") for known in self.files.get(split, ())))

    @property
    def size(self) -> str:
        """The number of training and test samples, in words."""
        if self.train is None or self.test is None:
            return f"as in {self.package}"
        unit = " characters" if self.kind == "text" else ""
        return f"{self.train:,} + {self.test:,}{unit}"

    @property
    def form(self) -> str:
        """The shape of a sample in words: ``"3×32×32"``."""
        return "×".join(map(str, self.shape)) or "-"

    def chosen(self, split: Split, data_dir: Path) -> tuple[KnownFile, ...]:
        """Return the files to read for a split: `unpacked` if all of these exist and some of `files` do not."""
        instead = self.unpacked.get(split, ())
        lacking = any(locate(known, data_dir) is None for known in self.files[split])
        return (
            instead if instead and lacking and all(locate(known, data_dir) for known in instead) else self.files[split]
        )

    def place(self, data_dir: Path) -> str | None:
        """Return where the data is, or None if it is missing. Reads no data."""
        if self.package:
            from zoo.core.errors import installed

            there = installed({"scikit-learn": "sklearn"}.get(self.package, self.package))
            return f"part of {self.package}" if there else None
        paths = [locate(known, data_dir) for split in ("train", "test") for known in self.chosen(split, data_dir)]
        folders = dict.fromkeys(str(path.parent) for path in paths if path)
        return ", ".join(folders) if all(paths) else None

    def data_set(
        self, split: Split, sample: Sample, x: NDArray[Any], labels: NDArray[np.int64] | None, sha256: str
    ) -> DataSet:
        """Build one split with the metadata of this data set."""
        return DataSet(
            name=self.name,
            split=split,
            sample=sample,
            x=x,
            labels=labels,
            source=self.source,
            licence=self.licence,
            sha256=sha256,
            classes=self.classes,
        )
