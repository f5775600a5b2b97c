"""Publishing while an answer of the Hub is lost: what became of the request is looked up, and only that is said."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from double import Before, Cut, Double, Late, LostAnswer, Status
from publishing import REPOSITORY, Publisher, released, unchanged

from conftest import raises
from zoo.core.errors import HubError

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")

COMMIT = "/commit/"
AGAIN = "may still come. Run the same command again: the same content makes no second commit."


def test_a_lost_answer_to_a_commit_is_looked_up(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    fault = hub.fail(LostAnswer(), method="POST", path=COMMIT, times=1)
    made = publisher(newer)
    assert fault.happened == 1
    assert made.commit == hub.head(REPOSITORY) != head
    assert len(hub.commits(REPOSITORY)) == 3
    assert publisher.lines[-1].endswith("The commit is there all the same.")


def test_a_lost_answer_is_found_below_a_commit_of_somebody_else(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(LostAnswer(), method="POST", path=COMMIT, times=1)
    hub.fail(Before(lambda: hub.put(REPOSITORY, {"note.txt": b"x"})), method="GET", path="/commits/", times=1)
    made = publisher(newer)
    assert hub.commits(REPOSITORY)[0].title == "A change by somebody else"
    assert hub.commits(REPOSITORY)[1].id == made.commit


def test_a_lost_answer_to_a_pull_request_is_looked_up(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(LostAnswer(), method="POST", path=COMMIT, times=1)
    assert hub.pulls(REPOSITORY) == {}
    made = publisher(newer, pull_request=True)
    assert hub.pulls(REPOSITORY) == {"refs/pr/1": made.commit}
    assert made.address == f"{hub.endpoint}/{REPOSITORY}/discussions/1"


def test_a_commit_that_did_not_arrive_is_said_to_be_missing(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(Cut(), method="POST", path=COMMIT, times=1)
    with raises(HubError, "cannot be reached", f"{REPOSITORY} is at {head} as before, and the commit {AGAIN}"):
        publisher(newer)
    assert unchanged(hub, head)
    assert publisher(newer).commit == hub.head(REPOSITORY)


def test_where_the_head_cannot_be_asked_nothing_is_claimed(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(LostAnswer(), method="POST", path=COMMIT, times=1)
    hub.fail(Status(503), method="GET", path="/commits/")
    with raises(HubError, "Whether the commit is there could not be found out", "makes no second commit"):
        publisher(newer)
    assert hub.head(REPOSITORY) != head
    again = publisher(newer)
    assert (bool(again.changes), len(hub.commits(REPOSITORY))) == (False, 3)


def test_a_lost_answer_to_the_making_of_a_repository_is_looked_up(hub: Double, publisher: Publisher) -> None:
    hub.fail(LostAnswer(), path="/api/repos/create", times=1)
    assert publisher(released()).commit == hub.head(REPOSITORY)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("pull_request", [False, True])
def test_a_commit_that_comes_after_the_time_out_is_not_denied(
    hub: Double, publisher: Publisher, head: str, newer: Path, pull_request: bool
) -> None:
    go = threading.Event()
    hub.fail(Late(go), method="POST", path=COMMIT, times=1)
    with raises(HubError, "does not answer in time", AGAIN) as found:
        publisher(newer, pull_request=pull_request)
    assert "Nothing was committed" not in str(found.value)
    assert unchanged(hub, head)
    count = len(hub.state.repos[REPOSITORY].commits)
    go.set()
    deadline = time.monotonic() + 30
    while len(hub.state.repos[REPOSITORY].commits) == count and time.monotonic() < deadline:
        time.sleep(0.01)
    again = publisher(newer, pull_request=pull_request)
    assert not again.changes
    assert len(hub.state.repos[REPOSITORY].commits) == count + 1


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_that_gave_up_does_not_speak_for_the_hub(
    hub: Double, publisher: Publisher, head: str, newer: Path, status: int
) -> None:
    hub.fail(Status(status), method="POST", path=COMMIT, times=1)
    with raises(HubError, f"answers {status}", AGAIN):
        publisher(newer)


def test_what_was_never_sent_cannot_come(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Cut(), path="validate-yaml")
    with raises(HubError, f"Nothing was committed: {REPOSITORY} is at {head} as before."):
        publisher(newer)


@pytest.mark.parametrize("options", [{"tag": "v2"}, {"revision": "dev"}])
def test_a_lost_answer_to_the_making_of_a_tag_or_branch_is_looked_up(
    hub: Double, publisher: Publisher, head: str, newer: Path, options: dict[str, str]
) -> None:
    fault = hub.fail(LostAnswer(), method="POST", path="/(tag|branch)/", times=1)
    made = publisher(newer, **options)
    assert fault.happened == 1
    assert hub.head(REPOSITORY, "dev" if "revision" in options else "v2") == made.commit


@pytest.mark.parametrize(("options", "what"), [({"tag": "v2"}, "its tag 'v2'"), ({"revision": "dev"}, "The branch")])
def test_a_tag_or_branch_that_did_not_arrive_may_still_come(
    hub: Double, publisher: Publisher, head: str, newer: Path, options: dict[str, str], what: str
) -> None:
    hub.fail(Cut(), method="POST", path="/(tag|branch)/", times=1)
    with raises(HubError, f"{what} is not there, and may still come.", "cannot be reached", "Run the same command"):
        publisher(newer, **options)
    made = publisher(newer, **options)
    assert hub.head(REPOSITORY, "dev" if "revision" in options else "v2") == made.commit


def test_a_tag_of_somebody_else_at_the_same_moment_stays(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(Before(lambda: hub.tag(REPOSITORY, "v2", head)), method="POST", path="/tag/", times=1)
    with raises(HubError, "its tag 'v2' could not be made. The tag 'v2'", f"is at commit {head} already"):
        publisher(newer, tag="v2")
    assert hub.tags(REPOSITORY) == {"v2": head}


def test_a_branch_of_somebody_else_at_the_same_moment_stays(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    def other() -> None:
        hub.branch(REPOSITORY, "dev")
        hub.put(REPOSITORY, {"note.txt": b"x"}, revision="dev")

    hub.fail(Before(other), method="POST", path="/branch/", times=1)
    with raises(HubError, "Somebody else has made the branch 'dev'", "Nothing was committed."):
        publisher(newer, revision="dev")
    assert hub.files(REPOSITORY, "dev")["note.txt"] == b"x"
