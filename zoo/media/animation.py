"""Animated PNG and GIF files of images, with every image a frame of its own.

Pillow's writers join frames that are the same, and a video would come back with fewer of them. So each frame is encoded
by Pillow alone, and the file is put together here.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

FRAME = 100
"""Milliseconds that a frame is shown."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(frames: Sequence[Pixels]) -> bytes:
    """Images of one form, uint8 (h, w) or (h, w, 3), as the bytes of an animated PNG that repeats for ever.

    W3C, Portable Network Graphics (third edition), section 11.3.4. Without loss; viewers that know no animation show
    the first frame.
    """
    height, width = frames[0].shape[:2]
    body, number = b"", 0
    header = b""
    for place, frame in enumerate(frames):
        body += _chunk(b"fcTL", struct.pack(">5I2H2B", number, width, height, 0, 0, FRAME, 1000, 0, 0))
        number += 1
        for kind, content in _chunks(_still(frame)):
            if kind == b"IHDR":
                header = content  # the same for all frames
            elif kind == b"IDAT" and place == 0:
                body += _chunk(kind, content)
            elif kind == b"IDAT":
                body += _chunk(b"fdAT", struct.pack(">I", number) + content)
                number += 1
    control = _chunk(b"acTL", struct.pack(">2I", len(frames), 0))
    return _SIGNATURE + _chunk(b"IHDR", header) + control + body + _chunk(b"IEND", b"")


def gif(frames: Sequence[Pixels]) -> bytes:
    """Images of one form, uint8 (h, w) or (h, w, 3), as the bytes of an animated GIF that repeats for ever.

    CompuServe, GIF89a. Each frame has its own table of 256 colours: grey is kept without loss, colour is reduced.
    """
    from PIL import GifImagePlugin, Image

    height, width = frames[0].shape[:2]
    parts = [b"GIF89a" + struct.pack("<2H3B", width, height, 0x70, 0, 0)]
    parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # repeats for ever
    for frame in frames:
        image = Image.fromarray(frame)
        if frame.ndim == 2:
            image = Image.frombytes("P", image.size, frame.tobytes())
            image.putpalette([level for level in range(256) for _ in range(3)])
        else:
            image = image.quantize(256, dither=Image.Dither.NONE)
        parts += GifImagePlugin.getdata(image, duration=FRAME, include_color_table=True)
    return b"".join([*parts, b";"])


def _still(frame: Pixels) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each chunk of a PNG file."""
    at = len(_SIGNATURE)
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
