"""descriptions: scikit-learn's descriptions of its six bundled data sets. Enough to try a model, not to evaluate it."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.core.errors import missing
from zoo.data.characters import of_content


def load(split: str, folder: Path, options: zoo.TextOptions) -> zoo.Loaded:
    """Load one split of about 15,000 characters of English, split like Shakespeare."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise missing("scikit-learn", "train", "The data set 'descriptions'") from error
    names = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
    content = "\n".join(getattr(datasets, f"load_{name}")().DESCR for name in names).encode()
    return of_content(content, "descriptions", split, options.length)


descriptions = zoo.DataSet(
    card=zoo.DataCard(
        title="About 15,000 characters of English, to try a model of text",
        source="The descriptions of the six data sets bundled with scikit-learn, https://scikit-learn.org",
        licence="BSD-3-Clause",
        citation="Pedregosa et al. 2011, https://jmlr.org/papers/v12/pedregosa11a.html",
        split="the first 90% of the characters to train on, the last 10% to test",
    ),
    options=zoo.TextOptions,
    load=load,
    package="scikit-learn",
)
