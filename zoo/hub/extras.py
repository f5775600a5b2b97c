"""The files that a repository on the Hub has beside a release: the card, config.json and .gitattributes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from zoo.hub import card
from zoo.hub.repository import ATTRIBUTES, Repository
from zoo.release import CARD, Release

LARGE = (".safetensors", ".onnx", ".png", ".wav")
"""Endings of files of a release that are no text, and that git should keep as large ones."""


def config(release: Release, manifest_sha256: str, text: str) -> bytes:
    """The content of ``config.json``: what viewers show, and what the Hub counts as a download.

    It also has the SHA-256 of the text of the card, by which the next publish sees whether people have edited that.
    """
    content = {
        "model_type": release.name.partition(".")[0],
        "name": release.name,
        "library_name": card.LIBRARY,
        "format": release.manifest["format"],
        "manifest_sha256": manifest_sha256,
        "card_sha256": _hash(text),
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def attributes(names: Iterable[str], there: Repository | None) -> bytes:
    """The content of ``.gitattributes``: what is there, and a line for each kind of large file that has none yet."""
    before = there.texts.get(ATTRIBUTES, b"") if there else b""
    known = {line.split()[0] for line in before.decode("utf-8", "replace").splitlines() if line.split()}
    endings = sorted({PurePath(name).suffix for name in names} & {*LARGE})
    added = [f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in endings if f"*{ending}" not in known]
    gap = b"" if not before or before.endswith(b"\n") or not added else b"\n"
    return before + gap + "".join(added).encode()


def text_of(readme: str, repository: str) -> str:
    """The text of a card for a repository, from the README.md of a release."""
    return card.for_repository(card.split(readme)[1], repository).strip() + "\n"


def merged_card(
    fields: Mapping[str, Any], text: str, there: Repository | None, replace: bool = False
) -> tuple[bytes, str]:
    """The card to publish, and a line to say if something that people wrote is not what they might expect.

    The fields of zoo replace those in the repository; fields and tags that people have added stay. A text that people
    have edited, or that zoo has not written, stays too in place of `text`, unless `replace`: their work is not lost by
    a publish.
    """
    if there is None or CARD not in there.blobs:
        return card.written(fields, text).encode(), ""
    before = there.texts.get(CARD)
    stays = f"{there.name}: the text of README.md was edited there and stays. --replace-card puts that of the release."
    try:
        old = None if before is None else before.decode()
    except UnicodeDecodeError:
        old = None
    if old is None and not replace and before is not None:
        return before, stays
    if old is None:
        reason = "is too large to be read" if before is None else "is not text in UTF-8"
        lost = f"{there.name}: README.md {reason} there, so the metadata that people added to it is lost."
        return card.written(fields, text).encode(), lost
    old_fields, old_text = card.split(old)
    theirs = {key: value for key, value in old_fields.items() if key not in fields and key not in card.FIELDS}
    old_tags = old_fields.get("tags")
    old_tags = [old_tags] if isinstance(old_tags, str) else old_tags if isinstance(old_tags, list) else []
    added = [tag for tag in old_tags if isinstance(tag, str) and tag not in there.tags]
    new_fields = {**fields, "tags": list(dict.fromkeys([*fields["tags"], *added])), **theirs}
    edited = bool(old_text.strip()) and _hash(old_text) != there.text_sha256 and old_text.strip() != text.strip()
    new_text = old_text if edited and not replace else text
    notes = [stays] if edited and not replace else []
    if card.has_bad_fields(old):
        notes.append(f"{there.name}: the metadata of README.md there is not valid YAML, and is replaced whole.")
    if new_fields == old_fields and new_text.strip() == old_text.strip():
        return before or b"", " ".join(notes)  # however its YAML is written
    return card.written(new_fields, new_text).encode(), " ".join(notes)


def _hash(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()
