"""Sends the changes of one publish: a repository and a branch if need be, uploads, one commit, a tag.

The answer to a commit may be lost. Then the head says what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Literal

from zoo.core.errors import HubError, ReleaseError
from zoo.core.progress import TransferReport
from zoo.core.text import sentence
from zoo.hub import client, extras, preflight, pulls, reasons, references, repository, session
from zoo.hub.changes import Changes, compare
from zoo.hub.preflight import Cleared, Target
from zoo.hub.repository import ATTRIBUTES, Content, Repository
from zoo.hub.source import HubSource
from zoo.hub.watched import Watched
from zoo.release import Release

LOOKS = (0.0, 1.0, 3.0)
"""Seconds to wait before each look at the head, after a commit that was not answered."""


class Sender:
    """Sends the changes of one publish to the repository `name`."""

    def __init__(self, release: Release, target: Target, name: str, report: TransferReport) -> None:
        self._release, self._target, self._name, self._report = release, target, name, report
        self._api = client.api()

    def send(self, cleared: Cleared, contents: Mapping[str, Content], changes: Changes) -> tuple[str, str, Changes]:
        """Return the commit that has the release, the address of a pull request or "", and what was changed.

        Raises :class:`HubError`, :class:`NotFoundError` and :class:`ReleaseError`.
        """
        there, pull_request = cleared.there, ""
        try:
            if there is None:
                there = self._create()
                contents = {**contents, ATTRIBUTES: extras.attributes(self._release.files, there)}
                changes = compare(contents, [], there)
            if cleared.new_branch:
                self._branch(there.commit)
            commit = there.commit
            if changes:
                commit, pull_request = self._commit(there, contents, changes)
        except BaseException:
            if cleared.there is None and there is not None:
                self._report.say(
                    f"{self._name} was made just now and has no release yet. Run the same command again, or delete it: "
                    f"{reasons.address()}/{self._name}/settings"
                )
            raise
        if self._target.tag:
            self._tag(commit)
        return commit, pull_request, changes

    def _create(self) -> Repository:
        """Make the repository, and look at it."""
        source = HubSource(self._name)
        try:
            self._api.create_repo(self._name, private=self._target.private, exist_ok=False)
        except Exception as error:
            reason = reasons.explain(error, source)
            if reasons.status_of(error) is not None:
                raise reason from error
            try:  # it may be the answer alone that was lost
                return repository.inspect(source)
            except Exception:
                raise reason from error
        try:
            return repository.inspect(source)
        except Exception as error:
            raise reasons.explain(error, source) from error

    def _commit(self, there: Repository, contents: Mapping[str, Content], changes: Changes) -> tuple[str, str]:
        """Upload what is new, and commit it upon what was seen; return the commit and the address of a pull request."""
        from huggingface_hub import CommitOperationDelete

        target = self._target
        options = {"revision": target.revision, "create_pr": target.pull_request, "num_threads": 1}
        with ExitStack() as stack:
            operations: list[Any] = self._upload(stack, contents, changes, options)
            operations += [CommitOperationDelete(name, is_folder=False) for name in changes.deleted]
            title, _, text = (target.message or f"Publish {self._release.name}").strip().partition("\n")
            options |= {"commit_message": title, "commit_description": text.strip()}
            try:
                made = self._api.create_commit(self._name, operations, parent_commit=there.commit, **options)
            except KeyboardInterrupt:
                self._report.say("The commit was being sent: it may be there. Run the same command again to see.")
                raise
            except Exception as error:
                return self._after(error, there, contents, changes)
        return str(made.oid), made.pr_url or ""

    def _upload(
        self, stack: ExitStack, contents: Mapping[str, Content], changes: Changes, options: Mapping[str, Any]
    ) -> list[Any]:
        """Upload large files one after the other, so that Ctrl-C is heard at once; return all as operations.

        Small ones go with the commit.
        """
        from huggingface_hub import CommitOperationAdd

        operations, total, done = [], sum(changes.sent.values()), 0
        for name, size in changes.sent.items():
            file: Any = stack.enter_context(Watched(contents[name]))
            operation = CommitOperationAdd(path_in_repo=name, path_or_fileobj=file)
            if self._release.files.get(name) not in (None, operation.upload_info.sha256.hex()):
                raise ReleaseError(f"{self._release.folder / name} was changed just now. Nothing was committed.")
            if name.endswith(extras.LARGE):
                file.watch(lambda at, name=name, before=done: self._report.progress(before + at, total, name))
                upload = {"additions": [operation], "free_memory": False, **options}
                self._call(f"{name} could not be uploaded", self._api.preupload_lfs_files, **upload)
                file.watch(None)
            operations.append(operation)
            done += size
            self._report.progress(done, total, name)
        return operations

    def _after(
        self, error: Exception, there: Repository, contents: Mapping[str, Content], changes: Changes
    ) -> tuple[str, str]:
        """Find out what became of a commit that failed or was not answered; return what :meth:`_commit` does."""
        status = reasons.status_of(error)
        reason = self._reason(error)
        if status is not None and 400 <= status < 500 and status != 412:
            raise type(reason)(f"{sentence(reason)} Nothing was committed.") from error
        for wait in LOOKS[:1] if status == 412 else LOOKS:
            time.sleep(wait)
            try:
                newer = self._candidates(there)
                for commit, pull_request in reversed(newer):  # the first that has all of it is the one
                    found = repository.describe(HubSource(self._name, commit))
                    if not compare(contents, changes.deleted, found):
                        self._report.say(f"{reason} The commit is there all the same.")
                        return commit, pull_request
            except Exception as again:
                raise HubError(
                    f"{reason} Whether the commit is there could not be found out ({reasons.message(again)}). Run the "
                    "same command again: the same content makes no second commit."
                ) from error
            if newer and not self._target.pull_request:
                raise HubError(
                    f"Somebody else has committed to {self._name} just now: it was at {there.commit}, and is at "
                    f"{newer[0][0]}. Nothing was overwritten. Look at that commit, and run the same command again."
                ) from error
        place = "has no such pull request" if self._target.pull_request else f"is at {there.commit} as before"
        if session.may_arrive(error, "/commit/"):
            raise HubError(
                f"{sentence(reason)} {self._name} {place}, and the commit may still come. Run the same command again: "
                "the same content makes no second commit."
            ) from error
        raise HubError(f"{sentence(reason)} Nothing was committed: {self._name} {place}.") from error

    def _candidates(self, there: Repository) -> list[tuple[str, str]]:
        """The commits after the one that was seen, the newest first; or the heads of the last few pull requests."""
        if not self._target.pull_request:
            newer = repository.commits_since(self._name, self._target.revision, there.commit)
            return [(commit, "") for commit in newer]
        return pulls.heads(self._name)

    def _branch(self, commit: str) -> None:
        branch = self._target.revision
        at = self._make("branch", branch, commit, "The branch")
        if at != commit:
            raise HubError(
                f"Somebody else has made the branch {branch!r} of {self._name} just now, at commit {at}. Nothing was "
                "committed. Look at it, and run the same command again."
            )

    def _tag(self, commit: str) -> None:
        what = f"The release is at commit {commit}, and its tag {self._target.tag!r}"
        if (at := self._make("tag", self._target.tag, commit, what)) != commit:
            raise HubError(f"{what} could not be made. {preflight.moved(self._target, at)}")

    def _make(self, kind: Literal["branch", "tag"], reference: str, commit: str, what: str) -> str:
        """Make a branch or a tag, and return the commit where it is; `what` begins the error."""
        try:
            return references.make(kind, self._name, reference, commit)
        except Exception as error:
            reason = self._reason(error)
            if session.may_arrive(error, f"/{kind}/"):
                text = f"{what} is not there, and may still come. {sentence(reason)} Run the same command again."
                raise type(reason)(text) from error
            raise type(reason)(f"{what} could not be made. {reason}") from error

    def _call(self, otherwise: str, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call the client; an error begins with `otherwise`."""
        try:
            return call(self._name, **arguments)
        except Exception as error:
            reason = self._reason(error)
            raise type(reason)(f"{otherwise}. {reason}") from error

    def _reason(self, error: BaseException) -> Exception:
        while type(error) is RuntimeError and error.__cause__ is not None:  # the client wraps failed uploads so
            error = error.__cause__
        if type(error) is ValueError:  # so it says what the Hub thinks of a card, or of large files
            return HubError(f"The Hub refuses what was sent ({reasons.message(error)}).")
        return reasons.explain(error, HubSource(self._name, self._target.revision))
