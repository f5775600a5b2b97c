"""What a person writes for a release on the Hub: ``hub:ORG/NAME`` or ``hub:ORG/NAME@REVISION``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.core.errors import SettingError

PREFIX = "hub:"
MAIN = "main"
"""The revision where none is given."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubSource:
    """A repository on the Hub at a revision: a branch, a tag, ``refs/pr/N`` or a full commit."""

    repository: str
    revision: str = MAIN

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + ("" if self.revision == MAIN else f"@{self.revision}")

    @property
    def is_commit(self) -> bool:
        """Whether the revision is a full commit, which always means the same files."""
        return bool(_COMMIT.fullmatch(self.revision))

    def at(self, revision: str) -> HubSource:
        """The same repository at another revision."""
        return HubSource(self.repository, revision)


@dataclass(frozen=True)
class Pin:
    """What a registry says of a release: the SHA-256 of its manifest, and where it is on the Hub, if it is there."""

    name: str
    sha256: str
    source: HubSource | None = None
    signer: str = ""
    """The public key, in PEM, of whoever signed the release; empty where none is pinned."""


def is_hub(source: object) -> bool:
    """Whether a SOURCE is written as one on the Hub."""
    return isinstance(source, str) and source.startswith(PREFIX)


def resembles(text: str) -> str:
    """How a release on the Hub is written, for a text that may be meant so: ORG/NAME, or the address of its page."""
    found = re.fullmatch(rf"(?:https?://[^/]+/)?({_REPOSITORY.pattern})/?", text)
    return f"{PREFIX}{found[1]}" if found else ""


def parse(source: str) -> HubSource:
    """Return what ``hub:ORG/NAME[@REVISION]`` says. Raises :class:`SettingError` for anything else."""
    repository, mark, revision = source.removeprefix(PREFIX).partition("@")
    check_repository(repository, source)
    return HubSource(repository, check_revision(revision, source) if mark else MAIN)


def check_repository(repository: str, shown: str = "") -> str:
    """Return a repository's name. Raises :class:`SettingError` unless it is ``ORG/NAME`` by the Hub's rules."""
    name = repository.partition("/")[2]
    wrong = "--" in repository or ".." in repository or name.endswith((".", "-", ".git", ".ipynb"))
    if wrong or not _REPOSITORY.fullmatch(repository):
        raise SettingError(
            f"{(shown or repository)[:200]!r} names no repository on the Hub. Write ORG/NAME (in a SOURCE: "
            f"{PREFIX}ORG/NAME or {PREFIX}ORG/NAME@REVISION), of letters, digits, '.', '_' and '-'."
        )
    return repository


def check_revision(revision: str, shown: str = "") -> str:
    """Return a revision. Raises :class:`SettingError` unless it may be a branch, a tag, ``refs/pr/N`` or a commit."""
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise SettingError(
            f"{(shown or revision)[:200]!r} names no revision on the Hub. Write a branch, a tag or a full commit (in a "
            "SOURCE: after the @)."
        )
    return revision
