"""descriptions: scikit-learn's descriptions of its six bundled data sets. Enough to try a model, not to evaluate it."""

from __future__ import annotations

from zoo.core.errors import missing
from zoo.data.dataset import DataSet, Options, Split
from zoo.data.named import NamedSet
from zoo.data.text import of_content


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Load one split of about 15,000 characters of English, split like Shakespeare."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise missing("scikit-learn", "train", "The data set 'descriptions'") from error
    names = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
    content = "\n".join(getattr(datasets, f"load_{name}")().DESCR for name in names).encode()
    return of_content(content, known.name, split, options.length, known.source, known.licence)
