"""What is refused before anything is published: everything that stands in the way is said, and nothing is sent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from double import Double
from publishing import REPOSITORY, TOKEN, Publisher, changed, released

from conftest import raises
from zoo.hub import preflight
from zoo.hub.preflight import PreflightError
from zoo.release import CARD, MANIFEST

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")


def problems(
    publisher: Publisher, hub: Double, folder: Path, repository: str = REPOSITORY, **options: object
) -> list[str]:
    """Why it is refused; nothing was sent that writes."""
    with pytest.raises(PreflightError) as refused:
        publisher(folder, repository, **options)
    assert hub.writes == []
    assert all(len(problem.splitlines()) == 1 for problem in refused.value.problems)
    return list(refused.value.problems)


def test_a_commit_is_tagged_and_a_tag_never_moves(hub: Double, publisher: Publisher, newer: Path) -> None:
    first = publisher(released(), tag="v1")
    assert hub.tags(REPOSITORY) == {"v1": first.commit}
    assert publisher(released(), tag="v1").commit == first.commit
    sent = len(hub.writes)
    with raises(PreflightError, "The tag 'v1' of acme/vae.digits is at commit", first.commit, "Choose another"):
        publisher(newer, tag="v1")
    publisher(released())
    hub.put(REPOSITORY, {"note.txt": b"x"})
    with raises(PreflightError, "The tag 'v1'", first.commit):
        publisher(released(), tag="v1")
    assert len(hub.writes) == sent
    publisher(newer, tag="v2")
    assert hub.tags(REPOSITORY) == {"v1": first.commit, "v2": hub.head(REPOSITORY)}


def test_private_on_a_public_repository_is_refused_before_anything_is_sent(hub: Double, publisher: Publisher) -> None:
    hub.repo(REPOSITORY)
    (problem,) = problems(publisher, hub, released(), private=True)
    assert problem.startswith(f"{REPOSITORY} is public, and --private does not change that.")
    assert f"{hub.endpoint}/{REPOSITORY}/settings" in problem


def test_what_stands_in_the_way_is_told_apart(
    hub: Double, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, private, gated, a bad token, no token, a read-only token: six lines that differ."""
    hub.repo("other/secret", private=True)
    hub.repo("other/gated", gated="manual")
    hub.put("other/gated", {MANIFEST: b"{}"})
    found = {
        "missing": problems(publisher, hub, released(), "acme/nothing", pull_request=True)[0],
        "private": problems(publisher, hub, released(), "other/secret", pull_request=True)[0],
        "gated": problems(publisher, hub, released(), "other/gated", pull_request=True)[0],
    }
    hub.user("rita", token="hf_rita_read_0123456789", role="read", orgs=("acme",))
    for what, token in (("bad token", "hf_wrong_0123456789"), ("read-only token", "hf_rita_read_0123456789")):
        monkeypatch.setenv("HF_TOKEN", token)
        found[what] = problems(publisher, hub, released())[0]
    monkeypatch.delenv("HF_TOKEN")
    found["no token"] = problems(publisher, hub, released())[0]
    expected = {
        "missing": "acme/nothing does not exist, so there is nothing to propose a change to.",
        "private": f"other/secret does not exist on {hub.endpoint}, or is private and this token may not read it.",
        "gated": "other/gated is gated: its owners decide who may download it.",
        "bad token": "The Hub refuses the token in HF_TOKEN: it is wrong, or has expired.",
        "read-only token": f"The token of rita may only read. Make one that may write at {hub.endpoint}/settings/",
        "no token": "No token is set, and publishing needs one that may write. Log in: hf auth login",
    }
    assert {what: line.startswith(expected[what]) for what, line in found.items()} == dict.fromkeys(expected, True)
    assert len(set(found.values())) == 6


def test_a_renamed_repository_is_named(hub: Double, publisher: Publisher) -> None:
    hub.repo("acme/old")
    hub.rename("acme/old", "acme/new")
    (problem,) = problems(publisher, hub, released(), "acme/old")
    assert problem == "acme/old was renamed, and is acme/new now. Give that as --repo."


def test_another_namespace_is_refused(hub: Double, publisher: Publisher) -> None:
    (problem, other) = problems(publisher, hub, released(), "other/vae.digits")
    assert problem.startswith("ana may not publish under 'other'. Choose one of ana, acme, or propose")
    assert other.startswith("other/vae.digits does not exist")


def test_the_role_in_an_organisation_counts(hub: Double, publisher: Publisher) -> None:
    hub.user("ana", token=TOKEN, orgs={"readers": "read"})
    (problem,) = problems(publisher, hub, released(), "readers/vae.digits")
    assert problem == "ana may only read in readers. Ask its admins for the role to write."


