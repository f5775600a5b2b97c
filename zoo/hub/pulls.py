"""The pull requests of a repository on the Hub, by which the same content is not proposed twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from zoo.core.errors import ZooError
from zoo.hub import client, reasons, repository
from zoo.hub.changes import Changes, compare
from zoo.hub.deadline import TooLate, in_time
from zoo.hub.repository import Content
from zoo.hub.source import HubSource

MOST = 20
"""How many open pull requests are looked at, the newest first."""


def address(name: str, number: int) -> str:
    """The page of a pull request."""
    return f"{reasons.address()}/{name}/discussions/{number}"


def holding(name: str, contents: Mapping[str, Content], deleted: Iterable[str]) -> tuple[str, str, Changes] | None:
    """The open pull request that makes a repository have these contents: its commit, its page, and what is the same.

    Raises :class:`NotFoundError` or :class:`HubError` where the Hub does not say it.
    """
    options: Any = {"discussion_type": "pull_request", "discussion_status": "open"}
    try:
        listed: Any = in_time(
            client.PATIENCE, lambda: [*islice(client.api().get_repo_discussions(name, **options), MOST)]
        )
        for number in sorted((one.num for one in listed), reverse=True):
            found = repository.describe(HubSource(name, f"refs/pr/{number}"))
            if not (changes := compare(contents, deleted, found)):
                return found.commit, address(name, number), changes
    except ZooError:
        raise
    except (Exception, TooLate) as error:
        raise reasons.explain(error, HubSource(name)) from error
    return None


def heads(name: str) -> list[tuple[str, str]]:
    """The commits of the newest pull requests with their pages, the newest first. Raises the client's own errors."""
    found: Any = in_time(client.PATIENCE, lambda: client.api().list_repo_refs(name, include_pull_requests=True))
    numbered = sorted((int(one.ref.rpartition("/")[2]), one.target_commit) for one in found.pull_requests or ())
    return [(commit, address(name, number)) for number, commit in reversed(numbered[-5:])]
