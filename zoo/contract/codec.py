"""How samples are compressed: a task to integer symbols, one back, and the tables by which the symbols are coded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.contract.generation_plan import Form
from zoo.contract.specs import Label, Sample
from zoo.contract.typed import Checked
from zoo.core.errors import PluginError, ReleaseError

TOTAL = 2**16
"""The sum of the frequencies of a table."""

MOST_SYMBOLS = 2**22
"""Symbols of one sample, at most: as many as the pixels of an image of 2048 × 2048."""

MOST_CONTEXT = 4
"""Symbols that choose a table, at most."""


@dataclass(frozen=True)
class Codec(Checked):
    """A codec: `encode` maps one sample to a `Label` grid of symbols, `decode` maps that grid to one sample.

    `tables` is the name of a buffer of the module, int32 or int64: the frequencies of the K symbols along the last
    axis, each at least 1, with the sum 2**16. Its shape broadcasts against (K for each offset in `context`, *the shape
    of the grid, K). :func:`zoo.frequencies` makes such tables of counts. Tables are integers, so that the encoder and
    the decoder agree on every machine, whatever computes the tasks.
    """

    encode: str = "encode"
    decode: str = "decode"
    tables: str = "frequencies"
    context: tuple[tuple[int, ...], ...] = ()
    """Offsets on the grid of symbols that choose the table: ((0, -1), (-1, 0)) are the left and the upper symbol. An
    offset leads to a symbol that is earlier in row-major order; outside the grid the symbol is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for offset in self.context:
            if next((step for step in offset if step), 0) >= 0:
                raise PluginError(
                    f"Codec: context has {str(offset)[:80]}, which leads to no earlier symbol in row-major order: "
                    "its first number that is not 0 must be negative."
                )
        if len(set(self.context)) < len(self.context) or len({len(offset) for offset in self.context}) > 1:
            raise PluginError("Codec: the offsets of context must differ, and must have one length.")
        if len(self.context) > MOST_CONTEXT:
            raise PluginError(f"Codec: context has {len(self.context)} offsets; at most {MOST_CONTEXT} are possible.")

    def symbols(self, tasks: Mapping[str, Form]) -> Label:
        """The form of a sample's symbols: the first output of `encode`."""
        found = next(iter(tasks[self.encode].outputs.values()))
        assert isinstance(found, Label)
        return found

    def shape(self, symbols: Label) -> tuple[int, ...]:
        """The shape against which that of the tables broadcasts."""
        return (*[symbols.classes] * len(self.context), *symbols.shape, symbols.classes)

    def problem(self, tasks: Mapping[str, Form], sample: Sample) -> str:
        """Return why the tasks do not fit, or ``""`` if they fit."""
        for name in (self.encode, self.decode):
            if name not in tasks:
                return f"the codec uses task {name!r}, which is not there"
        encode, decode = tasks[self.encode], tasks[self.decode]
        symbols = next(iter(encode.outputs.values()))
        if [*encode.inputs.values()] != [sample.x]:
            return f"task {self.encode!r} of the codec must take one sample, and nothing else"
        if not isinstance(symbols, Label):
            return f"task {self.encode!r} of the codec must give symbols first, a Label; it gives {symbols.kind}"
        if [*decode.inputs.values()] != [symbols] or next(iter(decode.outputs.values())) != sample.x:
            return (
                f"task {self.decode!r} of the codec must take the symbols of {self.encode!r} alone, and give a sample"
            )
        if symbols.classes > TOTAL or math.prod(symbols.shape) > MOST_SYMBOLS:
            return (
                f"the codec has {symbols.classes:,} symbols, {math.prod(symbols.shape):,} a sample; at most {TOTAL:,} "
                f"and {MOST_SYMBOLS:,} are possible"
            )
        if any(len(offset) != len(symbols.shape) for offset in self.context):
            return (
                f"the context of the codec has offsets of {len(self.context[0])} numbers, and its grid of symbols has "
                f"{len(symbols.shape)} axes"
            )
        return ""


def to_json(codec: Codec) -> dict[str, Any]:
    """The JSON object for a codec, as in a manifest."""
    return dataclasses.asdict(codec)


def from_json(value: Any, where: str) -> Codec:
    """The codec that a manifest's JSON object declares; a :class:`ReleaseError` that names `where` if it is none."""
    fields = [field.name for field in dataclasses.fields(Codec)]
    if not isinstance(value, dict) or sorted(value) != sorted(fields):
        raise ReleaseError(f"{where} is {str(value)[:80]!r}; it must have the fields {', '.join(fields)}.")
    try:
        return Codec(**value)
    except PluginError as error:
        raise ReleaseError(f"{where} is not usable: {error}") from error
