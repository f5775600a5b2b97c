"""What zoo does with values of a kind: read, convert, describe, show and write them. Base classes of the table."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Spec
from zoo.core import philox
from zoo.core.errors import DataError, ReleaseError, SettingError, one_line
from zoo.core.files import expand
from zoo.media import grid
from zoo.media.grid import Pixels

Array = NDArray[Any]
Fit = Literal["", "crop", "pad"]
S = TypeVar("S", bound=Spec)

EXAMPLE_SEED = 0


@dataclass(frozen=True)
class Reading:
    """How files of a user become the input of a task."""

    background: str = "white"
    """The colour behind transparent pixels."""
    fit: Fit = ""
    """How an image of another size becomes one of the right size; empty: an error."""
    pad: bool = False
    """Whether a text may be shorter: it is padded with the first character of the vocabulary, as those of data are."""


@dataclass(frozen=True)
class Layout:
    """The grid in which samples of a kind are shown."""

    count: int
    columns: int
    gap: int


class Kind(Generic[S]):
    """Values of one kind of spec. As it is, for plain numbers: float32 or int64 arrays of any shape."""

    endings: ClassVar[tuple[str, ...]] = (".npy", ".json")
    """Of the files that values may be written to; the first is the default."""
    pixels: ClassVar[bool] = False
    """Whether people hold the values as uint8 from 0 to 255, and files of them can be fitted to a size."""

    def to_batch(self, value: Any, spec: S, name: str, reading: Reading) -> Array:
        """The batch (n, *spec.shape) that a graph takes, of what a person gives for the input `name`.

        Raises :class:`SettingError` or :class:`DataError`.
        """
        files = file_names(value)
        if files and all(str(file).endswith(".npy") for file in files):
            names = [name] if len(files) == 1 else map(str, files)
            return np.concatenate(
                [self.from_array(stored(file), spec, of) for file, of in zip(files, names, strict=True)]
            )
        return self.read(files, spec, name, reading) if files else self.from_array(value, spec, name)

    def read(self, files: Sequence[str | Path], spec: S, name: str, reading: Reading) -> Array:
        """The batch in files of this kind's own formats."""
        raise SettingError(f"{name} takes arrays, as .npy files; {str(files[0])!r} is none.")

    def from_array(self, value: Any, spec: S, name: str) -> Array:
        """Numbers as an array with a batch axis, of the spec's type and in its range."""
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise SettingError(f"{name} is no array: {one_line(error)}.") from error
        if array.dtype.kind not in ("iu" if spec.dtype == "int64" else "biuf"):
            raise SettingError(f"{name} has dtype {array.dtype}; it must be {spec.dtype}.")
        if array.shape == spec.shape:
            array = array[None]
        if array.shape[1:] != spec.shape or array.ndim == 0:
            raise SettingError(f"{name} has shape {array.shape}; it must be {batch_shape(spec.shape)}.")
        self.check(array, spec, name)
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            made = np.ascontiguousarray(array, spec.dtype)
        if len(wrong := array[~np.isfinite(made)]):
            raise SettingError(
                f"{name} has the value {wrong[0]:g}, which is not finite in {spec.dtype}. Check the input."
            )
        return made

    def check(self, array: Array, spec: S, name: str) -> None:
        """Raise :class:`SettingError` for values of an input that are out of range."""

    def from_batch(self, array: Array, spec: S) -> Any:
        """What a graph gives, as people hold it. Raises :class:`ReleaseError` for values that no sample has."""
        return array

    def takes(self, spec: S) -> str:
        """What :meth:`to_batch` takes, in words."""
        return f"{self.gives(spec)}; the name of a .npy file"

    def gives(self, spec: S) -> str:
        """What :meth:`from_batch` gives, in words."""
        return f"{spec.dtype} {batch_shape(spec.shape)}"

    def describe(self, spec: S) -> str:
        """One value in a few words: ``"vector 32"``, ``"image 28×28"``."""
        return f"{spec.kind} {'×'.join(map(str, spec.shape))}".strip()

    def example(self, spec: S, batch: int, stream: int) -> Array:
        """A plausible batch, the same on every machine."""
        if spec.dtype == "int64":
            return self._classes(spec, 8, batch, stream)
        return self._draw("normal", spec, batch, stream)

    def write(self, value: Any, spec: S | None, ending: str, columns: int | None = None) -> list[bytes]:
        """The content of each file that a batch is written to."""
        if ending == ".json":
            return [(as_json(value) + "\n").encode()]
        if isinstance(value, dict):
            raise SettingError(f"These are {', '.join(value)}; write them to a .json file.")
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return [buffer.getvalue()]

    def _draw(self, distribution: Literal["normal", "uniform"], spec: S, batch: int, stream: int) -> Array:
        return philox.draw(distribution, spec.shape, EXAMPLE_SEED, np.arange(batch), stream)

    def _classes(self, spec: S, classes: int, batch: int, stream: int) -> Array:
        return (self._draw("uniform", spec, batch, stream) * classes).astype(np.int64)


