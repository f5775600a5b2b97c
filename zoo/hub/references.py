"""The branches and tags of a repository on the Hub. A lost answer to the making of one is looked into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zoo.hub import client
from zoo.hub.deadline import TooLate, in_time


@dataclass(frozen=True)
class References:
    """The commit of each branch or pull request, and of each tag."""

    branches: Mapping[str, str]
    tags: Mapping[str, str]


def look_up(name: str) -> References:
    """The references of a repository. Raises the client's own errors."""
    found: Any = in_time(client.PATIENCE, lambda: client.api().list_repo_refs(name, include_pull_requests=True))
    pulls = {one.ref: one.target_commit for one in found.pull_requests or ()}
    return References(
        {one.name: one.target_commit for one in found.branches} | pulls,
        {one.name: one.target_commit for one in found.tags},
    )


def make(kind: Literal["branch", "tag"], name: str, reference: str, commit: str) -> str:
    """Make a branch or a tag of a repository at a commit, and return where it is: elsewhere if it was there before.

    Raises the client's own errors where it is not there.
    """
    api = client.api()
    try:
        if kind == "branch":
            api.create_branch(name, branch=reference, revision=commit)
        else:
            api.create_tag(name, tag=reference, revision=commit)
    except Exception:
        try:
            found = look_up(name)
        except (Exception, TooLate):
            found = References({}, {})
        at = (found.branches if kind == "branch" else found.tags).get(reference)
        if at is None:
            raise
        return at
    return commit
