"""A data set: one frozen `DataSet` value, which an entry point in the group ``zoo.data`` names.

    [project.entry-points."zoo.data"]
    emoji = "zoo_data.emoji:emoji"

`DataSet` says what is known without reading data: the card, the form of its fields, its options, its files. `load`
reads one split. Needs neither torch nor numpy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo.contract.settings import Settings, setting, types_of
from zoo.contract.specs import Sample
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError, SettingError

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """The options of a data set: a frozen dataclass of :func:`zoo.setting` fields, as a recipe is.

    Each can be set with ``zoo train NAME --set data.OPTION=VALUE``.
    """

    what = "option"


@dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """The options of images, which zoo applies to every set whose options are a subclass of this.

    Resizing and augmentation act on `x`, and alike on every other field of images of the same height and width.
    """

    size: int = setting(0, "pixels of each side that images are resized to; 0 keeps them as they are", ge=0, le=4096)
    fit: Literal["crop", "pad"] = setting(
        "crop", "what resizing does to an image that is not square: cut it, or pad it"
    )
    background: str = setting("white", "colour of padding, and behind transparent pixels: a name, or #rrggbb")
    flip: bool = setting(False, "mirror half of the training images")
    crop: int = setting(0, "move training images by up to so many pixels", ge=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.background != "white":
            _ = self.colour

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background as red, green and blue, each from 0 to 255."""
        from PIL import ImageColor

        try:
            colour = ImageColor.getrgb(self.background)[:3]
            opaque = len(ImageColor.getrgb(self.background)) == 3
        except ValueError:
            opaque = False
        if not opaque:
            raise SettingError(
                f"background = {self.background!r} is no colour. Take a name, such as black, or #rrggbb, such as "
                "#ff8000."
            )
        red, green, blue = colour
        return red, green, blue

    @property
    def is_grey(self) -> bool:
        """Whether the background has no hue."""
        return len(set(self.colour)) == 1

    def describe(self, *, transparent: bool) -> str:
        """What was done to the images, in words: ``", cropped and resized to 64x64"``; empty where nothing was."""
        text = ""
        if self.size:
            done = "cropped" if self.fit == "crop" else f"padded with {self.background}"
            text += f", {done} and resized to {self.size}x{self.size} pixels"
        return text + (f", transparency on {self.background}" if transparent else "")


@dataclass(frozen=True, kw_only=True)
class TextOptions(Options):
    """The options of text that is modelled character by character."""

    length: int = setting(128, "characters in one sample: a window of the text", ge=2)


@dataclass(frozen=True, kw_only=True)
class AudioOptions(Options):
    """The options of audio clips."""

    seconds: float = setting(1.0, "length of one clip: longer ones are cut, shorter ones padded with silence", gt=0)
    bands: int = setting(0, "mel bands of one clip; 0 keeps the waveform", ge=0)


@dataclass(frozen=True, kw_only=True)
class DataCard(Checked):
    """What people read first about a data set."""

    title: str
    source: str
    """One line: where the data comes from, who made it and when, with a URL."""
    licence: str
    citation: str
    split: str
    """How the data is split into training and test samples."""


@dataclass(frozen=True, kw_only=True)
class Inside(Checked):
    """The content of an archive, which identifies it however it is packed."""

    pattern: str
    """A regular expression for the full name of a file in the archive. Its first group is the known name of the file,
    without enclosing folders. Files that do not match are ignored."""
    sha256: str
    """The hash of the files: see :func:`listing`."""
    roots: tuple[str, ...] = ()
    """The folders in the archive; () if an unpacked archive is not accepted."""


