"""What is checked of a graph beside its hash: it reads the release's weights alone, and is what its task declares.

The first is read from the file itself (https://protobuf.dev/programming-guides/encoding, with the field numbers of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), since ONNX Runtime takes any file that lies beside a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ReleaseError
from zoo.release import WEIGHTS, ReleasedTask
from zoo.specs import Spec

_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external data"},
}
"""The messages that may hold external data, by the message around them and their field in it."""

_DEEP = 100  # messages within messages: what protobuf's own readers allow
_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}


def check_file(path: Path) -> None:
    """Raise :class:`ReleaseError` for a graph that is no ONNX, or reads anything but the release's weights."""
    try:
        locations = set(_locations(memoryview(path.read_bytes()), "model", 0))
    except (ValueError, IndexError) as error:
        raise ReleaseError(f"{path} is no ONNX graph, or damaged. Get the release again.") from error
    for location in locations - {WEIGHTS.encode()}:
        raise ReleaseError(f"{path} has data in {location[:80]!r}, and may only read {WEIGHTS}. Get the release again.")


def check_form(path: Path, task: ReleasedTask, session: Any) -> None:
    """Raise :class:`ReleaseError` unless what an open graph takes and gives is what its task declares."""
    takes = {value.name: value for value in session.get_inputs()}
    gives = {value.name: value for value in session.get_outputs()}
    sides = ((takes, task.inputs), (gives, task.outputs))
    if takes.keys() != task.inputs.keys() or not all(
        name in found and _fits(found[name], spec) for found, specs in sides for name, spec in specs.items()
    ):
        raise ReleaseError(f"{path} takes or gives something else than the manifest declares. Get the release again.")


def _fits(value: Any, spec: Spec) -> bool:
    """Whether a tensor of a graph is a batch, of any size, of what a spec declares."""
    return (
        bool(value.shape)
        and not isinstance(value.shape[0], int)
        and tuple(value.shape[1:]) == spec.shape
        and value.type == _TYPES[spec.dtype]
    )


def _locations(content: memoryview, kind: str, depth: int) -> Iterator[bytes]:
    """Every file name of external data in a message of a kind. Raises ValueError or IndexError for what is none."""
    if depth > _DEEP:
        raise ValueError("too deep")
    if kind == "external data":
        entry = dict(_fields(content))  # of a key or a value that comes twice, the last counts
        if bytes(entry.get(1, b"")) == b"location":
            yield bytes(entry.get(2, b""))
        return
    for field, part in _fields(content):
        if field in _INSIDE[kind]:
            yield from _locations(part, _INSIDE[kind][field], depth + 1)


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The number and the bytes of every field of a message that is itself a message, or text."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        if tag & 7 == 2:
            size, at = _varint(content, at)
            if size > len(content) - at:
                raise ValueError("cut short")
            yield tag >> 3, content[at : at + size]
            at += size
        elif tag & 7 == 0:
            _, at = _varint(content, at)
        elif tag & 7 in (1, 5):
            at += 8 if tag & 7 == 1 else 4
        else:
            raise ValueError("no such type")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """The number that stands at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("too long a number")
