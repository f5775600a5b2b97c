"""What must be right before a release is published. All that is wrong is found, and nothing is sent that writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from zoo.core.errors import HubError, NotFoundError, SettingError, ZooError
from zoo.hub import account, client, licences, reasons, references, repository
from zoo.hub.account import Account
from zoo.hub.deadline import TooLate, in_time
from zoo.hub.references import References
from zoo.hub.repository import ATTRIBUTES, CONFIG, Repository
from zoo.hub.source import MAIN, HubSource, check_repository, check_revision
from zoo.release import MANIFEST, SIGNATURE, Release

LARGEST_FILE = 50 * 10**9
"""Bytes of a file that the Hub takes, at most."""


class PreflightError(HubError):
    """Something stands in the way of a publish; nothing was sent that writes."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        """A line for each."""
        super().__init__(" ".join(self.problems))


@dataclass(frozen=True)
class Target:
    """Where and how a release is to be published."""

    repository: str
    revision: str = MAIN
    """A branch; it is made where it is missing."""
    tag: str = ""
    pull_request: bool = False
    private: bool = False
    """Whether the repository must be private: one that is made, and one that is there."""
    message: str | None = None
    licence: str = ""
    """That of the weights; "" for what the manifest and the distribution say."""
    replace_card: bool = False
    """Whether the text of the card replaces one that people have edited on the Hub."""


@dataclass(frozen=True)
class Cleared:
    """What was found where nothing stands in the way."""

    there: Repository | None
    """The repository at the head that is built upon; None where it is to be made."""
    new_branch: bool = False
    tags: Mapping[str, str] | None = None
    """The commit of each tag; None if they were not looked up."""
    who: Account | None = None


def check(release: Release, target: Target, who: Account | None = None) -> Cleared:
    """Look for all that stands in the way of publishing a release. Raises :class:`PreflightError`.

    `who` is what :func:`zoo.hub.account.current` gives, where it was asked before.
    """
    problems = [*_of_release(release, target), *_of_target(target)]
    cleared = Cleared(None)
    try:
        who = who or account.current()
    except ZooError as error:
        raise PreflightError([*problems, str(error)]) from error
    wrong_account = [*_of_account(target, who)]
    problems += wrong_account
    try:
        check_repository(target.repository)
        found = _find(target, who)
    except ZooError as error:
        problems.append(str(error))
    else:
        cleared = replace(found, who=who)
        if not wrong_account:
            problems += _of_access(target, who, cleared)
        problems += _of_repository(release, target, cleared)
    if problems:
        raise PreflightError(problems)
    return cleared


def _of_release(release: Release, target: Target) -> Iterator[str]:
    if not target.licence and licences.of_manifest(release.manifest) == licences.UNKNOWN:
        distribution = release.manifest["plugin"]["distribution"]
        yield (
            f"The licence of {release.name} is not known: its manifest names none, and {distribution} "
            f"{'declares none' if licences.is_installed(distribution) else 'is not installed'}. Give it: --licence mit"
        )
    for name, size in release.sizes.items():
        if size > LARGEST_FILE:
            yield f"{name} has {size:,} bytes, and the Hub takes files of at most {LARGEST_FILE:,}."
    if taken := sorted({CONFIG, ATTRIBUTES, SIGNATURE} & {*release.files}):
        yield f"{release.name} has a file {taken[0]}, which the Hub uses for something else. Export it again."


def _of_target(target: Target) -> Iterator[str]:
    names = {"branch": ("--revision", target.revision), **({"tag": ("--tag", target.tag)} if target.tag else {})}
    for kind, (option, name) in names.items():
        try:
            fits = not HubSource(target.repository, check_revision(name)).is_commit
        except SettingError:
            fits = False
        if not fits:
            yield f"{option} {name[:80]!r} is no name for a {kind}. Choose another."
    if len(target.licence) > 100 or not target.licence.isprintable():
        yield "--licence is no name of a licence, such as mit, or of at most 100 printable characters. Give another."
    if target.message is not None and not target.message.strip():
        yield "--message is empty. Say in a line what is new, or leave it out."
    if target.pull_request and target.revision != MAIN:
        yield "--pr opens a pull request to main, so it takes no --revision. Leave out one of them."
    if target.pull_request and target.tag:
        yield "--pr takes no --tag: a pull request has no commit to tag until it is merged. Leave out one of them."


def _of_account(target: Target, who: Account) -> Iterator[str]:
    if who.role == "read":
        yield (
            f"The token of {who.name} may only read. Make one that may write at "
            f"{reasons.address()}/settings/tokens, then: {reasons.LOGIN}"
        )
    namespace = target.repository.partition("/")[0]
    role = who.role_in(namespace)
    if role is None and not target.pull_request:
        yield (
            f"{who.name} may not publish under {namespace!r}. Choose one of {', '.join(who.namespaces)}, or propose "
            "the release to its owners: --pr"
        )
    elif role == "read" and not target.pull_request:
        yield f"{who.name} may only read in {namespace}. Ask its admins for the role to write."


def _find(target: Target, who: Account) -> Cleared:
    """The repository that is there. Raises :class:`NotFoundError` or :class:`HubError`."""
    source = HubSource(target.repository, target.revision)
    found = None
    try:
        if target.tag or target.revision != MAIN:
            found = references.look_up(target.repository)
        new_branch = found is not None and target.revision not in found.branches
        if new_branch and found is not None:
            _check_new(source, found)
            source = source.at(MAIN)
        there = repository.inspect(source, any_card=target.replace_card)
    except ZooError:
        raise
    except (Exception, TooLate) as error:
        namespace = target.repository.partition("/")[0]
        reason = reasons.explain(error, source)
        if _is_missing(error) and who.role_in(namespace) is not None and not target.pull_request:
            return Cleared(None, target.revision != MAIN, {})
        if _is_missing(error) and who.role_in(namespace) is not None:
            reason = NotFoundError(f"{target.repository} does not exist, so there is nothing to propose a change to.")
        raise reason from error
    if there.name.lower() != target.repository.lower():
        raise NotFoundError(f"{target.repository} was renamed, and is {there.name} now. Give that as --repo.")
    return Cleared(there, new_branch, found.tags if found else None)


def _check_new(source: HubSource, found: References) -> None:
    if source.revision in found.tags:
        raise SettingError(f"{source} is a tag, and commits go to a branch. Give a branch as --revision.")
    if source.revision.startswith("refs/"):
        raise NotFoundError(f"{source} does not exist: there is no such pull request. Give a branch as --revision.")


def _is_missing(error: BaseException) -> bool:
    from huggingface_hub import errors as hub

    return isinstance(error, hub.RepositoryNotFoundError) and not isinstance(error, hub.GatedRepoError)


def _of_access(target: Target, who: Account, found: Cleared) -> Iterator[str]:
    """Whether the token may write there."""
    namespace = target.repository.partition("/")[0]
    if found.there is None:
        if who.creates_in is not None and namespace not in who.creates_in:
            yield (
                f"The token of {who.name} may not make repositories in {namespace}. Allow it at "
                f"{reasons.address()}/settings/tokens, or make {target.repository} first."
            )
        return
    if target.pull_request:
        return
    try:
        in_time(client.PATIENCE, lambda: client.api().auth_check(target.repository, write=True))
    except (Exception, TooLate) as error:
        yield str(reasons.explain(error, HubSource(target.repository)))


def _of_repository(release: Release, target: Target, found: Cleared) -> Iterator[str]:
    """What of the repository does not fit."""
    there = found.there
    if there is None:
        return
    if target.private and not there.private:
        yield (
            f"{there.name} is public, and --private does not change that. Make it private at "
            f"{reasons.address()}/{there.name}/settings first, or leave out --private."
        )
    commit = (found.tags or {}).get(target.tag)
    if commit is not None and (commit != there.commit or found.new_branch):
        yield moved(target, commit)
    if there.release is not None and there.release.name != release.name:
        yield (
            f"{there.name} has the release of {there.release.name}, and this is {release.name}. Choose another "
            "repository."
        )
    if not there.is_ours:
        written = {MANIFEST, SIGNATURE, CONFIG, *release.files}
        if others := sorted(written & {*there.blobs}):
            yield (
                f"{there.name} has {', '.join(others)}, which no release of zoo has put there. Choose another "
                "repository, or delete them there first."
            )


def moved(target: Target, commit: str) -> str:
    """The problem of a tag that would have to move."""
    return (
        f"The tag {target.tag!r} of {target.repository} is at commit {commit} already, and others may have pinned it. "
        "Choose another."
    )
