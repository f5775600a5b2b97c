"""Text at character level: as one stream, from which windows are drawn, or as rows of one length.

The first 90% of a stream are for training, the last 10% for testing, as usual for character models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.data import Loaded
from zoo.contract.specs import Sample, Text
from zoo.core.errors import DataError

LARGEST_VOCABULARY = 65_535


def of_content(content: bytes, name: str, split: str, length: int) -> Loaded:
    """Return one split of a text, given as UTF-8 bytes, from which windows of `length` characters are drawn.

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
    x = ids[:cut].copy() if split == "train" else ids[cut:].copy()
    return Loaded(fields={"x": x}, sample=Sample(Text(vocabulary, length)), sha256=hashlib.sha256(content).hexdigest())


def rows(texts: Iterable[str], spec: Text) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return short texts, such as captions, as rows of indices into the vocabulary: (n, length).

    Longer texts are cut, and shorter ones padded with the vocabulary's first character. Raises :class:`DataError` for
    a character that is not in the vocabulary.
    """
    index = {character: number for number, character in enumerate(spec.vocabulary)}
    made: list[list[int]] = []
    for text in texts:
        if strange := next((character for character in text if character not in index), ""):
            raise DataError(f"The text {text[:60]!r} has {strange!r}, which is not in the vocabulary.")
        made.append([index[character] for character in text[: spec.length].ljust(spec.length, spec.vocabulary[0])])
    dtype: Any = np.uint8 if spec.classes <= 256 else np.uint16
    return np.array(made, dtype).reshape(-1, spec.length)


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
