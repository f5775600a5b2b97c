"""Checks of a graph beyond its hash: it reads only the release's weights, and has the inputs and outputs of its task.

The first check parses the file itself (https://protobuf.dev/programming-guides/encoding, with the field numbers of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), because ONNX Runtime would open any file next to a graph.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.contract.specs import Spec
from zoo.core.errors import ReleaseError, one_line
from zoo.release import WEIGHTS, Release, ReleasedTask

_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""The messages that may hold external data, by the enclosing message and the field number in it."""

_EXTERNAL = 13  # the field of a tensor with the location of its data: keys and values
_DEEP = 100  # nesting depth of messages that protobuf's own readers allow
_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}


def offsets(weights: Path) -> dict[str, tuple[int, int]]:
    """Return the offset and the length in bytes of each tensor in a safetensors file, by name.

    Raises :class:`ReleaseError` for a file that safetensors cannot read.
    """
    from safetensors import safe_open

    try:
        with safe_open(weights, "numpy"):  # checks that the header describes exactly the whole file
            pass
        with open(weights, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
    except Exception as error:  # includes SafetensorError, whose only base class is Exception
        raise ReleaseError(f"{weights} is damaged: {one_line(error)}. Get the release again.") from error
    return {
        name: (8 + size + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def check_release(release: Release) -> None:
    """Raise :class:`ReleaseError` unless every graph of a release reads its weights and no other file."""
    tensors = frozenset(offsets(release.folder / WEIGHTS).values())
    for name in release.files:
        if name.endswith(".onnx"):
            check_file(release.folder / name, release.content(name), tensors)


def check_file(path: Path, content: bytes, tensors: frozenset[tuple[int, int]]) -> None:
    """Raise :class:`ReleaseError` for a file that is not ONNX, or that reads data other than the release's weights.

    `content` is the content of the file; `tensors` holds the offset and the length of each tensor.
    """
    try:
        references = [*_references(memoryview(content), "model", 0)]
    except (ValueError, IndexError) as error:
        raise ReleaseError(f"{path} is not an ONNX graph, or is damaged. Get the release again.") from error
    for reference in references:
        location = reference.get(b"location", b"")
        if location != WEIGHTS.encode():
            raise ReleaseError(f"{path} has data in {location[:80]!r}, and may only read {WEIGHTS}. Do not use it.")
        offset, length = (reference.get(key, b"") for key in (b"offset", b"length"))
        if (
            not (offset.isdigit() and length.isdigit() and len(offset + length) < 40)
            or (
                int(offset),
                int(length),
            )
            not in tensors
        ):
            raise ReleaseError(f"{path} reads data that is not a tensor of {WEIGHTS}. Do not use it.")


def check_form(path: Path, task: ReleasedTask, session: Any) -> None:
    """Raise :class:`ReleaseError` unless the inputs and outputs of an open graph are those that its task declares."""
    takes = {value.name: value for value in session.get_inputs()}
    gives = {value.name: value for value in session.get_outputs()}
    sides = ((takes, task.inputs), (gives, task.outputs))
    if takes.keys() != task.inputs.keys() or not all(
        name in found and _fits(found[name], spec) for found, specs in sides for name, spec in specs.items()
    ):
        raise ReleaseError(f"{path} has other inputs or outputs than the manifest declares. Get the release again.")


def _fits(value: Any, spec: Spec) -> bool:
    """Return whether an input or output of a graph is a batch, of any size, of what a spec declares."""
    return (
        bool(value.shape)
        and not isinstance(value.shape[0], int)
        and tuple(value.shape[1:]) == spec.shape
        and value.type == _TYPES[spec.dtype]
    )


def _references(content: memoryview, kind: str, depth: int) -> Iterator[dict[bytes, bytes]]:
    """Yield the keys and values of each tensor's external data. Raises ValueError or IndexError for a bad message."""
    if depth > _DEEP:
        raise ValueError("too deep")
    if kind == "tensor":
        entries = [dict(_fields(part)) for field, part in _fields(content) if field == _EXTERNAL]
        if entries:  # if a key or a value occurs twice, the last one counts
            yield {bytes(entry.get(1, b"")): bytes(entry.get(2, b"")) for entry in entries}
        return
    for field, part in _fields(content):
        if field in _INSIDE[kind]:
            yield from _references(part, _INSIDE[kind][field], depth + 1)


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of every field of a message that is itself a message or text."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        if not 8 <= tag < 2**32:  # other readers keep 32 bits of it, and see another field
            raise ValueError("no such field")
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
    """Return the number at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("too long a number")
