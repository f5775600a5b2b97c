"""Text at character level: tiny Shakespeare, and the user's own file.

The first 90% of the characters are for training, the last 10% for testing, as usual for character models.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Sample, Text
from zoo.core import files
from zoo.core.errors import DataError, unreadable
from zoo.data.dataset import DataSet, Options, Split
from zoo.data.download import obtain
from zoo.data.named import NamedSet
from zoo.media.images import shown

LARGEST_VOCABULARY = 65_535


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Load one split of a published text in one file."""
    (file,) = known.files[split]
    content = obtain(file, options.data_dir, options.progress)
    return of_content(content, known.name, split, options.length, known.source, known.licence)


def own(given: str, split: Split, length: int) -> DataSet:
    """Load one split of the user's own UTF-8 text file, split like Shakespeare."""
    path = files.expand(given)
    if os.path.isdir(path):
        raise DataError(f"{given!r} is a folder, and text: takes a file. Name a file in it; for images use folder:.")
    if not os.path.isfile(path):
        raise DataError(f"The text file {given!r} does not exist. Check the path after 'text:'.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(given, error) from error
    name = shown(path.name)
    return of_content(
        content, f"text:{name}", split, length, source=f"The user's own text file {name!r}", licence="unknown"
    )


def of_content(content: bytes, name: str, split: Split, length: int, source: str, licence: str) -> DataSet:
    """Return one split of a text, given as UTF-8 bytes.

    Raises :class:`DataError` if the bytes are not UTF-8, or the text is too short for a window.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name!r} is not UTF-8: the byte at {error.start} is 0x{content[error.start]:02x}. Save it as UTF-8."
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")  # drop Windows' byte-order mark and line ends
    vocabulary, ids = encode(text, name)
    cut = len(ids) * 9 // 10
    if min(cut, len(ids) - cut) < length:
        raise DataError(
            f"{name!r} has {len(ids):,} characters, {cut:,} for training and {len(ids) - cut:,} for testing: "
            f"too few for one window of {length:,}. Use a longer text or a smaller length."
        )
    return DataSet(
        name=name,
        split=split,
        sample=Sample(Text(vocabulary, length)),
        x=ids[:cut].copy() if split == "train" else ids[cut:].copy(),
        labels=None,
        source=source,
        licence=licence,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def encode(text: str, name: str) -> tuple[str, NDArray[np.uint8] | NDArray[np.uint16]]:
    """Return the vocabulary of a text, and the text as indices into it.

    The newline comes first if the text has one; the other characters are sorted by code point. Every generated sequence
    starts from token 0, and the start of a line is a good starting point.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    used = np.unique(codes)
    order = np.concatenate([used[used == ord("\n")], used[used != ord("\n")]])
    if len(order) > LARGEST_VOCABULARY:
        raise DataError(
            f"{name!r} has {len(order):,} different characters, and a vocabulary has at most {LARGEST_VOCABULARY:,}. "
            "Is it text? Use another file."
        )
    index = np.zeros(0x110000, np.uint8 if len(order) <= 256 else np.uint16)  # by code point
    index[order] = np.arange(len(order))
    return "".join(map(chr, order)), index[codes]
