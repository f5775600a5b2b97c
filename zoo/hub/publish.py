"""Publishes a release on the Hub in one commit: exactly its files and the Hub's extras, upon the head that was seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.core.errors import ReleaseError
from zoo.core.progress import TransferReport
from zoo.core.text import plain
from zoo.hub import card, extras, preflight, pulls, reasons, session
from zoo.hub.account import Account
from zoo.hub.changes import Changes, compare
from zoo.hub.preflight import PreflightError, Target
from zoo.hub.repository import ATTRIBUTES, CONFIG, LARGEST_EXTRA, Content, Repository
from zoo.hub.sending import Sender
from zoo.hub.source import MAIN, HubSource
from zoo.release import CARD, MANIFEST, SIGNATURE, Release, verify
from zoo.release.manifest import parse


@dataclass(frozen=True, kw_only=True)
class Published:
    """A release on the Hub, or what publishing it would do."""

    name: str
    repository: str
    changes: Changes
    commit: str
    """Where it is; of a dry run, the head that it would be put upon, "" in a repository that would be made."""
    is_new: bool
    """Whether the repository was made."""
    is_private: bool
    pull_request: str = ""
    """The address of the pull request: of one that was opened, or of an open one that has the same content."""
    branch: str = MAIN
    is_new_branch: bool = False
    tag: str = ""
    is_new_tag: bool = False

    @property
    def source(self) -> str:
        """What loads it."""
        return str(HubSource(self.repository, self.commit))

    @property
    def address(self) -> str:
        """Its page."""
        return self.pull_request or f"{reasons.address()}/{self.repository}"


def publish(
    release: Release,
    target: Target,
    readme: str,
    report: TransferReport,
    *,
    signature: bytes | None = None,
    who: Account | None = None,
    dry_run: bool = False,
) -> Published:
    """Publish a release; `readme` is its card, and `signature` the content of ``model.sig``, if it is signed.

    The same content as in the repository, or in an open pull request with `target.pull_request`, makes no commit. With
    `dry_run` nothing is sent that writes. Raises :class:`PreflightError` with all that stands in the way,
    :class:`ReleaseError` for files that are not as the manifest says, and :class:`HubError` where the Hub cannot be
    reached or refuses: then the repository is as before, or the error says what is not known.
    """
    with session.bounded():
        cleared = preflight.check(release, target, who)
        verify(release)
        there = cleared.there
        name = there.name if there else target.repository
        private = there.private if there else target.private
        contents, note = _contents(release, target, readme, there, signature)
        changes = compare(contents, _left_over(release, contents, there), there)
        commit_of_tag = (cleared.tags or {}).get(target.tag)
        if commit_of_tag is not None and changes:
            raise PreflightError([preflight.moved(target, commit_of_tag)])
        if note:
            report.say(note)
        if there and there.problem:
            report.say(f"{name}: {plain(there.problem)} What that release has and this one has not stays there.")
        commit, pull_request = there.commit if there else "", ""
        held = pulls.holding(name, contents, changes.deleted) if there and changes and target.pull_request else None
        if held is not None:
            commit, pull_request, changes = held
        elif not dry_run:
            sender = Sender(release, target, name, report)
            commit, pull_request, changes = sender.send(cleared, contents, changes)
    return Published(
        name=release.name,
        repository=name,
        changes=changes,
        commit=commit,
        is_new=there is None,
        is_private=private,
        pull_request=pull_request,
        branch=target.revision,
        is_new_branch=cleared.new_branch,
        tag="" if dry_run else target.tag,
        is_new_tag=bool(target.tag) and commit_of_tag is None and not dry_run,
    )


def _contents(
    release: Release, target: Target, readme: str, there: Repository | None, signature: bytes | None
) -> tuple[dict[str, Content], str]:
    """The content of every file to publish by name, and a line to say about the card if need be."""
    name, manifest = there.name if there else target.repository, _manifest(release)
    contents: dict[str, Content] = {file: release.folder / file for file in sorted(release.files)}
    contents[MANIFEST] = manifest
    if signature is not None:
        contents[SIGNATURE] = signature
    fields = card.metadata(release.manifest, licence=target.licence, repository=name, revision=target.revision)
    text = extras.text_of(readme, name)
    written, note = extras.merged_card(fields, text, there, target.replace_card)
    if len(written) > LARGEST_EXTRA:  # the next publish would not read it
        problem = f"{CARD} would have {len(written):,} bytes, and a card has at most {LARGEST_EXTRA:,}. Shorten it."
        raise PreflightError([problem])
    contents[CARD] = written
    contents[CONFIG] = extras.config(release, hashlib.sha256(manifest).hexdigest(), text)
    contents[ATTRIBUTES] = extras.attributes(release.files, there)
    return contents, note


def _manifest(release: Release) -> bytes:
    """The manifest's bytes, read once for all that depends on them. Raises :class:`ReleaseError` if it was changed."""
    path = release.folder / MANIFEST
    content = path.read_bytes()
    try:
        same = parse(release.folder, json.loads(content)).manifest == release.manifest
    except (ValueError, RecursionError, ReleaseError):
        same = False
    if not same:
        raise ReleaseError(f"{path} was changed just now. Nothing was sent. Run the same command again.")
    return content


def _left_over(release: Release, contents: Mapping[str, Content], there: Repository | None) -> list[str]:
    """The files that the release there has put into the repository, and this one has not."""
    if there is None or not there.is_ours:
        return []
    old = {*there.release.files} if there.release else set()
    if not there.blobs[MANIFEST].holds(contents[MANIFEST]):
        old.add(SIGNATURE)  # it is for the other manifest
    return sorted(old & {*there.blobs} - {*contents})