class SampleKind(Kind[S]):
    """Values that a data set can hold, and a model can model."""

    noun: ClassVar[str]
    """One sample, with its article, as in ``"an image"``."""
    medium: ClassVar[str]
    """What is modelled, in a word or two: ``"audio"``."""
    unit: ClassVar[str]
    """Several, as progress counts them."""
    layout: ClassVar[Layout] = Layout(8, 2, 2)
    """The grid of samples of a release."""
    tag: ClassVar[str]
    """What the Hugging Face Hub calls models that generate them."""
    default_count: ClassVar[int] = 16
    """Samples that ``zoo generate`` makes by default."""
    card_count: ClassVar[int] = 1
    """Samples that the example of a model card generates, into a file that ends in `card_ending`."""
    card_ending: ClassVar[str] = ".wav"
    has_image: ClassVar[bool] = True
    """Whether samples are shown as an image; those that are not are shown as numbers."""
    compared: ClassVar[tuple[int, int]] = (8, 4)
    """Test samples that are shown beside what a model makes of them, and the columns of that grid."""

    def bounds(self, spec: S) -> tuple[float, float]:
        """The smallest and the largest value of a sample; infinite where there is none."""
        return 0.0, 1.0

    def count(self, spec: S) -> int:
        """How many samples a release shows."""
        return self.layout.count

    def display_shape(self, spec: S) -> tuple[int, ...] | None:
        """The shape in which people hold one sample; None for what is no array."""
        return spec.shape

    def is_displayed(self, value: Any, spec: S) -> bool:
        """Whether a value is one sample or a batch, as people hold them."""
        shape = self.display_shape(spec)
        return isinstance(value, np.ndarray) and value.dtype.kind == "f" and shape in (value.shape, value.shape[1:])

    def from_data(self, x: Array) -> Array:
        """Samples of a data set as people hold them."""
        return x.astype(np.float32)

    def from_batch(self, array: Array, spec: S) -> Any:
        self.check_numbers(array, spec)
        return np.clip(array, *self.bounds(spec))

    def check_numbers(self, array: Array, spec: S) -> None:
        if np.isnan(array).any():
            raise ReleaseError(
                f"The model gave {spec.kind} values that are not numbers. Check its input and its weights."
            )

    def check(self, array: Array, spec: S, name: str) -> None:
        low, high = self.bounds(spec)
        if array.size and not (array.min() >= low and array.max() <= high):
            raise SettingError(
                f"{name} has values from {array.min():g} to {array.max():g}; they must be {within(low, high)}."
            )

    def frames(self, samples: Any, spec: S) -> Pixels:
        """Each sample as an image: uint8 (n, h, w) or (n, h, w, 3); of a video the first frame."""
        raise NotImplementedError

    def moments(self, samples: Any, spec: S) -> list[Pixels]:
        """The samples as :meth:`frames` shows them, at each moment: several where they move."""
        return [self.frames(samples, spec)]

    def images(self, samples: Any, spec: S, columns: int | None = None, gap: int = 1) -> list[Pixels]:
        """All samples as one image, not enlarged, at each of their :meth:`moments`."""
        return [grid.grid(moment, columns, gap) for moment in self.moments(samples, spec)]

    def cell(self, spec: S) -> tuple[int, int]:
        """The height and width of one sample in :meth:`frames`."""
        height, width = spec.shape[-2:]
        return height, width

    def write(self, value: Any, spec: S | None, ending: str, columns: int | None = None) -> list[bytes]:
        if ending == ".png":
            assert spec is not None
            return [grid.png(*map(self.enlarged, self.images(value, spec, columns)))]
        return super().write(value, spec, ending, columns)

    def enlarged(self, image: Pixels) -> Pixels:
        """An image of samples at a size at which people look at it."""
        return grid.enlarge(image)

    def beside(self, samples: Any, spec: S) -> dict[str, bytes]:
        """The content of the files that hold samples beside their image, by ending."""
        return {}

    def files(self, samples: Any, spec: S) -> dict[str, bytes]:
        """The content of the files that show samples, by ending."""
        return {".png": self.write(samples, spec, ".png")[0], **self.beside(samples, spec)}


def file_names(value: Any) -> list[str | Path]:
    """The names of files that a value is, one or a list; [] for any other value."""
    names = [value] if isinstance(value, (str, Path)) else value
    if isinstance(names, (list, tuple)) and all(isinstance(item, (str, Path)) for item in names):
        return list(names)
    return []


def stored(file: str | Path) -> Array:
    """The array in a .npy file."""
    try:
        return np.asarray(np.load(expand(file), allow_pickle=False))
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist. Check the path.") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} is no array that can be read: {one_line(error)}.") from error


def within(low: float, high: float) -> str:
    """Bounds in words: ``"in [0, 1]"``, ``"at least 0"``."""
    return (
        f"at most {high:g}"
        if math.isinf(low)
        else f"at least {low:g}"
        if math.isinf(high)
        else f"in [{low:g}, {high:g}]"
    )


def batch_shape(shape: tuple[int, ...]) -> str:
    """A shape with its batch axis: ``"(n, 8, 8)"``, ``"(n,)"``."""
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"


def as_json(value: Any) -> str:
    """An array, a list of str, or a dict of these, as JSON."""
    return json.dumps(value, default=lambda array: array.tolist())
