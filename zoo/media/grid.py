"""Images for people: grids of samples, text as an image, PNG bytes."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def grid(images: Pixels, columns: int | None = None, gap: int = 1) -> Pixels:
    """Images side by side on a grey ground, nearly square: uint8 (n, h, w) or (n, h, w, 3) to (H, W) or (H, W, 3)."""
    count, height, width = images.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, *images.shape[3:])
    canvas = np.full(size, 96, np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def enlarge(image: Pixels, least: int = 512) -> Pixels:
    """The image with each pixel made a square, so that its longer side has at least `least` pixels or so."""
    factor = max(1, round(least / max(image.shape[:2])))
    return image.repeat(factor, 0).repeat(factor, 1)


def of_waveforms(waveforms: NDArray[np.floating], width: int = 256, height: int = 64) -> Pixels:
    """Audio clips, floats in [-1, 1] (n, samples), as their envelopes, light on dark: uint8 (n, height, width)."""
    count, samples = waveforms.shape
    edges = np.arange(width + 1) * samples // width
    image = np.full((count, height, width), 24, np.uint8)
    for clip, canvas in zip(waveforms, image, strict=True):
        for column, (start, end) in enumerate(itertools.pairwise(edges)):
            part = clip[start : end + 1].clip(-1, 1)  # with the next one's first sample, so that the line has no gaps
            top, bottom = ((1 - edge) / 2 * (height - 1) for edge in (part.max(), part.min()))
            canvas[round(float(top)) : round(float(bottom)) + 1, column] = 230
    return image


def stacks(rows: Sequence[Pixels], columns: int = 8) -> Pixels:
    """Sets of as many images as one grid, each of a set above its partner of the next set."""
    line = np.full_like(rows[0][:, :1], 96)
    parts = [part for row in rows for part in (line, row)][1:]
    return grid(np.concatenate(parts, axis=1), columns=min(columns, len(rows[0])), gap=3)


def pairs(left: Pixels, right: Pixels, columns: int = 8) -> Pixels:
    """Two sets of images as one grid, each of the first above its partner of the second."""
    return stacks([left, right], columns)


def png(image: Pixels, *further: Pixels) -> bytes:
    """An image, uint8 (h, w) or (h, w, 3), as the bytes of a PNG file; with further ones, of an animated one."""
    from PIL import Image

    if further:
        from zoo.media import animation

        return animation.png([image, *further])
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def of_texts(texts: Sequence[str], columns: int = 72) -> Pixels:
    """Texts set in a plain font, dark on light: uint8 (h, w)."""
    import textwrap

    from PIL import Image, ImageDraw, ImageFont

    lines: list[str] = []
    for text in texts:
        for line in text.splitlines():
            lines += textwrap.wrap(line, columns) or [""]
        lines.append("")
    font = ImageFont.load_default(14)
    page = Image.new("L", (columns * 9 + 32, len(lines) * 20 + 24), 250)
    drawing = ImageDraw.Draw(page)
    for index, line in enumerate(lines):
        drawing.text((16, 12 + index * 20), line, fill=30, font=font)
    return np.asarray(page)
