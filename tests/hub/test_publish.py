"""Publishing: what a commit has, what it leaves alone, and what makes none."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from double import Double
from publishing import (
    EXTRAS,
    REPOSITORY,
    Publisher,
    changed,
    names,
    released,
)
from publishing import without_score as without_score_

import zoo
from conftest import TRAINING, python, raises
from zoo.core.errors import ReleaseError
from zoo.hub import card
from zoo.release import CARD, MANIFEST, read

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def without_score(tmp_path: Path) -> Path:
    """The release with one graph fewer."""
    return changed(released(), tmp_path / "fewer", without_score_)


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


def test_a_pull_request_leaves_main_alone(hub: Double, publisher: Publisher, newer: Path) -> None:
    hub.put("other/vae", {name.name: name.read_bytes() for name in released().iterdir()})
    head = hub.head("other/vae")
    made = publisher(newer, "other/vae", pull_request=True, message="Better weights")
    assert hub.head("other/vae") == head
    assert hub.pulls("other/vae") == {"refs/pr/1": made.commit}
    assert made.address.endswith("/other/vae/discussions/1")
    assert hub.commits("other/vae", "refs/pr/1")[0].title == "Better weights"


def test_a_private_repository_is_made_and_stays_private(hub: Double, publisher: Publisher, newer: Path) -> None:
    assert publisher(released(), private=True).is_private
    assert hub.private(REPOSITORY)
    assert publisher(newer).is_private
    assert publisher(newer, private=True).is_private
    assert hub.private(REPOSITORY)


def test_a_licence_that_is_given_is_used(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    publisher(released(), licence="CC-BY-4.0")
    assert card.split(hub.files(REPOSITORY)[CARD].decode())[0]["license"] == "cc-by-4.0"


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
