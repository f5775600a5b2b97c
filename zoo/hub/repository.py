"""What a repository on the Hub has at the head of a revision, as far as publishing has to know it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo.core import files
from zoo.core.errors import HubError, ZooError
from zoo.hub import card, client, reasons
from zoo.hub.deadline import in_time
from zoo.hub.source import HubSource
from zoo.release import CARD, MANIFEST, Release, read
from zoo.release.manifest import LARGEST

CONFIG, ATTRIBUTES = "config.json", ".gitattributes"

LARGEST_EXTRA = 2**20
"""Bytes of a card, a config.json or a .gitattributes, at most."""

Content = Path | bytes


@dataclass(frozen=True)
class Blob:
    """A file in a repository: its size, and its SHA-256 if it is a large one; else the hash that git gives it."""

    size: int
    sha256: str
    git: str

    def holds(self, content: Content) -> bool:
        """Whether a file or some bytes are the same."""
        if (content.stat().st_size if isinstance(content, Path) else len(content)) != self.size:
            return False
        if self.sha256 and isinstance(content, Path):
            return files.sha256(content) == self.sha256
        data = content.read_bytes() if isinstance(content, Path) else content
        if self.sha256:
            return hashlib.sha256(data).hexdigest() == self.sha256
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == self.git


@dataclass(frozen=True)
class Repository:
    """A repository at one commit, with what the last zoo that published there has left."""

    name: str
    commit: str
    private: bool
    blobs: Mapping[str, Blob]
    texts: Mapping[str, bytes] = field(default_factory=dict)
    """The content of the manifest and of the Hub's extras, of those that are there."""
    release: Release | None = None
    """The release that the manifest there declares; its files are not here. None without a usable manifest."""
    problem: str = ""
    """Why the manifest there is not usable, if it is one of zoo's."""

    @property
    def is_ours(self) -> bool:
        """Whether a release of zoo was published there."""
        return self.release is not None or bool(self.problem)

    @property
    def tags(self) -> list[str]:
        """The tags of a card that follow from the release there."""
        return [] if self.release is None else card.tags(self.release.manifest)

    @property
    def text_sha256(self) -> str:
        """The SHA-256 of the text of the card as it was published; "" where that is not known."""
        try:
            return str(json.loads(self.texts.get(CONFIG, b"{}")).get("card_sha256", ""))
        except (ValueError, AttributeError, RecursionError):
            return ""


def describe(source: HubSource) -> Repository:
    """The files of a repository at the head of a revision, without their contents. Raises the client's own errors."""
    info = client.info(source)
    blobs = {
        entry.rfilename: Blob(entry.size or 0, entry.lfs.sha256 if entry.lfs else "", entry.blob_id or "")
        for entry in info.siblings or ()
    }
    if not isinstance(info.sha, str) or not source.at(info.sha).is_commit:
        raise HubError(f"{reasons.address()} does not say at which commit {source} is. Check HF_ENDPOINT.")
    return Repository(info.id, info.sha, bool(info.private), blobs)


def inspect(source: HubSource, *, any_card: bool = False) -> Repository:
    """The same with the contents that publishing reads: the manifest and the extras.

    A card that is too large is an error, unless `any_card`: then it is not read.

    Raises the client's own errors for a repository or a revision that cannot be described, and :class:`HubError` for
    contents that cannot be read.
    """
    found = describe(source)
    texts: dict[str, bytes] = {}
    with TemporaryDirectory() as place:
        folder = Path(place)
        for name, most in ((MANIFEST, LARGEST), (CARD, LARGEST_EXTRA), (CONFIG, LARGEST_EXTRA), (ATTRIBUTES, 2**16)):
            if name not in found.blobs or (name == CARD and any_card and found.blobs[name].size > most):
                continue
            if found.blobs[name].size > most:
                then = "Shorten it there, or replace it: --replace-card" if name == CARD else "Delete it there first."
                raise HubError(
                    f"{source} has a {name} of {found.blobs[name].size:,} bytes, and zoo reads {most:,}. {then}"
                )
            texts[name] = client.fetch(HubSource(found.name, found.commit), name, folder, most).read_bytes()
        release, problem = _release(folder)
    return Repository(found.name, found.commit, found.private, found.blobs, texts, release, problem)


def _release(folder: Path) -> tuple[Release | None, str]:
    """The release that a manifest in a folder declares, and why it is not usable if it is zoo's."""
    if not (folder / MANIFEST).is_file():
        return None, ""
    try:
        return read(folder), ""
    except ZooError as error:
        try:
            content = json.loads((folder / MANIFEST).read_bytes())
            is_zoo = isinstance(content["format"], int) and isinstance(content["files"], dict)
        except (ValueError, LookupError, TypeError, RecursionError):
            is_zoo = False
        return None, str(error).replace(f"{folder}/", "") if is_zoo else ""


def commits_since(repository: str, revision: str, commit: str) -> list[str]:
    """The commits of a revision after a given one, the newest first. Raises the client's own errors."""
    history: Any = in_time(client.PATIENCE, lambda: client.api().list_repo_commits(repository, revision=revision))
    ids = [str(entry.commit_id) for entry in history]
    return ids[: ids.index(commit)] if commit in ids else ids[:1]
