"""Text: str as people hold it, int64 indices into the vocabulary in graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Text
from zoo.core.errors import DataError, ReleaseError, SettingError, one_line
from zoo.core.files import expand
from zoo.media import grid
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Layout, Reading, SampleKind


class TextKind(SampleKind[Text]):
    """A list of n str."""

    noun, medium, unit, tag = "a text", "text", "windows", "text-generation"
    default_count = 1
    endings = (".txt",)
    layout = Layout(1, 1, 0)

    def to_batch(self, value: Any, spec: Text, name: str, reading: Reading) -> Array:
        """Also the :class:`~pathlib.Path` of a text file; each of exactly the spec's length."""
        texts = _texts(value, name)
        if reading.pad:
            texts = [_padded(text, spec, name) for text in texts]
        return np.stack([text_to_ids(text, spec, length=spec.length) for text in texts])

    def from_batch(self, array: Array, spec: Text) -> Any:
        if array.size and not (array.min() >= 0 and array.max() < spec.classes):
            raise ReleaseError(
                f"The model gave characters that are none of the {spec.classes} in its vocabulary. "
                "Get the release again."
            )
        return [ids_to_text(ids, spec) for ids in array]

    def takes(self, spec: Text) -> str:
        known = f"{spec.classes} characters that it knows"
        return f"a str of {spec.length} characters, of the {known}; the Path of a text file; a list of these"

    def gives(self, spec: Text) -> str:
        return f"a list of n str of {spec.length} characters"

    def describe(self, spec: Text) -> str:
        return f"text of {spec.length} characters"

    def example(self, spec: Text, batch: int, stream: int) -> Array:
        return self._classes(spec, spec.classes, batch, stream)

    def display_shape(self, spec: Text) -> None:
        return None

    def is_displayed(self, value: Any, spec: Text) -> bool:
        return isinstance(value, list)

    def images(self, samples: Any, spec: Text, columns: int | None = None, gap: int = 1) -> list[Pixels]:
        """A page of text."""
        return [grid.of_texts(samples)]

    def write(self, value: Any, spec: Text | None, ending: str, columns: int | None = None) -> list[bytes]:
        return [("\n\n".join(value) + "\n").encode()]

    def enlarged(self, image: Pixels) -> Pixels:
        return image

    def beside(self, samples: Any, spec: Text) -> dict[str, bytes]:
        return {".txt": self.write(samples[:1], spec, ".txt")[0]}

    def files(self, samples: Any, spec: Text) -> dict[str, bytes]:
        return self.beside(samples, spec)


def text_to_ids(text: str, spec: Text, length: int | None = None) -> NDArray[np.int64]:
    """A text as indices into the vocabulary, int64 (length,); :class:`SettingError` for a character not in it."""
    index = {character: position for position, character in enumerate(spec.vocabulary)}
    unknown = next((character for character in text if character not in index), None)
    if unknown is not None:
        raise SettingError(
            f"The character {unknown!r} is not one of the {len(index)} that this model was trained on, which are "
            f"{known_characters(spec)}."
        )
    if length is not None and len(text) != length:
        raise SettingError(f"The text has {len(text)} characters; this task takes exactly {length}.")
    return np.array([index[character] for character in text], np.int64)


def known_characters(spec: Text) -> str:
    """The characters of a vocabulary in order, quoted, with an ellipsis if they are many."""
    return repr(spec.vocabulary if spec.classes <= 100 else f"{spec.vocabulary[:100]}…")


def ids_to_text(ids: Array, spec: Text) -> str:
    """The characters that the indices stand for."""
    return "".join(spec.vocabulary[int(index)] for index in ids)


def _texts(value: Any, name: str) -> list[str]:
    """Texts, from what they are given as."""
    items = [value] if isinstance(value, (str, Path)) else value
    if not isinstance(items, (list, tuple)) or not items or not all(isinstance(item, (str, Path)) for item in items):
        raise SettingError(
            f"{name} is {type(value).__name__}; it must be a str, the Path of a text, or a list of these."
        )
    return [_read_text(item) if isinstance(item, Path) else item for item in items]


def _padded(text: str, spec: Text, name: str) -> str:
    if len(text) > spec.length:
        raise SettingError(f"{name} has {len(text)} characters; at most {spec.length} are possible. Shorten it.")
    return text.ljust(spec.length, spec.vocabulary[0])


def _read_text(path: Path) -> str:
    try:
        return expand(path).read_text("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Check the path.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no text that can be read: {one_line(error)}.") from error
