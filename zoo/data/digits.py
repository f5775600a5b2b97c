"""digits: 1,797 handwritten digits, grey, 8x8, that come with scikit-learn.

They are the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998,
https://archive.ics.uci.edu/dataset/80, CC BY 4.0).
"""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import DataSet, Options, Split, fingerprint, of_named
from zoo.data.named import NamedSet
from zoo.errors import missing
from zoo.specs import Image, Sample

TRAIN = 1500


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """The first 1,500 digits to train on, the last 297 to test.

    The split keeps the bundled order, in which a writer's digits stand together, so that most of the test digits come
    from writers who wrote none of the train digits. (The labels repeat in runs of about 128 digits; the first 45 of the
    test digits end a run that began in the train digits.) Grey values 0 to 16 become round(value * 255 / 16).
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing("scikit-learn", "train", "The data set 'digits'") from error
    images, target = load_digits(return_X_y=True)
    part = slice(TRAIN) if split == "train" else slice(TRAIN, None)
    x = np.rint(images[part].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = target[part].astype(np.int64)
    return of_named(known, split, Sample(Image(1, 8, 8), classes=10), x, labels, fingerprint(x, labels))
