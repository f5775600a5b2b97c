"""docs/samples.png: the first samples of seed 0 of some released models, a row each.

python tests/released/image.py          # compares
python tests/released/image.py --write  # makes it anew
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import zoo

FILE = Path(__file__).parents[2] / "docs" / "samples.png"
MODELS = ("vae.mnist", "vq-vae.mnist", "dcgan.mnist", "wgan-gp.mnist", "cgan.mnist")
COLUMNS, SIDE, GAP = 20, 40, 4


def row(name: str) -> NDArray[np.uint8]:
    """The samples of one model side by side, uint8 (height, width)."""
    with zoo.load(name, device="cpu") as model:
        samples = model.generate(COLUMNS, seed=0)
    cells = [Image.fromarray(one).convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in samples]
    made = np.full((SIDE + GAP, COLUMNS * (SIDE + GAP) - GAP), 255, np.uint8)
    for number, cell in enumerate(cells):
        made[:SIDE, number * (SIDE + GAP) :][:, :SIDE] = np.asarray(cell)
    return made


def image() -> NDArray[np.uint8]:
    """All of it, uint8 (height, width)."""
    return np.concatenate([row(name) for name in MODELS])[:-GAP]


if __name__ == "__main__":
    made = image()
    if "--write" in sys.argv:
        content = io.BytesIO()
        Image.fromarray(made).save(content, "PNG", optimize=True)
        FILE.write_bytes(content.getvalue())
    elif np.abs(np.asarray(Image.open(FILE)).astype(int) - made).max() > 2:
        sys.exit(f"{FILE} shows something else. Run: python tests/released/image.py --write")
