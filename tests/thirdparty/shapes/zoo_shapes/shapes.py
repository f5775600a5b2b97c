"""shapes: pairs of black and white images, an outline and the filled shape, in a format of its own.

A file is ``PAIR``, the number of pairs (2 bytes, big-endian) and the side of the images (1 byte); then for each pair
its class (1 byte), and the outline and the shape, row by row, a bit a pixel. ``python -m zoo_shapes.shapes DIR`` writes
it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import zoo
from zoo.core.errors import DataError
from zoo.data.download import obtain

SIDE, TRAIN, TEST = 16, 300, 60
CLASSES = ("square", "disc", "diamond")

FILE = zoo.KnownFile(
    name="shapes.pairs",
    folders=("shapes",),
    size=7 + (TRAIN + TEST) * 65,
    sha256="cf4553798692f641271642451e1e0bd9d4a0e9827f56ca7eaba376368382efcb",
    note="python -m zoo_shapes.shapes DIR writes it.",
)


def drawn() -> bytes:
    """The content of the file: shapes of all classes, sizes and places in turn."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    content = b"PAIR" + (TRAIN + TEST).to_bytes(2, "big") + bytes([SIDE])
    for index in range(TRAIN + TEST):
        label, size = index % 3, 3 + index // 3 % 3
        top, left = 6 + index * 7 % 5, 6 + index * 11 % 5  # of the centre
        y, x = abs(rows - top), abs(columns - left)
        distance = (np.maximum(y, x), np.sqrt(y * y + x * x), y + x)[label]
        shape = distance <= size
        inside = distance <= size - 1
        content += bytes([label]) + np.packbits(shape & ~inside).tobytes() + np.packbits(shape).tobytes()
    return content


def load(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, np.ndarray]:
    content = obtain(FILE, folder)
    if content[:4] != b"PAIR" or len(content) != FILE.size:
        raise DataError(f"{FILE.name} is no file of pairs. Write it again.")
    records = np.frombuffer(content, np.uint8, offset=7).reshape(-1, 65)
    records = records[:TRAIN] if split == "train" else records[TRAIN:]
    images = 255 * np.unpackbits(records[:, 1:], axis=1).reshape(-1, 2, 1, SIDE, SIDE)
    return {"x": images[:, 1], "outline": images[:, 0], "label": records[:, 0].astype(np.int64)}


shapes = zoo.DataSet(
    card=zoo.DataCard(
        title="Outlines and the shapes that they enclose",
        source="Made by a formula (zoo_shapes/shapes.py)",
        licence="MIT",
        citation="none is needed",
        split="the first 300 to train on, the last 60 to test",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(
        zoo.Image(1, SIDE, SIDE), {"outline": zoo.Image(1, SIDE, SIDE), "label": zoo.Label(3)}
    ),
    load=load,
    files={"train": (FILE,), "test": (FILE,)},
    classes=CLASSES,
    train=TRAIN,
    test=TEST,
)

if __name__ == "__main__":
    place = Path(sys.argv[1]) / "shapes"
    place.mkdir(parents=True, exist_ok=True)
    (place / FILE.name).write_bytes(drawn())
