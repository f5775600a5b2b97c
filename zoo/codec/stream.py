"""The bytes of a stream of compressed samples (docs/how-to/compress.md has the table): header, payload, checksum."""

from __future__ import annotations

import math
import struct
import zlib

from zoo.core.errors import DataError

SUFFIX = ".zooc"
"""The usual ending of a file that holds a stream."""

MAGIC, VERSION, RANS = b"ZOOC", 1, 1
_HEAD = struct.Struct("<4sBBBB32sII")
"""Magic, version, coder, axes of the grid of symbols, a zero, the SHA-256 of the manifest, samples, payload bytes."""
_CHECKSUM = struct.Struct("<I")

MOST = 2**28
"""Symbols of a stream, at most."""


def pack(release: str, shape: tuple[int, ...], count: int, payload: bytes) -> bytes:
    """A stream of `count` samples with symbols of `shape`. `release` is the SHA-256 of a manifest in hexadecimal."""
    head = _HEAD.pack(MAGIC, VERSION, RANS, len(shape), 0, bytes.fromhex(release), count, len(payload))
    content = head + struct.pack(f"<{len(shape)}I", *shape) + payload
    return content + _CHECKSUM.pack(zlib.crc32(content))


def unpack(data: bytes, release: str, name: str, shape: tuple[int, ...], where: str) -> tuple[int, bytes]:
    """The number of samples and the payload of a stream of a release called `name`.

    Raises :class:`DataError`, one line that begins with `where`, for anything else than a whole and undamaged stream of
    that release.
    """
    if data[:4] != MAGIC:
        raise DataError(f"{where} is no stream of zoo compress: it does not begin with {MAGIC.decode()}.")
    if len(data) > 4 and data[4] > VERSION:
        raise DataError(
            f"{where} has version {data[4]}, and this zoo reads {VERSION}. Run: pip install --upgrade genzoo"
        )
    if len(data) < _HEAD.size:
        raise DataError(f"{where} is cut short: it has {len(data)} bytes, fewer than its header. Get it again.")
    _, version, coder, axes, zero, digest, count, size = _HEAD.unpack_from(data)
    begin = _HEAD.size + 4 * axes
    expected = begin + size + _CHECKSUM.size
    if len(data) < expected:
        raise DataError(f"{where} is cut short or damaged: it has {len(data):,} of {expected:,} bytes. Get it again.")
    if len(data) > expected:
        raise DataError(f"{where} is damaged: {len(data) - expected:,} bytes follow its end. Get it again.")
    content = data[: -_CHECKSUM.size]
    if zlib.crc32(content) != _CHECKSUM.unpack(data[-_CHECKSUM.size :])[0]:
        raise DataError(f"{where} is damaged: its checksum is wrong. Get it again.")
    if digest.hex() != release:
        raise DataError(
            f"{where} is of another release: its manifest has the SHA-256 {digest.hex()}, and that of {name} has "
            f"{release}. Get the release that compressed it."
        )
    found = struct.unpack_from(f"<{axes}I", data, _HEAD.size)
    if (version, coder, zero) != (VERSION, RANS, 0) or found != shape:
        raise DataError(f"{where} is not usable: its header does not fit the codec of {name}. Get it again.")
    if not 1 <= count <= MOST // max(math.prod(shape), 1):
        raise DataError(f"{where} is not usable: it has {count:,} samples. Get it again.")
    return count, data[begin : begin + size]