def test_a_fine_grained_token_needs_the_right_to_write(
    hub: Double, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = "hf_fine_0123456789"
    hub.user("ana", token=fine, role="fine-grained", scopes={"acme": ["repo.content.read"]})
    monkeypatch.setenv("HF_TOKEN", fine)
    (problem,) = problems(publisher, hub, released())
    assert problem.startswith("The token of ana may not make repositories in acme. Allow it at")
    hub.repo(REPOSITORY)
    (problem,) = problems(publisher, hub, released())
    assert problem.startswith(f"This token may not do that with {REPOSITORY}")
    hub.user("ana", token=fine, role="fine-grained", scopes={"acme": ["repo.content.read", "repo.write"]})
    assert publisher(released()).commit == hub.head(REPOSITORY)


def test_everything_that_is_wrong_is_said_at_once(
    hub: Double, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "LARGEST_FILE", 10**6)
    unlicensed = changed(
        released(), tmp_path / "own", lambda manifest, _: manifest["plugin"].update(distribution="nobody-has-this")
    )
    hub.user("rita", token="hf_rita_read_0123456789", role="read")
    monkeypatch.setenv("HF_TOKEN", "hf_rita_read_0123456789")
    found = problems(publisher, hub, unlicensed, "acme/a--b", revision="a b", tag="..", message=" ")
    expected = (
        "The licence of vae.digits is not known: its manifest names none, and nobody-has-this is not installed.",
        "model.safetensors has 1,456,956 bytes, and the Hub takes files of at most 1,000,000.",
        "--revision 'a b' is no name for a branch.",
        "--tag '..' is no name for a tag.",
        "--message is empty.",
        "The token of rita may only read.",
        "rita may not publish under 'acme'.",
        "'acme/a--b' names no repository on the Hub.",
    )
    assert len(found) == len(expected)
    assert [line.startswith(begin) for line, begin in zip(found, expected, strict=True)] == [True] * len(expected)


def test_options_that_exclude_each_other_are_refused(hub: Double, publisher: Publisher) -> None:
    hub.repo(REPOSITORY)
    found = problems(publisher, hub, released(), pull_request=True, revision="dev", tag="v1")
    assert [line.partition(":")[0].partition(",")[0] for line in found] == [
        "--pr opens a pull request to main",
        "--pr takes no --tag",
    ]


def test_commits_go_to_branches_only(hub: Double, publisher: Publisher) -> None:
    commit = hub.put(REPOSITORY, {"x.txt": b"x"})
    hub.tag(REPOSITORY, "v1")
    assert "is a tag, and commits go to a branch" in problems(publisher, hub, released(), revision="v1")[0]
    assert "is no name for a branch" in problems(publisher, hub, released(), revision=commit)[0]
    assert "'' is no name for a branch" in problems(publisher, hub, released(), revision="")[0]
    assert "no such pull request" in problems(publisher, hub, released(), revision="refs/pr/7")[0]


def test_a_repository_with_another_model_is_not_overwritten(hub: Double, publisher: Publisher) -> None:
    hub.put(REPOSITORY, {"config.json": b"{}", "model.safetensors": b"theirs", MANIFEST: b'{"short_name": "app"}'})
    (problem,) = problems(publisher, hub, released())
    assert "has config.json, manifest.json, model.safetensors, which no release of zoo has put there." in problem
    assert hub.files(REPOSITORY)["model.safetensors"] == b"theirs"


def test_a_huge_card_is_not_read(hub: Double, publisher: Publisher) -> None:
    hub.put(REPOSITORY, {CARD: b"x" * (2**20 + 1)})
    (problem,) = problems(publisher, hub, released())
    assert problem == (
        f"hub:{REPOSITORY} has a README.md of 1,048,577 bytes, and zoo reads 1,048,576. "
        "Shorten it there, or replace it: --replace-card"
    )
    publisher(released(), replace_card=True)
    assert len(hub.files(REPOSITORY)[CARD]) < 20_000
    assert CARD not in [path.rpartition("/")[2] for path in hub.fetched]


def test_a_card_that_the_next_publish_would_not_read_is_refused(
    hub: Double, publisher: Publisher, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(released(), tmp_path / "wordy"))
    (folder / CARD).write_text("x" * 1_200_000)
    (problem,) = problems(publisher, hub, folder)
    assert problem.startswith("README.md would have 1,20")
    assert problem.endswith("bytes, and a card has at most 1,048,576. Shorten it.")


def test_publishing_needs_the_network(hub: Double, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert problems(publisher, hub, released()) == [
        "Publishing needs the network, and HF_HUB_OFFLINE switches it off. Unset it to go on."
    ]
    assert hub.requests == []


def test_a_repository_with_another_model_is_refused(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    publisher(released())
    head = hub.head(REPOSITORY)
    other = changed(released(), tmp_path / "other", lambda manifest, _: manifest.update(name="vae.other"))
    with raises(PreflightError, f"{REPOSITORY} has the release of vae.digits, and this is vae.other"):
        publisher(other)
    assert hub.head(REPOSITORY) == head


@pytest.mark.parametrize("licence", ["x\x1b[31m", "mit\nlicense: other", "x" * 101])
def test_a_licence_is_one_printable_line(licence: str, hub: Double, publisher: Publisher) -> None:
    with raises(PreflightError, "--licence is no name of a licence"):
        publisher(released(), licence=licence)
    assert not hub.writes
