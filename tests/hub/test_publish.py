"""Publishing: what a commit has, what it leaves alone, what makes none, and what is refused beforehand."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from double import Double
from publishing import (
    EXTRAS,
    REPOSITORY,
    TOKEN,
    Publisher,
    changed,
    check_token,
    names,
    publish_elsewhere,
    released,
    trained_further,
)
from publishing import without_score as without_score_

import zoo
from conftest import TRAINING, Command, one_error, python, raises
from zoo.core.errors import ReleaseError
from zoo.hub import card, preflight
from zoo.hub.preflight import PreflightError
from zoo.release import CARD, MANIFEST, read

pytest_plugins = ("double_fixture",)


@pytest.fixture(autouse=True)
def _nobody_sees_the_token(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Double
) -> Iterator[None]:
    """Ana may write to acme; after each test her token is nowhere, and the storage never got one."""
    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield
    check_token(tmp_path, hub, *capsys.readouterr())


@pytest.fixture
def command(zoo_call: Command) -> Command:
    """Calls ``zoo ARGUMENTS``; the token is not in what it prints."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = zoo_call(*arguments)
        assert TOKEN not in done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def without_score(tmp_path: Path) -> Path:
    """The release with one graph fewer."""
    return changed(released(), tmp_path / "fewer", without_score_)


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The release, trained further."""
    return changed(released(), tmp_path / "newer", trained_further)


def problems(
    publisher: Publisher, hub: Double, folder: Path, repository: str = REPOSITORY, **options: object
) -> list[str]:
    """Why it is refused; nothing was sent that writes."""
    with pytest.raises(PreflightError) as refused:
        publisher(folder, repository, **options)
    assert hub.writes == []
    assert all(len(problem.splitlines()) == 1 for problem in refused.value.problems)
    return list(refused.value.problems)


def test_a_commit_has_exactly_the_release_and_the_extras(hub: Double, publisher: Publisher) -> None:
    release = read(released())
    made = publisher(released())
    held = hub.files(REPOSITORY)
    assert set(held) == names(release)
    assert {name: hashlib.sha256(held[name]).hexdigest() for name in release.files} == dict(release.files)
    assert held[MANIFEST] == (released() / MANIFEST).read_bytes()
    assert [commit.title for commit in hub.commits(REPOSITORY)] == ["Publish vae.digits", "initial commit"]
    assert (made.commit, made.is_new, made.is_private) == (hub.head(REPOSITORY), True, False)
    assert made.source == f"hub:{REPOSITORY}@{hub.head(REPOSITORY)}"
    assert publisher.progress[-1][0] == publisher.progress[-1][1] == sum(made.changes.sent.values())


def test_the_card_is_that_of_the_release_with_the_metadata_of_the_hub(hub: Double, publisher: Publisher) -> None:
    publisher(released())
    fields, text = card.split(hub.files(REPOSITORY)[CARD].decode())
    assert fields == card.metadata(read(released()).manifest, repository=REPOSITORY)
    assert "## Metrics" in text
    assert f'zoo.load("hub:{REPOSITORY}")' in text
    config = json.loads(hub.files(REPOSITORY)["config.json"])
    assert config["manifest_sha256"] == hashlib.sha256((released() / MANIFEST).read_bytes()).hexdigest()


def test_what_is_published_loads_and_generates_the_same(hub: Double, publisher: Publisher) -> None:
    made = publisher(released())
    with zoo.load(made.source) as model, zoo.load(released()) as original:
        assert np.array_equal(model.generate(4, seed=1), original.generate(4, seed=1))


def test_publishing_needs_no_torch(hub: Double, publisher: Publisher) -> None:
    code = """
