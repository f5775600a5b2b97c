"""digits: 1,797 handwritten digits, grey, 8x8, bundled with scikit-learn.

They are the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998,
https://archive.ics.uci.edu/dataset/80, CC BY 4.0).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.core.errors import installed, missing

TRAIN = 1500


def load(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, NDArray[Any]]:
    """Load the first 1,500 digits for training, or the last 297 for testing.

    The split keeps the bundled order, which groups the digits by writer. So most test digits come from writers who
    wrote none of the training digits. (The labels repeat in runs of about 128 digits; the first 45 test digits complete
    a run that began in the training digits.) Grey values 0 to 16 become round(value * 255 / 16).
    """
    images, target = _bundled()
    part = slice(TRAIN) if split == "train" else slice(TRAIN, None)
    x = np.rint(images[part].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return {"x": x, "label": target[part].astype(np.int64)}


def _bundled() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return grey values 0 to 16, (1797, 64), and labels, as scikit-learn's `load_digits` does.

    The bundled file is read directly, because importing scikit-learn takes more than a second.
    """
    place = find_spec("sklearn") if installed("sklearn") else None
    if place is None:
        raise missing("scikit-learn", "train", "The data set 'digits'")
    for folder in place.submodule_search_locations or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits  # for versions with the file elsewhere

    images, target = load_digits(return_X_y=True)
    return images, target


digits = zoo.DataSet(
    card=zoo.DataCard(
        title="Handwritten digits, small",
        source="Optical Recognition of Handwritten Digits, test set; E. Alpaydin and C. Kaynak, 1998, "
        "https://archive.ics.uci.edu/dataset/80; as bundled with scikit-learn",
        licence="CC BY 4.0",
        citation="Alpaydin & Kaynak 1998",
        split="the bundled order: the first 1,500 to train on, the last 297 to test",
    ),
    options=zoo.ImageOptions,
    sample=lambda options: zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)}),
    load=load,
    classes=tuple("0123456789"),
    train=1500,
    test=297,
    package="scikit-learn",
)