@dataclass(frozen=True, kw_only=True)
class KnownFile(Checked):
    """A published file, identified by the SHA-256 of its content. A name in .gz is unpacked when it is read."""

    name: str
    folders: tuple[str, ...]
    """The folders below the data folder where the file may be; a download goes into the first."""
    addresses: tuple[str, ...] = ()
    """The URLs of exactly this file; () if there is none, and the user has to provide the file."""
    size: int
    """The number of unpacked bytes; no more are ever unpacked. For an archive: of the published file."""
    sha256: str
    """The hash of the unpacked bytes. For an archive: of the published file, which a download must match."""
    inside: Inside | None = None
    """For an archive: its content, which identifies an archive that was packed in another way."""
    note: str = ""
    """A sentence about the origin of the content, for a file without addresses."""

    @property
    def packed(self) -> bool:
        """Whether the published file is compressed and has to be unpacked when it is read."""
        return self.name.endswith(".gz") and self.inside is None

    @property
    def most(self) -> int:
        """The largest possible size of the published file in bytes: gzip adds little, even to random data."""
        return self.size + (self.size // 1000 + 1024 if self.packed else 0)

    @property
    def expected(self) -> str:
        """The expected hash, in words."""
        if self.inside is not None:
            return f"the SHA-256 {self.inside.sha256} of the listing of its files"
        return f"the SHA-256 {self.sha256}{' of the unpacked bytes' if self.packed else ''}"

    @property
    def names(self) -> tuple[str, ...]:
        """The file names to look for: the published name, and those of other packings or of the unpacked file."""
        if self.inside is not None:
            stem = self.name.removesuffix(".tar.gz")
            return (self.name, *(stem + ending for ending in (".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")))
        return (self.name, self.name.removesuffix(".gz")) if self.packed else (self.name,)

    @property
    def candidates(self) -> tuple[tuple[str, ...], ...]:
        """Where the file may be, below the data folder, in order: one path, or unpacked folders, which end in "/"."""
        found: list[tuple[str, ...]] = [
            (posixpath.join(folder, name),) for folder in self.folders for name in self.names
        ]
        if self.inside is not None and self.inside.roots:
            for folder in filter(None, self.folders):  # directly in the data folder, such names may be of other data
                found.append(tuple(posixpath.join(folder, root, "") for root in self.inside.roots))
        return tuple(found)


Files = Mapping[str, tuple[KnownFile, ...]]


def listing(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 that identifies the files inside an archive, from the SHA-256 of each file by name.

    It is the hash of the output of sha256sum, sorted by the bytes of the names:
    ``find recordings -name '*.wav' | LC_ALL=C sort | xargs sha256sum | sha256sum``.
    """
    lines = [f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=os.fsencode)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Loaded(Checked):
    """One split, as `DataSet.load` returns it where the arrays alone do not say all. Empty fields have defaults."""

    fields: Mapping[str, Any]
    """The array of each field, ``x`` among them."""
    sample: Sample | None = None
    """The form of the fields, where only the data says it: a folder's size and classes, a text's vocabulary."""
    classes: tuple[str, ...] = ()
    """The names of the classes, in the order of the labels, where `DataSet.classes` does not say them."""
    note: str = ""
    """One line of warnings for the user, such as files that were left out."""
    source: str = ""
    """One line that replaces the card's source."""
    sha256: str = ""
    """The hash of the content, where that of the arrays is not the one to keep."""


@dataclass(frozen=True, kw_only=True)
class DataSet(Checked):
    """A data set: what is known without reading it, and how one split of it is read."""

    card: DataCard
    load: Callable[[Any, Path, Any], Any]
    """``load(split, folder, options)`` reads the split ``"train"`` or ``"test"``, and returns the array of each field
    by name, or a :class:`Loaded`. `folder` is the data folder, where the `files` of the split are by now, or the user's
    own DIR or FILE. Images: uint8 (n, c, h, w), or a :class:`zoo.data.stream.Stream`. Labels: integers (n,). Text:
    indices into the vocabulary, rows (n, length), padded at the end with the vocabulary's first character; or, where
    one long text is modelled, (n,), from which windows are drawn. Audio clips: int16 (n, samples). Spectrograms:
    float32 (n, bands, frames). Vectors: their own shape and dtype. zoo checks that every array has its form."""
    sample: Callable[[Any], Sample] | None = None
    """``sample(options)`` returns the form of the fields that `load` gives. None where only the data says it."""
    options: type[Options] = Options
    files: Files = dataclasses.field(default_factory=dict)
    """The files of each split, by ``"train"`` and ``"test"``. Missing ones are downloaded before `load` is called."""
    unpacked: Files = dataclasses.field(default_factory=dict)
    """Files that can replace `files`."""
    classes: tuple[str, ...] = ()
    """The names of the classes, in the order of the labels."""
    train: int | None = None
    """The number of training samples (one long text: characters) with the default options. None if only the data says
    it. zoo checks it where the options are the defaults."""
    test: int | None = None
    package: str = ""
    """The package that contains the data, if no file is needed."""
    proven: bool = True
    """Whether `load` was tried on the published files themselves, or only on small files of their format."""
    place: Literal["", "DIR", "FILE"] = ""
    """For the user's own data: what follows the colon, as in ``folder:DIR``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        types_of(self.options)  # raises for a class that is no dataclass
        for files in (self.files, self.unpacked):
            if wrong := next((split for split in files if split not in SPLITS), ""):
                raise PluginError(f"DataSet: files has the split {wrong!r}, and there are only train and test.")
        for split in self.files:
            if not self.files[split]:
                raise PluginError(f"DataSet: files has no file of the split {split!r}. Leave the split out.")

    @property
    def every_file(self) -> tuple[KnownFile, ...]:
        """The files of both splits, without duplicates."""
        return tuple(dict.fromkeys(known for split in SPLITS for known in self.files.get(split, ())))
