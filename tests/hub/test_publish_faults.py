"""Publishing while something goes wrong: the repository is as before or whole, and what is known is said."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from double import Before, Cut, Double, Silent, Slow, Status
from publishing import (
    REPOSITORY,
    TOKEN,
    Publisher,
    changed,
    names,
    publish_elsewhere,
    released,
    trained_further,
    unchanged,
)

from conftest import raises
from zoo.core.errors import HubError, NotFoundError, ReleaseError
from zoo.hub import session
from zoo.hub.preflight import PreflightError
from zoo.release import MANIFEST, read

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")

COMMIT = "/commit/"


def test_a_concurrent_commit_is_not_overwritten(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Before(lambda: hub.put(REPOSITORY, {"samples.png": b"theirs"})), method="POST", path=COMMIT, times=1)
    with raises(HubError, f"Somebody else has committed to {REPOSITORY} just now: it was at {head}", "overwritten"):
        publisher(newer)
    assert hub.files(REPOSITORY)["samples.png"] == b"theirs"
    assert hub.commits(REPOSITORY)[0].parent == head


def test_two_publishers_of_the_same_release_make_one_commit(
    hub: Double, publisher: Publisher, head: str, newer: Path, tmp_path: Path
) -> None:
    other = partial(publish_elsewhere, hub, newer, tmp_path, token=TOKEN)
    hub.fail(Before(other), method="POST", path=COMMIT, times=1)
    made = publisher(newer)
    assert made.commit == hub.head(REPOSITORY)
    assert len(hub.commits(REPOSITORY)) == 3


def test_two_publishers_of_different_releases_are_told_apart(
    hub: Double, publisher: Publisher, head: str, newer: Path, tmp_path: Path
) -> None:
    third = changed(newer, tmp_path / "third", trained_further)
    other = partial(publish_elsewhere, hub, third, tmp_path, token=TOKEN)
    hub.fail(Before(other), method="POST", path=COMMIT, times=1)
    with raises(HubError, "Somebody else has committed", "Nothing was overwritten"):
        publisher(newer)
    assert hub.files(REPOSITORY)[MANIFEST] == (third / MANIFEST).read_bytes()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_commit_that_is_refused_changes_nothing(
    hub: Double, publisher: Publisher, head: str, newer: Path, status: int
) -> None:
    hub.fail(Status(status, retry_after=1), method="POST", path=COMMIT)
    words = ("limits how often", "Try again in 1 s") if status == 429 else (f"answers {status}", "as before")
    with raises(HubError, *words, "Nothing was committed"):
        publisher(newer)
    assert unchanged(hub, head)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/preupload/", "objects/batch", "^/[0-9a-f]{24}/", "objects/verify"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_the_hub_cannot_do_just_now_is_tried_again(
    hub: Double, publisher: Publisher, head: str, newer: Path, path: str, status: int
) -> None:
    fault = hub.fail(Status(status, retry_after=1), path=path, times=2)
    made = publisher(newer)
    assert fault.happened == 2
    assert made.commit == hub.head(REPOSITORY)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/preupload/", "objects/batch", "^/[0-9a-f]{24}/", "objects/verify"])
@pytest.mark.parametrize("status", [403, 503])
def test_an_upload_that_always_fails_leaves_the_repository_as_it_was(
    hub: Double, publisher: Publisher, head: str, newer: Path, path: str, status: int
) -> None:
    hub.fail(Status(status), path=path)
    forbidden = "The storage of" if path.startswith("^") else "may not"
    with raises(HubError, "model.safetensors could not be uploaded.", forbidden if status == 403 else "answers 503"):
        publisher(newer)
    assert unchanged(hub, head)


def test_a_long_wait_that_the_hub_asks_for_is_reported_at_once(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    fault = hub.fail(Status(429, retry_after=300), path="/preupload/")
    with raises(HubError, "limits how often it is asked. Try again in 300 s."):
        publisher(newer)
    assert fault.happened == 1


def test_a_cut_upload_is_tried_again_from_the_start(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    fault = hub.fail(Cut(), method="PUT", times=2)
    publisher(newer)
    assert fault.happened == 2
    assert hub.files(REPOSITORY)["model.safetensors"] == (newer / "model.safetensors").read_bytes()


def test_an_upload_that_is_always_cut_is_one_line(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Cut(), method="PUT")
    cannot = f"The storage of {hub.endpoint} cannot be reached"
    with raises(HubError, "model.safetensors could not be uploaded.", cannot):
        publisher(newer)
    assert unchanged(hub, head)


def test_what_was_uploaded_before_is_not_sent_again(hub: Double, publisher: Publisher) -> None:
    hub.fail(Status(500), path=COMMIT, times=1)
    with raises(HubError, "Nothing was committed"):
        publisher(released())
    sent = len([request for request in hub.requests if request.method == "PUT"])
    assert sent > 5
    publisher(released())
    assert len([request for request in hub.requests if request.method == "PUT"]) == sent
    assert set(hub.files(REPOSITORY)) == names(read(released()))


def test_a_repository_that_was_made_and_stays_empty_is_said(hub: Double, publisher: Publisher) -> None:
    hub.fail(Status(403), method="POST", path="/preupload/")
    with raises(HubError, "decode.onnx could not be uploaded"):
        publisher(released())
    assert set(hub.files(REPOSITORY)) == {".gitattributes"}
    assert publisher.lines[-1].startswith(f"{REPOSITORY} was made just now and has no release yet. Run the same")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Cut(), "cannot be reached"),
        (Status(402, message="Payment required"), "answers 402 (Payment required)"),
        (Status(403), "This token may not do that"),
        (
            Status(409, message="Cannot create repo: another conflicting operation is in progress"),
            "is busy with making",
        ),
    ],
)
def test_a_repository_that_cannot_be_made_is_one_line(
    hub: Double, publisher: Publisher, fault: Status | Cut, words: str
) -> None:
    hub.fail(fault, path="/api/repos/create")
    with raises(HubError, words):
        publisher(released())
    assert not hub.exists(REPOSITORY)
    assert len(hub.writes) <= session.MOST_CONFLICTS + 1


def test_a_card_that_the_hub_refuses_is_one_line(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Status(400, message="bad metadata"), path="validate-yaml")
    with raises(HubError, "The Hub refuses what was sent (ValueError: Invalid metadata in README.md.", "as before"):
        publisher(newer)
    assert unchanged(hub, head)


def test_a_tag_that_cannot_be_made_is_said_with_the_commit(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    fault = hub.fail(Status(500), path="/tag/")
    with raises(HubError, "The release is at commit", "its tag 'v2' could not be made", "answers 500"):
        publisher(newer, tag="v2")
    fault.times = 0
    made = publisher(newer, tag="v2")
    assert hub.tags(REPOSITORY) == {"v2": made.commit}
    assert len(hub.commits(REPOSITORY)) == 3


def test_a_branch_that_cannot_be_made_is_one_line(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Status(500), path="/branch/")
    with raises(HubError, "The branch could not be made.", "answers 500"):
        publisher(newer, revision="dev")
    assert unchanged(hub, head)


BEFORE = ("whoami", "/api/models/[^/]*/[^/]*/revision", "auth-check", "/resolve/")
AFTER = ("/preupload/", "objects/batch", "^/[0-9a-f]{24}/", "objects/verify", "validate-yaml", COMMIT)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", [*BEFORE, *AFTER])
def test_a_silent_hub_is_one_line_soon(hub: Double, publisher: Publisher, head: str, newer: Path, path: str) -> None:
    hub.fail(Silent(), path=path)
    began = time.monotonic()
    with raises(PreflightError if path in BEFORE else HubError, "does not answer in time"):
        publisher(newer)
    assert time.monotonic() - began < 15
    assert unchanged(hub, head)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", ["/api/repos/create", "/tag/", "/branch/", "/refs"])
def test_a_hub_that_falls_silent_later_is_one_line_too(hub: Double, publisher: Publisher, path: str) -> None:
    hub.fail(Silent(), path=path)
    if path != "/api/repos/create":
        hub.repo(REPOSITORY)
    with pytest.raises(HubError, match="does not answer in time"):
        publisher(released(), revision="dev", tag="v1")
    assert path in ("/tag/",) or not hub.exists(REPOSITORY) or set(hub.files(REPOSITORY)) == {".gitattributes"}


@pytest.mark.usefixtures("impatient")
def test_a_stalled_upload_ends(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    """The storage takes the connection and then nothing more."""
    fault = hub.fail(Silent(), method="PUT")
    storage = f"The storage of {hub.endpoint} (http://localhost:"
    with raises(HubError, "model.safetensors could not be uploaded.", storage, "does not answer in time"):
        publisher(newer)
    assert fault.happened == 1  # the client would try it six times
    assert unchanged(hub, head)


def test_a_storage_that_forbids_is_not_the_token(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Status(403), method="PUT")
    with raises(HubError, f"The storage of {hub.endpoint} forbids that") as found:
        publisher(newer)
    assert "token" not in str(found.value)
    assert unchanged(hub, head)


def test_a_storage_that_fails_is_not_the_hub(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Status(500), method="PUT")
    with raises(HubError, f"The storage of {hub.endpoint} answers 500"):
        publisher(newer)
    assert unchanged(hub, head)


def test_a_command_at_the_end_of_a_reason_is_a_sentence(
    hub: Double, publisher: Publisher, head: str, newer: Path
) -> None:
    hub.fail(Status(403), method="POST", path=COMMIT)
    with raises(HubError, "Choose another: hf auth login. Nothing was committed."):
        publisher(newer)


def test_a_slow_hub_is_waited_for(hub: Double, publisher: Publisher) -> None:
    hub.fail(Slow(20_000), method="GET")
    assert publisher(released()).commit == hub.head(REPOSITORY)


def test_the_limits_are_gone_after_a_publish(
    hub: Double, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.utils import logging

    made = []

    def own() -> object:
        made.append(huggingface_hub.utils._http.default_client_factory())
        return made[-1]

    level = logging.get_verbosity()
    huggingface_hub.set_client_factory(own)
    try:
        publisher(released())
        assert len(made) == 1  # that of whoever calls is used, with limits
        assert huggingface_hub.get_session() is made[-1]
        assert len(made) == 2
        assert "send" not in vars(made[-1])
    finally:
        huggingface_hub.set_client_factory(huggingface_hub.utils._http.default_client_factory)
    assert logging.get_verbosity() == level


def test_the_limits_are_gone_after_two_publishes_that_overlap(hub: Double) -> None:
    from huggingface_hub.utils import _http

    before, inside, leave = _http._GLOBAL_CLIENT_FACTORY, threading.Event(), threading.Event()

    def other() -> None:
        with session.bounded():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with session.bounded():
        thread.start()
        inside.wait(0.2)
    leave.set()
    thread.join(10)
    assert inside.is_set()
    assert _http._GLOBAL_CLIENT_FACTORY is before


def test_a_manifest_that_changes_meanwhile_is_not_mixed_with_the_old_one(
    hub: Double, publisher: Publisher, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(released(), tmp_path / "own"))
    old = (folder / MANIFEST).read_bytes()
    hub.fail(Before(lambda: (folder / MANIFEST).write_bytes(old + b"\n")), path="/api/repos/create", times=1)
    publisher(folder)
    assert (folder / MANIFEST).read_bytes() != old
    assert hub.files(REPOSITORY)[MANIFEST] == old
    config = json.loads(hub.files(REPOSITORY)["config.json"])
    assert config["manifest_sha256"] == hashlib.sha256(old).hexdigest()


def test_a_manifest_that_changed_since_it_was_checked_is_not_published(
    hub: Double, publisher: Publisher, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(released(), tmp_path / "own"))
    other = (folder / MANIFEST).read_bytes().replace(b'"seed": 0', b'"seed": 1')
    hub.fail(Before(lambda: (folder / MANIFEST).write_bytes(other)), path="whoami", times=1)
    with raises(ReleaseError, "manifest.json was changed just now. Nothing was sent."):
        publisher(folder)
    assert hub.writes == []


def test_offline_mode_holds_within_the_limits(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with session.bounded(), pytest.raises(OfflineModeIsEnabled):
        HfApi().whoami()
    assert hub.requests == []


@pytest.mark.parametrize("path", ["whoami", "/api/models/[^/]*/[^/]*/revision"])
def test_an_answer_that_is_none_of_the_hubs_is_one_line(hub: Double, publisher: Publisher, path: str) -> None:
    hub.fail(Status(200, message="<html>A page of a proxy</html>"), path=path)
    with pytest.raises(PreflightError) as refused:
        publisher(released())
    assert len(refused.value.problems) == 1
    assert hub.writes == []


def test_a_hub_that_is_down_is_one_line(hub: Double, publisher: Publisher) -> None:
    hub.close()
    with raises(PreflightError, "cannot be reached", "Check the network, HF_ENDPOINT and proxies"):
        publisher(released())


def test_a_repository_that_vanishes_is_one_line(hub: Double, publisher: Publisher, head: str, newer: Path) -> None:
    hub.fail(Before(lambda: hub.remove(REPOSITORY)), method="POST", path=COMMIT, times=1)
    with raises(NotFoundError, f"{REPOSITORY} does not exist", "Nothing was committed."):
        publisher(newer)
