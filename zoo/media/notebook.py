"""What a model returns, with the methods by which IPython shows it in a notebook: images, videos, audio clips, text.

They are an ndarray and a list in every other way. IPython calls ``_repr_png_`` and ``_repr_html_``, and shows the plain
``repr`` where both give None.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, LogMel, SampleSpec, Spec, Text
from zoo.media import grid, kinds

Array = NDArray[Any]

MOST, NUMBERS = 256, 2**23
"""Images and videos that an output shows, at most, and the numbers that they consist of."""

CLIPS, LENGTH = 16, 2**22
"""Audio clips that an output shows, at most, and the samples of those that it plays: 8 MB of WAV files."""

PHASED_CLIPS, PHASED_LENGTH = 4, 2**17
"""What is played of spectrograms, which become audio only when they are shown (:mod:`zoo.media.griffin_lim`)."""

TEXTS, CHARACTERS = 64, 2**16
"""Texts that an output shows, at most, and their characters."""

WIDTH = 256
"""Pixels of a player, and about those of the image above it."""


class Samples(np.ndarray[Any, np.dtype[Any]]):
    """Images, videos, audio clips or spectrograms as an array that shows itself in a notebook.

    One sample or a batch is shown, and so is a slice of a batch. What has another dtype or shape is not, nor is what
    is computed from samples, which is a plain array. A pickle holds a plain array.
    """

    _spec: Any = None

    def __array_finalize__(self, source: Any) -> None:
        self._spec = getattr(source, "_spec", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool | None = None) -> Any:
        if array is self:  # in place
            return self
        if return_scalar is None:  # numpy 1, which also asks for views; those must stay arrays
            return_scalar = array.base is None
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.asarray(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def _repr_png_(self) -> bytes | None:
        """A grid, as ``model.save`` writes it: of videos one that moves, of audio clips their envelopes."""
        batch = self._batch()
        return None if batch is None else _png(batch[: _most(batch, self._spec)], self._spec)

    def _repr_html_(self) -> str | None:
        """Audio clips, each with its image and a player. Of a batch that is cut, the image and how much it shows."""
        batch = self._batch()
        if batch is None:
            return None
        most = _most(batch, self._spec)
        if isinstance(self._spec, (Audio, LogMel)):
            return _players(batch[:most], self._spec) + _cut(most, batch, self._spec)
        if most == len(batch):
            return None  # the image says it all
        return _image(_png(batch[:most], self._spec)) + _cut(most, batch, self._spec)

    def _batch(self) -> Array | None:
        """The samples with a batch axis; None for what is none, or not what can be shown."""
        if self._spec is None or not self.size:
            return None
        kind = kinds.of_sample(self._spec)
        dtype = np.dtype(np.uint8 if kind.pixels else np.float32)
        if self.dtype != dtype or not kind.is_displayed(self, self._spec) or not np.isfinite(self).all():
            return None
        return np.asarray(self).reshape(-1, *(kind.display_shape(self._spec) or ()))


class Texts(list[str]):
    """Texts as a list that shows itself in a notebook, with the ends of lines. A pickle holds a plain list."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)

    def _repr_html_(self) -> str | None:
        pages: list[str] = []
        left = CHARACTERS
        for text in self[:TEXTS]:
            if left > 0:
                pages.append(
                    f'<pre style="white-space: pre-wrap">{escape(text[:left])}{"…" * (len(text) > left)}</pre>'
                )
            left -= len(text)
        return "<hr>".join(pages) + _first(len(pages), len(self), "texts") if pages else None


def displayed(value: Any, spec: Spec) -> Any:
    """A batch of a form, as people hold it, as what shows itself in a notebook; as it is where that are numbers."""
    if isinstance(spec, Text):
        return Texts(value)
    if spec.kind not in kinds.SAMPLES or not kinds.SAMPLES[spec.kind].has_image:
        return value
    made = value.view(Samples)
    made._spec = spec
    return made


def like(value: Any, source: Any) -> Any:
    """A batch that shows itself as `source` does."""
    if isinstance(source, Texts):
        return Texts(value)
    return displayed(value, source._spec) if isinstance(source, Samples) else value


def _most(batch: Array, spec: SampleSpec) -> int:
    """How many samples of a batch are shown."""
    if isinstance(spec, (Audio, LogMel)):
        return min(len(batch), CLIPS)
    return max(1, min(len(batch), MOST, NUMBERS * len(batch) // batch.size))


def _png(batch: Array, spec: SampleSpec) -> bytes:
    content: bytes = kinds.of_sample(spec).write(batch, spec, ".png")[0]
    return content


def _image(content: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{b64encode(content).decode()}">'


def _players(batch: Array, spec: Audio | LogMel) -> str:
    """Audio clips beside each other: the image of each, and a player below it for as many as there may be."""
    kind = kinds.of_sample(spec)
    most = min(PHASED_CLIPS, PHASED_LENGTH // spec.samples) if isinstance(spec, LogMel) else LENGTH // spec.samples
    players = [f"data:audio/wav;base64,{b64encode(clip).decode()}" for clip in kind.write(batch[:most], spec, ".wav")]
    cells = []
    for index, frame in enumerate(kind.frames(batch, spec)):
        cell = _image(grid.png(grid.enlarge(frame, WIDTH)))
        if index < len(players):
            cell += f'<br><audio controls style="width: {WIDTH}px" src="{players[index]}"></audio>'
        cells.append(f'<div style="display: inline-block; vertical-align: top; margin: 4px">{cell}</div>')
    if len(players) < len(batch):
        which = f"Only the first {len(players)} can be played here" if players else "These are too long to play here"
        cells.append(f"<p>{which}; <code>model.save(clips, &quot;clip.wav&quot;)</code> writes each to a file.</p>")
    return "".join(cells)


def _cut(most: int, batch: Array, spec: SampleSpec) -> str:
    return _first(most, len(batch), kinds.of_sample(spec).unit)


def _first(most: int, count: int, unit: str) -> str:
    """A line that says how much is shown; "" where that is all."""
    return f"<p>The first {most:,} of {count:,} {unit}.</p>" if most < count else ""
