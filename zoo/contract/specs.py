"""What goes in and out of a task, and what an item of a data set is: a closed set of values.

A spec is the form of ONE item, the batch axis left out. The trainer, the exporter, the runtime and the
manifest all read the same values, so a tool works on a model that it has never seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from zoo.contract import names
from zoo.contract.typed import Checked, shown
from zoo.core.errors import PluginError

LARGEST = 2**28  # elements of one item: what a manifest may ask for, so that none can ask for all memory
LARGEST_NUMBER = 3e38  # about the largest float32
LONGEST = 2**16  # characters of a text: each is a step, so that none can ask for days


def _names() -> Any:
    """The field of names, which say what a form means and change no form: forms with other names are equal."""
    return dataclasses.field(default=(), compare=False, repr=False)


class _Form(Checked):
    """Base of what has a size: every integer in its fields is at least 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            for size in value if isinstance(value, tuple) else (value,):
                if type(size) is int and size < 1:
                    raise PluginError(f"{type(self).__name__}: {field.name} is {shown(value)}, and must be at least 1.")


@dataclass(frozen=True)
class Image(_Form):
    """An image of 1 channel (grey), 3 (colour) or any other number, such as 4 with alpha.

    Graphs: float32 (channels, height, width) in [0, 1]. Runtime: uint8 (h, w) in grey, else (h, w, channels).
    """

    channels: int
    height: int
    width: int
    kind: ClassVar[str] = "image"
    file: ClassVar[str] = ".png"
    plural: ClassVar[str] = "images"
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)


@dataclass(frozen=True)
class Video(_Form):
    """A video of `frames` images, grey or in colour.

    Graphs: float32 (frames, channels, height, width) in [0, 1]. Runtime: uint8 (frames, h, w), or (frames, h, w, 3).
    """

    channels: int
    frames: int
    height: int
    width: int
    kind: ClassVar[str] = "video"
    file: ClassVar[str] = ".png"
    plural: ClassVar[str] = "videos"
    dtype: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels not in (1, 3):
            raise PluginError(
                f"Video: channels is {shown(self.channels)}, and must be 1 (grey) or 3 (colour). "
                "Anything else is a zoo.Array((frames, channels, height, width), 0, 1)."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, self.channels, self.height, self.width)


@dataclass(frozen=True)
class Text(_Form):
    """Characters. Graphs: int64 (length,), each an index into `vocabulary`. Runtime: str."""

    vocabulary: str
    length: int
    kind: ClassVar[str] = "text"
    file: ClassVar[str] = ".txt"
    plural: ClassVar[str] = "text"
    dtype: ClassVar[str] = "int64"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.vocabulary:
            raise PluginError("Text: vocabulary is empty, and must have each character that a text may have.")

    @property
    def classes(self) -> int:
        return len(self.vocabulary)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)


@dataclass(frozen=True)
class Audio(_Form):
    """An audio clip of `samples` at `rate` Hz, mono. Graphs, runtime: float32 (samples,) in [-1, 1]. Files: .wav."""

    rate: int
    samples: int
    kind: ClassVar[str] = "audio"
    file: ClassVar[str] = ".wav"
    plural: ClassVar[str] = "audio clips"
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples,)


@dataclass(frozen=True)
class LogMel(_Form):
    """An audio clip as the log power of `bands` mel bands, low first. Graphs, runtime: float32 (bands, frames), [0, 1].

    0 is -80 dB, 1 a full-scale sine. Frames are of `window` samples, `hop` apart: samples // hop of them
    (:func:`zoo.media.mel.log_mel` has the formula).
    """

    rate: int
    samples: int
    bands: int
    window: int
    hop: int
    kind: ClassVar[str] = "log-mel"
    file: ClassVar[str] = ".png"
    plural: ClassVar[str] = "audio clips as spectrograms (option bands of the data)"
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.bands, self.samples // self.hop)


@dataclass(frozen=True)
class Array(_Form):
    """Numbers of any shape that are data: a row of a table, a point cloud, a volume. Graphs, runtime: float32 (*shape).

    `low` and `high` are the least and the greatest number that a sample can have; None where there is none. `names` are
    those of the columns of a table, of which a sample is a row; () where there are none.
    """

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    names: tuple[str, ...] = _names()
    kind: ClassVar[str] = "array"
    file: ClassVar[str] = ".csv"
    plural: ClassVar[str] = "arrays of numbers"
    dtype: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("low", "high"):
            bound = getattr(self, name)
            if bound is not None and not abs(bound) <= LARGEST_NUMBER:
                raise PluginError(f"Array: {name} is {bound}, and must be a finite number, or None for no bound.")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise PluginError(f"Array: low is {self.low:g} and high is {self.high:g}; low must be below high.")
        if self.names and self.shape != (len(self.names),):
            raise PluginError(
                f"Array: it has {len(self.names)} names, and its shape is {self.shape}. Name each column."
            )
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise PluginError(f"Array: two of its names are {shown(twice)}. Rename one.")