import sys; from zoo.cli import main
sys.argv[:] = ["zoo", "publish", sys.argv[1], "--repo", sys.argv[2], "--quiet"]
main()
"""
    printed = python(code, released(), REPOSITORY, block=[*TRAINING, "zoo_autoencoders"])
    assert printed.splitlines()[-1] == f'Load it:    zoo.load("hub:{REPOSITORY}@{hub.head(REPOSITORY)}")'
    code = "import sys, zoo; print(zoo.load(sys.argv[1]).generate(2, seed=7).sum())"
    for source in (f"hub:{REPOSITORY}@{hub.head(REPOSITORY)}", released()):
        assert python(code, source, block=TRAINING) == python(code, "vae.digits")


def test_the_same_content_makes_no_commit(hub: Double, publisher: Publisher) -> None:
    first = publisher(released())
    sent = len(hub.writes)
    again = publisher(released())
    assert (again.commit, bool(again.changes), again.is_new) == (first.commit, False, False)
    assert len(hub.writes) == sent


def test_only_what_is_new_is_sent(hub: Double, publisher: Publisher, newer: Path) -> None:
    first = publisher(released())
    before = len(hub.requests)
    made = publisher(newer)
    assert set(made.changes.replaced) == {"model.safetensors", "metrics.jsonl", MANIFEST, "config.json", CARD}
    assert (set(made.changes.added), set(made.changes.deleted)) == (set(), set())
    assert len([request for request in hub.requests[before:] if request.method == "PUT"]) == 1
    assert hub.commits(REPOSITORY)[0].parent == first.commit
    assert read_back(hub) == read(newer).files


def read_back(hub: Double, revision: str = "main") -> dict[str, str]:
    """The SHA-256 of what a repository has beside the extras."""
    held = hub.files(REPOSITORY, revision)
    return {
        name: hashlib.sha256(content).hexdigest() for name, content in held.items() if name not in (*EXTRAS, MANIFEST)
    }


def test_files_that_the_new_release_has_not_are_removed_in_the_same_commit(
    hub: Double, publisher: Publisher, without_score: Path
) -> None:
    publisher(released())
    made = publisher(without_score)
    assert set(made.changes.deleted) == {"score.onnx"}
    assert set(hub.files(REPOSITORY)) == names(read(without_score))
    assert len(hub.commits(REPOSITORY)) == 3


def test_files_of_other_people_stay(hub: Double, publisher: Publisher, without_score: Path) -> None:
    publisher(released())
    hub.put(REPOSITORY, {"figure.svg": b"<svg/>", "demo/app.py": b"pass", "score.txt": b"7"})
    publisher(without_score)
    held = hub.files(REPOSITORY)
    assert {name: held[name] for name in ("figure.svg", "demo/app.py", "score.txt")} == {
        "figure.svg": b"<svg/>",
        "demo/app.py": b"pass",
        "score.txt": b"7",
    }
    assert "score.onnx" not in held


def test_the_text_that_people_wrote_stays_and_is_said(hub: Double, publisher: Publisher, newer: Path) -> None:
    publisher(released())
    edited = hub.files(REPOSITORY)[CARD].replace(b"license: mit", b"license: mit\nlanguage: en") + b"\nA remark.\n"
    commit = hub.put(REPOSITORY, {CARD: edited})
    again = publisher(released())
    assert (again.commit, bool(again.changes)) == (commit, False)
    publisher(newer)
    fields, text = card.split(hub.files(REPOSITORY)[CARD].decode())
    assert fields["language"] == "en"
    assert text.endswith("A remark.\n")
    assert "the text of README.md was edited there and stays" in publisher.lines[-1]
    publisher(newer, replace_card=True)
    fields, text = card.split(hub.files(REPOSITORY)[CARD].decode())
    assert "A remark." not in text
    assert fields["language"] == "en"


def test_a_card_of_somebody_before_the_first_publish_stays(hub: Double, publisher: Publisher) -> None:
    hub.put(REPOSITORY, {CARD: b"---\nlicense: other\n---\n# Mine\n"})
    publisher(released())
    fields, text = card.split(hub.files(REPOSITORY)[CARD].decode())
    assert (fields["license"], text.strip()) == ("mit", "# Mine")


def test_a_release_without_a_card_gets_one_from_its_manifest(
    hub: Double, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Path(shutil.copytree(released(), tmp_path / "bare"))
    (bare / CARD).unlink()
    done = command("publish", bare, "--repo", REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "# vae.digits" in hub.files(REPOSITORY)[CARD].decode()


def test_a_dry_run_sends_nothing_that_writes(hub: Double, publisher: Publisher, without_score: Path) -> None:
    planned = publisher(released(), dry_run=True)
    assert hub.writes == []
    assert not hub.exists(REPOSITORY)
    assert (planned.is_new, planned.commit) == (True, "")
    assert set(planned.changes.added) == names(read(released()))
    commit = publisher(released()).commit
    sent = len(hub.writes)
    planned = publisher(without_score, dry_run=True)
    assert set(planned.changes.deleted) == {"score.onnx"}
    assert MANIFEST in planned.changes.replaced
    assert (hub.head(REPOSITORY), len(hub.writes)) == (commit, sent)


def test_a_branch_is_made_where_it_is_missing(hub: Double, publisher: Publisher, newer: Path) -> None:
    publisher(released())
    head = hub.head(REPOSITORY)
    made = publisher(newer, revision="v2-work")
    assert hub.head(REPOSITORY) == head
    assert hub.head(REPOSITORY, "v2-work") == made.commit
    assert read_back(hub, "v2-work") == read(newer).files
    assert publisher(newer, revision="v2-work").commit == made.commit


def test_a_new_repository_may_begin_with_a_branch(hub: Double, publisher: Publisher) -> None:
    publisher(released(), revision="trial")
    assert read_back(hub, "trial") == read(released()).files
    assert set(hub.files(REPOSITORY)) == {".gitattributes"}


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


def test_a_pull_request_leaves_main_alone(hub: Double, publisher: Publisher, newer: Path) -> None:
    hub.put("other/vae", {name.name: name.read_bytes() for name in released().iterdir()})
    head = hub.head("other/vae")
    made = publisher(newer, "other/vae", pull_request=True, message="Better weights")
    assert hub.head("other/vae") == head
    assert hub.pulls("other/vae") == {"refs/pr/1": made.commit}
    assert made.address.endswith("/other/vae/discussions/1")
    assert hub.commits("other/vae", "refs/pr/1")[0].title == "Better weights"


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


def test_a_private_repository_is_made_and_stays_private(hub: Double, publisher: Publisher, newer: Path) -> None:
    assert publisher(released(), private=True).is_private
    assert hub.private(REPOSITORY)
    assert publisher(newer).is_private
    assert publisher(newer, private=True).is_private
    assert hub.private(REPOSITORY)


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


def test_a_licence_that_is_given_is_used(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    publisher(released(), licence="CC-BY-4.0")
    assert card.split(hub.files(REPOSITORY)[CARD].decode())[0]["license"] == "cc-by-4.0"


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


def test_a_damaged_release_on_the_hub_is_replaced_and_nothing_is_removed(
    hub: Double, publisher: Publisher, without_score: Path
) -> None:
    publisher(released())
    hub.put(REPOSITORY, {MANIFEST: (released() / MANIFEST).read_bytes().replace(b'"seed": 0', b'"seed": 1')})
    publisher(without_score)
    assert "score.onnx" in hub.files(REPOSITORY)
    assert "is damaged or altered" in publisher.lines[-1]
    assert "What that release has and this one has not stays there." in publisher.lines[-1]
    assert hub.files(REPOSITORY)[MANIFEST] == (without_score / MANIFEST).read_bytes()


def test_a_signature_of_a_damaged_manifest_is_removed(hub: Double, publisher: Publisher) -> None:
    publisher(released(), signature=b"signed")
    hub.put(REPOSITORY, {MANIFEST: (released() / MANIFEST).read_bytes().replace(b'"seed": 0', b'"seed": 1')})
    assert set(publisher(released()).changes.deleted) == {"model.sig"}


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


def test_a_strangers_manifest_does_not_draw_on_the_terminal(hub: Double, publisher: Publisher) -> None:
    damaged = json.loads((released() / MANIFEST).read_bytes())
    damaged["parity"]["tasks"]["\x1b]0;PWNED\x07"] = {"1": "low"}
    hub.put(REPOSITORY, {MANIFEST: json.dumps(damaged).encode()})
    publisher(released(), dry_run=True)
    assert "PWNED" in "".join(publisher.lines)
    assert "\x1b" not in "".join(publisher.lines)


def test_a_message_has_a_title_and_a_text(hub: Double, publisher: Publisher) -> None:
    publisher(released(), message="Better weights\n\nTrained for longer.\n")
    commit = hub.commits(REPOSITORY)[0]
    assert (commit.title, commit.message) == ("Better weights", "Trained for longer.")


def test_a_damaged_release_is_not_published(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(released(), tmp_path / "damaged"))
    with open(damaged / "samples.png", "ab") as file:
        file.write(b"x")
    with raises(ReleaseError, "samples.png is damaged or altered"):
        publisher(damaged)
    assert hub.writes == []


def test_files_beside_the_release_are_not_published(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(released(), tmp_path / "stray"))
    (folder / "private-notes.txt").write_text("x")
    publisher(folder)
    assert set(hub.files(REPOSITORY)) == names(read(released()))


def test_publishing_needs_the_network(hub: Double, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert problems(publisher, hub, released()) == [
        "Publishing needs the Hub, and HF_HUB_OFFLINE switches the network off. Unset it, or give a folder."
    ]
    assert hub.requests == []


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
