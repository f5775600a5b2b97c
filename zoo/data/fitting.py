"""Checks that a data set declares a usable form, and that its arrays have this form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract import names, typed
from zoo.contract.options import GRAPH, TAKEN, USUAL
from zoo.contract.specs import Array, FieldSpec, Label, Sample, SampleSpec, Text
from zoo.data.stream import Stream

STORED: Mapping[str, tuple[str, ...]] = {
    "image": ("uint8",),
    "video": ("uint8",),
    "text": ("uint8", "uint16", "int64"),
    "audio": ("int16",),
    "log-mel": ("float32",),
    "label": ("uint8", "int32", "int64"),
}
"""The dtypes in which a data set holds a field, by the kind of its spec; another kind is held in the spec's dtype."""


OPTIONS = frozenset((*TAKEN, *GRAPH, *USUAL)) - {"label"}
"""Names of arguments and options of generation, which no input that users give can have."""


def problem_of_names(sample: Sample) -> str:
    """Return which field has a name that is not allowed, or ``""``. A field may become an input that users give."""
    for name, spec in sample.fields.items():
        if wrong := names.declared_problem(name):
            return f"the field {name!r} {wrong}"
        givable = isinstance(spec, SampleSpec) or (isinstance(spec, Label) and bool(spec.shape))
        if givable and name in OPTIONS:
            return (
                f"the field {name!r} has the name of an option of generation, so no model could take it from a user. "
                "Rename it"
            )
    return ""


def problem(sample: Sample, fields: Mapping[str, Any]) -> str:
    """Return why arrays do not fit their form, as the rest of a sentence, or ``""``."""
    forms: dict[str, FieldSpec] = {"x": sample.x, **sample.fields}
    if lacking := [name for name in forms if name not in fields]:
        return f"load gives no field {lacking[0]!r}; it gives {', '.join(fields) or 'none'}"
    if more := [name for name in fields if name not in forms]:
        return f"load gives the field {more[0]!r}, and the sample has only {', '.join(forms)}"
    windows = isinstance(sample.x, Text) and getattr(fields["x"], "ndim", 0) == 1
    if windows and sample.fields:
        return (
            "x is one long text, from which windows are drawn, and so it can have no other fields; the sample has "
            f"{', '.join(sample.fields)}. Give a text for each sample, of shape (n, {sample.x.shape[0]})"
        )
    for name, spec in forms.items():
        if wrong := _problem(fields[name], spec, windows and name == "x"):
            return f"load gives the field {name!r} {wrong}"
    if not windows and len({len(held) for held in fields.values()}) > 1:
        counts = ", ".join(f"{len(held):,} of {name!r}" for name, held in fields.items())
        return f"load gives fields of different length: {counts}"
    if not len(fields["x"]):
        return "load gives no samples: x is empty"
    return ""


def as_held(spec: FieldSpec, held: Any) -> Any:
    """Return a fitting array contiguous and writable, and labels as int64."""
    if isinstance(held, Stream):
        return held
    return np.require(held, np.int64 if isinstance(spec, Label) else None, ["C", "W"])


def _problem(held: Any, spec: FieldSpec, windows: bool) -> str:
    if isinstance(held, Stream):
        if spec.kind == "image" and held.form == spec.shape:
            return ""
        return f"as a stream of images of shape {held.form}, and its form is {spec.kind} of shape {spec.shape}"
    if not isinstance(held, np.ndarray):
        return f"as {typed.shown(held)}, and it should be a numpy array"
    dtypes = STORED.get(spec.kind, (spec.dtype,))
    if held.dtype.name not in dtypes:
        return f"as {held.dtype.name}, and {spec.kind} is held as {' or '.join(dtypes)}"
    shape = () if windows else spec.shape
    if held.shape[1:] != shape or held.ndim != 1 + len(shape):
        wanted = f"({', '.join(['n', *map(str, shape)])}{',' if not shape else ''})"
        return f"of shape {held.shape}, and its form is {wanted}"
    return _out_of_range(held, spec)


def _out_of_range(held: NDArray[Any], spec: FieldSpec) -> str:
    """Return which value is not possible: a class, a character, or a number that is not finite."""
    if isinstance(spec, (Label, Text)) and held.size:
        least, most = int(held.min()), int(held.max())
        if least < 0 or most >= spec.classes:
            what = "class" if isinstance(spec, Label) else "character"
            return f"with the {what} {least if least < 0 else most}, and there are {spec.classes}, from 0"
    if held.dtype.kind == "f" and not np.isfinite(held).all():
        return "with values that are not finite"
    if isinstance(spec, Array) and held.size:
        if spec.low is not None and held.min() < np.float32(spec.low):
            return f"with the value {held.min():g}, which is below {spec.low:g}, the low of its form"
        if spec.high is not None and held.max() > np.float32(spec.high):
            return f"with the value {held.max():g}, which is above {spec.high:g}, the high of its form"
    return ""