@dataclass(frozen=True)
class Vector(_Form):
    """Numbers of any shape that a model computes: a latent, logits, a cache. `dtype` is float32 or int64."""

    shape: tuple[int, ...]
    dtype: Literal["float32", "int64"] = "float32"
    kind: ClassVar[str] = "vector"


@dataclass(frozen=True)
class Label(_Form):
    """A class, or a token: int64 in [0, classes). `shape` is () for one label an item.

    `names` are those of the classes, in order; () where there are none. For the field ``label`` zoo takes them from the
    data set.
    """

    classes: int
    shape: tuple[int, ...] = ()
    names: tuple[str, ...] = _names()
    kind: ClassVar[str] = "label"
    dtype: ClassVar[str] = "int64"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.names and len(self.names) != self.classes:
            raise PluginError(f"Label: it has {len(self.names)} names, and {self.classes} classes. Name each class.")


@dataclass(frozen=True)
class Noise(_Form):
    """Randomness as an input: float32, standard normal, or uniform in [0, 1)."""

    shape: tuple[int, ...]
    distribution: Literal["normal", "uniform"] = "normal"
    kind: ClassVar[str] = "noise"
    dtype: ClassVar[str] = "float32"


@dataclass(frozen=True)
class Number(Checked):
    """A number that the user may ask for, such as a guidance scale: float32, one an item, within a range."""

    default: float
    ge: float | None = None
    """The smallest value, None for any."""
    le: float | None = None
    """The largest value, None for any."""
    help: str = ""
    """What it does, in a few words, as ``zoo generate --help`` shows it."""
    shape: ClassVar[tuple[int, ...]] = ()
    kind: ClassVar[str] = "number"
    dtype: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if problem := self.problem(self.default):
            raise PluginError(f"Number: the default {problem}.")

    @property
    def range(self) -> str:
        """The range in words: ``"0 to 2"``, ``"at least 0"``; "" if any number is possible."""
        if self.ge is not None and self.le is not None:
            return f"{self.ge:g} to {self.le:g}"
        return "" if self.ge is self.le else f"at most {self.le:g}" if self.ge is None else f"at least {self.ge:g}"

    def problem(self, value: float) -> str:
        """Return why a value is not possible, as the end of a sentence; "" if it is."""
        low, high = -math.inf if self.ge is None else self.ge, math.inf if self.le is None else self.le
        if math.isfinite(value) and low <= value <= high:
            return ""
        ends = [f"{words} {end:g}" for words, end in (("at least", self.ge), ("at most", self.le)) if end is not None]
        return f"is {value:g}, and must be {' and '.join(ends) or 'finite'}"


@dataclass(frozen=True)
class Score(Checked):
    """One float32 an item; the higher, the stranger the item is to the model."""

    shape: ClassVar[tuple[int, ...]] = ()
    kind: ClassVar[str] = "score"
    dtype: ClassVar[str] = "float32"


SampleSpec = Image | Video | Text | Audio | LogMel | Array
"""What a data set can hold, and a model can model. `file` is the ending of the file of samples that a release has."""

S = TypeVar("S", Image, Video, Text, Audio, LogMel, Array)

FieldSpec = SampleSpec | Vector | Label
"""What a field of a sample beside the modelled one can be."""

Spec = Image | Video | Text | Audio | LogMel | Vector | Array | Label | Noise | Number | Score
SPECS: dict[str, type[Spec]] = {
    spec.kind: spec for spec in (Image, Video, Text, Audio, LogMel, Array, Vector, Label, Noise, Number, Score)
}


@dataclass(frozen=True)
class Sample(Checked):
    """What one item of a data set is: the form of `x`, which is modelled, and of its other fields by name.

    The field ``label`` is its class; the others, such as a caption or a second image, have names of the data set's own.
    """

    x: SampleSpec
    fields: Mapping[str, FieldSpec] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.fields:
            if name == "x" or (problem := names.argument_problem(name)):
                raise PluginError(f"Sample: the field {name!r} {problem if name != 'x' else 'is the modelled one'}.")

    def __getitem__(self, name: str) -> FieldSpec:
        """The form of a field; ``"x"`` is the modelled one. Raises ValueError, which names the fields, for another."""
        if name == "x":
            return self.x
        if name not in self.fields:
            raise ValueError(f"it needs the field {name!r}, and this data has {', '.join(('x', *self.fields))}")
        return self.fields[name]

    @property
    def classes(self) -> int:
        """The number of classes of the field ``label``, or 0 where there is no such field of one class a sample."""
        label = self.fields.get("label")
        return label.classes if isinstance(label, Label) and not label.shape else 0

    def form(self, spec: type[S]) -> S:
        """The form of an item, for a model that is made for such data only, as in `sample.form(zoo.Image)`.

        Raises ValueError, which says what the data is, if it is no `spec`, and :class:`PluginError` where `spec` is
        the form of no data set.
        """
        if not hasattr(spec, "plural"):
            raise PluginError(
                "sample.form takes zoo.Image, zoo.Video, zoo.Text, zoo.Audio, zoo.LogMel or zoo.Array, "
                f"and got {shown(spec)}."
            )
        if not isinstance(self.x, spec):
            raise ValueError(f"it models {spec.plural}, and this data is {self.x.kind}")
        return self.x
