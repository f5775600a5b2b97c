"""What is known of a data set that has a name, and which of its files are there."""

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
    """What is known of a data set before any of it is read."""

    name: str
    title: str
    kind: Literal["image", "text", "audio"]
    loader: str
    """A module with ``load(known, split, options) -> DataSet``."""
    train: int | None
    """Samples to train on; text: characters. None where another package decides."""
    test: int | None
    shape: tuple[int, ...]
    """Of one sample in memory: images (c, h, w), audio clips of one second (samples,), text ()."""
    split: str
    """What is to train on and what to test."""
    source: str
    """One line: where it is from, and whom to cite."""
    citation: str
    licence: str
    proven: bool
    """Whether the loader was tried on the published files themselves, or on small files of their format."""
    classes: tuple[str, ...] = ()
    """Their names, in the order of the labels."""
    files: Files = field(default_factory=dict)
    """What each split is read from."""
    unpacked: Files = field(default_factory=dict)
    """Files that will do in place of `files`."""
    package: str = ""
    """The package that it is a part of (scikit-learn, or zoo itself), where it needs no file."""

    @property
    def every_file(self) -> tuple[KnownFile, ...]:
        """The files of both splits, each once."""
        return tuple(dict.fromkeys(known for split in ("train", "test") for known in self.files.get(split, ())))

    @property
    def size(self) -> str:
        """How many samples, in words."""
        if self.train is None or self.test is None:
            return f"as in {self.package}"
        unit = " characters" if self.kind == "text" else ""
        return f"{self.train:,} + {self.test:,}{unit}"

    @property
    def form(self) -> str:
        """The shape of a sample in words: ``"3×32×32"``."""
        return "×".join(map(str, self.shape)) or "-"

    def chosen(self, split: Split, data_dir: Path) -> tuple[KnownFile, ...]:
        """The files to read a split from: `unpacked` where all of these are there and `files` are not."""
        instead = self.unpacked.get(split, ())
        lacking = any(locate(known, data_dir) is None for known in self.files[split])
        return (
            instead if instead and lacking and all(locate(known, data_dir) for known in instead) else self.files[split]
        )

    def place(self, data_dir: Path) -> str | None:
        """Where it is, or None where it is not; nothing is read."""
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
        """One split of it, with what is known of it."""
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
