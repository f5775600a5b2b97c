"""emoji: 3,781 emoji in two drawing styles, colour, 64x64, each with its category, its name and the other drawing.

The images are a selection of emoji-data (https://github.com/iamcal/emoji-data), which has one file name for both
styles: img-google-64/NAME.png is Noto, img-twitter-64/NAME.png is Twemoji. emoji.json has the names and categories.
"""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import zoo
from zoo.core.errors import DataError, one_line
from zoo.data import archives, characters
from zoo.media import images

FOLDERS = {"noto": "img-google-64", "twemoji": "img-twitter-64"}
"""The folder of each style in the archive."""

CLASSES = (
    *("Activities", "Animals & Nature", "Flags", "Food & Drink", "Objects", "People & Body", "Smileys & Emotion"),
    *("Symbols", "Travel & Places"),
)
"""The categories of Unicode, sorted, without "Component": swatches of skin tones, which are no emoji by themselves."""

VOCABULARY = " abcdefghijklmnopqrstuvwxyz0123456789-,:&.()*'"
"""The characters of captions. The space comes first: captions are padded with it."""

TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}

ARCHIVE = zoo.KnownFile(
    name="emoji-data-64.tar.gz",
    folders=("emoji", "emoji-data", ""),
    size=23_818_112,
    sha256="4e6cd51be5cb55e86edb4f9d3f2b272da4b3b58fe5ab486662eb2e26dd3d8ffd",
    inside=zoo.Inside(
        pattern=r"(?:.*/)?(emoji\.json|img-(?:google|twitter)-64/[^/]+\.png)",
        sha256="6329b2ee0c0da90c23b15f95d514e322ded1918e057506e8c823eec3fe3849dd",
    ),
    note="It holds images and emoji.json of emoji-data 16.0.0, https://github.com/iamcal/emoji-data.",
)


@dataclass(frozen=True, kw_only=True)
class EmojiOptions(zoo.ImageOptions):
    style: Literal["noto", "twemoji"] = zoo.setting("noto", "drawing style of x; the field other has the other style")
    length: int = zoo.setting(48, "characters of a caption: longer ones are cut, shorter ones padded", ge=8, le=96)


def form(options: EmojiOptions) -> zoo.Sample:
    """The form of the fields before zoo resizes images."""
    image = zoo.Image(3, 64, 64)
    label, caption = zoo.Label(len(CLASSES)), zoo.Text(VOCABULARY, options.length)
    return zoo.Sample(image, {"label": label, "caption": caption, "other": image})


def load(split: str, folder: Path, options: EmojiOptions) -> dict[str, NDArray[Any]]:
    """Load one split. A whole emoji, with all of its skin tones and both styles, is on one side of the split.

    The SHA-256 of its file name decides: a tenth is for testing. The same hash orders the images of a split, so that
    the first are of all classes.
    """
    found = archives.obtain(ARCHIVE, folder)
    try:
        entries = [entry for entry in json.loads(found["emoji.json"]) if entry["category"] in CLASSES]
        drawn = [
            (image, entry, tones)
            for entry in entries
            if _side(entry["image"]) == split
            for image, tones in _images(entry)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"emoji.json in {ARCHIVE.name} is damaged ({one_line(error)}). Delete it and run again."
        ) from error
    drawn.sort(key=lambda item: _hash(item[0]))
    names = [image for image, _, _ in drawn]
    ground = zoo.ImageOptions(background=options.background)  # zoo resizes both fields
    other = next(style for style in FOLDERS if style != options.style)
    return {
        "x": _pixels(found, options.style, names, ground),
        "label": np.array([CLASSES.index(entry["category"]) for _, entry, _ in drawn], np.int64),
        "caption": characters.rows(
            (caption(entry["name"], tones, options.length) for _, entry, tones in drawn),
            zoo.Text(VOCABULARY, options.length),
        ),
        "other": _pixels(found, other, names, ground),
    }


def caption(name: str, tones: tuple[str, ...], length: int) -> str:
    """A name in lower case and without accents, cut so that the skin tones fit: ``"raised hand, dark skin tone"``."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    said = f", {' and '.join(tones)} skin tone" if tones else ""
    return plain[: max(0, length - len(said))] + said


def _images(entry: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """The file names of an emoji, each with its skin tones."""
    varied = entry.get("skin_variations", {})
    tones = [(one["image"], tuple(TONES[code] for code in key.split("-"))) for key, one in varied.items()]
    return [(entry["image"], ()), *tones]


def _side(image: str) -> str:
    return "test" if _hash(image)[0] % 10 == 0 else "train"


def _hash(image: str) -> bytes:
    return hashlib.sha256(image.encode()).digest()


def _pixels(found: Mapping[str, bytes], style: str, names: list[str], ground: zoo.ImageOptions) -> NDArray[np.uint8]:
    """The images of a style on the background: uint8 (n, 3, 64, 64)."""
    x = np.empty((len(names), 3, 64, 64), np.uint8)
    for row, name in zip(x, names, strict=True):
        file = f"{FOLDERS[style]}/{name}"
        try:
            with Pillow.open(io.BytesIO(found[file]), formats=("PNG",)) as image:
                row[:] = images.pixels(image, 3, file, ground).transpose(2, 0, 1)  # (h, w, 3) -> (3, h, w)
        except Exception as error:  # Pillow's readers raise many kinds on damaged files
            raise DataError(
                f"{ARCHIVE.name} is damaged at {file} ({one_line(error)}). Delete it and run again."
            ) from error
    return x


emoji = zoo.DataSet(
    card=zoo.DataCard(
        title="Emoji in two drawing styles, with names and categories",
        source="A selection of emoji-data 16.0.0; C. Henderson, https://github.com/iamcal/emoji-data; Noto Emoji by "
        "Google, Twemoji by Twitter and contributors",
        licence="Apache 2.0 (Noto), CC BY 4.0 (Twemoji), MIT (names)",
        citation="Google, https://github.com/googlefonts/noto-emoji; Twitter and contributors, "
        "https://github.com/jdecked/twemoji",
        split="by the SHA-256 of the file name, a tenth to test; all skin tones and both styles are on one side",
    ),
    options=EmojiOptions,
    sample=form,
    load=load,
    files={"train": (ARCHIVE,), "test": (ARCHIVE,)},
    classes=CLASSES,
    train=3_394,
    test=387,
)
