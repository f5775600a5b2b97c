"""The command ``zoo publish``: what it prints, its options, and a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from double import Double
from publishing import (
    REPOSITORY,
    TOKEN,
    Publisher,
    publish_elsewhere,
    released,
)

from conftest import Command, one_error
from zoo.release import CARD

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def command(zoo_call: Command) -> Command:
    """Calls ``zoo ARGUMENTS``; the token is not in what it prints."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = zoo_call(*arguments)
        assert TOKEN not in done.stdout + done.stderr
        return done

    return call


def test_a_release_without_a_card_gets_one_from_its_manifest(
    hub: Double, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Path(shutil.copytree(released(), tmp_path / "bare"))
    (bare / CARD).unlink()
    done = command("publish", bare, "--repo", REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "# vae.digits" in hub.files(REPOSITORY)[CARD].decode()


@pytest.mark.slow
def test_the_same_content_opens_no_second_pull_request(hub: Double, command: Command, newer: Path) -> None:
    hub.put("other/vae", {name.name: name.read_bytes() for name in released().iterdir()})
    arguments = ("publish", newer, "--repo", "other/vae", "--pr")
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    page = f"{hub.endpoint}/other/vae/discussions/1"
    for options, then in (((), "was made"), (("--dry-run",), "would be made")):
        again = command(*arguments, *options)
        assert again.stdout.splitlines()[0] == f"This release is already in the pull request {page}: no commit {then}."
    assert list(hub.pulls("other/vae")) == ["refs/pr/1"]
    found = json.loads(command(*arguments, "--json").stdout)
    assert (found["address"], found["commit"]) == (page, hub.pulls("other/vae")["refs/pr/1"])
    hub.put("other/vae", {"note.txt": b"x"}, revision="refs/pr/1")  # and somebody has added to it
    assert "already in the pull request" in command(*arguments).stdout
    hub.close_pull("other/vae", 1)
    assert command(*arguments).returncode == 0
    assert list(hub.pulls("other/vae")) == ["refs/pr/1", "refs/pr/2"]


def test_quiet_hides_progress_and_no_note(hub: Double, command: Command, publisher: Publisher) -> None:
    publisher(released())
    hub.put(REPOSITORY, {CARD: hub.files(REPOSITORY)[CARD] + b"\nA remark.\n"})
    done = command("publish", "vae.digits", "--repo", REPOSITORY, "--quiet")
    (note,) = done.stderr.splitlines()
    assert note.startswith(f"{REPOSITORY}: the text of README.md was edited there and stays.")


def test_a_tag_and_a_new_branch_are_reported(hub: Double, command: Command) -> None:
    arguments = ("publish", "vae.digits", "--repo", REPOSITORY)
    assert "was made: 11 files added (1.6 MB); tagged v1." in command(*arguments, "--tag", "v1").stdout
    has = f"{REPOSITORY} (public) has this release already: no commit was made"
    for options, end in (
        (("--tag", "v1"), "."),
        (("--tag", "v2"), "; tagged v2."),
        (("--revision", "dev", "--tag", "v3"), "; the branch dev was made; tagged v3."),
    ):
        assert command(*arguments, *options).stdout.splitlines()[0] == f"{has}{end}"
    assert json.loads(command(*arguments, "--revision", "dev", "--json").stdout)["branch"] == "dev"


def test_the_command_publishes_and_says_how_to_load_it(hub: Double, command: Command) -> None:
    done = command("publish", "vae.digits", "--repo", REPOSITORY, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{REPOSITORY} (public) would be made: 12 files added (1.6 MB). Nothing was sent." in done.stdout
    assert hub.writes == []
    done = command("publish", "vae.digits", "--repo", REPOSITORY)
    commit = hub.head(REPOSITORY)
    assert done.stdout.splitlines() == [
        f"{REPOSITORY} (public) was made: 11 files added (1.6 MB).",
        f"Commit:     {commit}",
        f"Address:    {hub.endpoint}/{REPOSITORY}",
        f'Load it:    zoo.load("hub:{REPOSITORY}@{commit}")',
    ]
    assert "Uploading model.safetensors …" in done.stderr.splitlines()
    done = command("publish", "vae.digits", "--repo", REPOSITORY, "--quiet", "--json")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert (found["ok"], found["commit"], found["added"]) == (True, commit, {})


def test_the_command_says_every_problem_on_a_line(
    hub: Double, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command("publish", "vae.digits", "--repo", "other/vae.digits", "--message", "")
    one_error(done, "There are 3 problems. Nothing was changed.")
    assert [line[:2] for line in done.stderr.splitlines()[:-1]] == ["- "] * 3  # before it is verified
    done = command("publish", "vae.digits", "--repo", "other/vae.digits", "--message", "", "--json")
    assert len(json.loads(done.stdout)["problems"]) == 3
    monkeypatch.delenv("HF_TOKEN")
    one_error(command("publish", "vae.digits", "--repo", REPOSITORY), "No token is set")
    assert hub.writes == []


@pytest.mark.parametrize(
    "arguments",
    [[], ["vae.digits"], ["--all"], ["vae.digits", "--all", "--org", "acme"], ["vae.digits", "--org", "acme"]],
)
def test_the_command_takes_one_source_or_all(hub: Double, command: Command, arguments: list[str]) -> None:
    one_error(command("publish", *arguments), "--org", "--all")
    assert hub.requests == []


def test_a_process_of_its_own_publishes_with_the_token_of_a_login(hub: Double, tmp_path: Path) -> None:
    """Without the fixture: the client reads its settings when it is imported, and a token from a file."""
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text(TOKEN)
    done = publish_elsewhere(hub, released(), tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, hub.head(REPOSITORY), "")
    assert {request.token for request in hub.requests if request.origin == "hub"} == {TOKEN}
    (tmp_path / "huggingface" / "token").unlink()
