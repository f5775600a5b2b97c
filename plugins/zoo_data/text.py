"""text:FILE: the user's own text in UTF-8, split like Shakespeare."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import zoo
from zoo.core.errors import DataError, unreadable
from zoo.data import characters
from zoo.media.images import shown


def load(split: str, file: Path, options: zoo.TextOptions) -> zoo.Loaded:
    """Load one split of a text file."""
    given = str(file)
    if os.path.isdir(file):
        raise DataError(f"{given!r} is a folder, and text: takes a file. Name a file in it; for images use folder:.")
    if not os.path.isfile(file):
        raise DataError(f"The text file {given!r} does not exist. Check the path after 'text:'.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
    name = shown(file.name)
    loaded = characters.of_content(content, f"text:{name}", split, options.length)
    return dataclasses.replace(loaded, source=f"The user's own text file {name!r}")


text = zoo.DataSet(
    card=zoo.DataCard(
        title="a text in UTF-8",
        source="The user's own text file",
        licence="unknown",
        citation="none",
        split="the first 90% of the characters to train on, the last 10% to test",
    ),
    options=zoo.TextOptions,
    load=load,
    place="FILE",
)
