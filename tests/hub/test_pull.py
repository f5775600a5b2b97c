"""Releases come from the Hub into the cache: what is asked, what is downloaded, what is checked, and what is cached."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from double import Double, Huge, env
from pulling import REPO, SOURCE, altered, named, released

import zoo
from conftest import TRAINING, Command, Refused, patch_registry, python, raises
from zoo.core.errors import HubError, NotFoundError, ReleaseError
from zoo.hub import cache, resolve
from zoo.release import MANIFEST, WEIGHTS

pytest_plugins = ("double_fixture", "pulling_fixture")


def test_a_release_is_pulled_and_generates_the_same(
    hub: Double, commit: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with zoo.load(SOURCE) as model, zoo.load("vae.digits") as installed:
        assert np.array_equal(model.generate(4, seed=3), installed.generate(4, seed=3))
    assert f"{SOURCE} is commit {commit}." in capfd.readouterr().err
    assert sorted(hub.fetched) == named(released())
    folder = cache.place(hashlib.sha256(released()[MANIFEST]).hexdigest())
    assert sorted(path.name for path in folder.iterdir()) == named(released())
    assert all(path.is_file() and not path.is_symlink() for path in folder.iterdir())


def test_what_is_cached_is_not_fetched_again(hub: Double, commit: str) -> None:
    first = resolve.find(SOURCE)
    count = len(hub.requests)
    assert resolve.find(f"{SOURCE}@{commit}") == first
    assert len(hub.requests) == count  # a full commit asks nobody
    assert resolve.find(SOURCE) == first
    assert [(request.method, request.path) for request in hub.requests[count:]] == [
        ("HEAD", f"/{REPO}/resolve/main/{MANIFEST}")
    ]


def test_the_same_release_in_two_places_is_one_copy(hub: Double, commit: str) -> None:
    hub.put("other/copy", released())
    assert resolve.find(SOURCE) == resolve.find("hub:other/copy")
    assert [one.sources for one in cache.contents()] == [
        tuple(sorted((f"{SOURCE}@{commit}", f"hub:other/copy@{hub.head('other/copy')}")))
    ]


def test_a_revision_is_a_branch_a_tag_a_commit_or_a_request(hub: Double, commit: str) -> None:
    hub.tag(REPO, "v1")
    hub.branch(REPO, "next")
    for revision in ("v1", "next", "main", commit):
        assert resolve.find(f"{SOURCE}@{revision}") == resolve.find(SOURCE)
    with raises(NotFoundError, f"{REPO} has no revision 'v2'", "a branch, a tag, or a full commit"):
        resolve.find(f"{SOURCE}@v2")
    with raises(NotFoundError, f"{REPO} has no revision '{commit[:8]}'", "a full commit"):
        resolve.find(f"{SOURCE}@{commit[:8]}")


def test_a_tag_that_moved_is_said_and_the_commit_stays(
    hub: Double, commit: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.tag(REPO, "v1")
    before = resolve.find(f"{SOURCE}@v1")
    content = released()
    other = hub.put(REPO, altered(content, name="vae.other"))
    hub.tag(REPO, "v1")
    after = resolve.find(f"{SOURCE}@v1")
    said = capfd.readouterr().err
    assert f"{SOURCE}@v1 is commit {other}. It was {commit}, which stays {SOURCE}@{commit}." in said
    assert after != before
    assert resolve.find(f"{SOURCE}@{commit}") == before
    assert (before / MANIFEST).read_bytes() == content[MANIFEST]


def test_an_edited_card_and_stray_files_do_not_matter(hub: Double, commit: str) -> None:
    hub.put(REPO, {"README.md": b"Edited by hand", "notes.txt": b"?", "more/weights.bin": b"1", "big.bin": Huge(2**30)})
    with zoo.load(SOURCE) as model:
        assert model.generate(1, seed=0).shape == (1, 8, 8)
    assert sorted(hub.fetched) == named(released())


def test_a_corrupt_cache_of_the_hub_is_not_used(hub: Double, commit: str) -> None:
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(REPO, WEIGHTS))
    blob = path.resolve()
    blob.write_bytes(bytes(len(released()[WEIGHTS])))
    assert (resolve.find(SOURCE) / WEIGHTS).read_bytes() == released()[WEIGHTS]


def test_damage_in_the_cache_is_told_and_repaired(hub: Double, commit: str, zoo_call: Command) -> None:
    folder = resolve.find(SOURCE)
    weights = folder / WEIGHTS
    weights.write_bytes(bytes(weights.stat().st_size))
    with raises(ReleaseError, f"{weights} is damaged or altered"):
        zoo.load(f"{SOURCE}@{commit}").generate(1)
    assert zoo_call("pull", SOURCE).stdout == f"{folder}\n"
    assert weights.read_bytes() == released()[WEIGHTS]
    weights.write_bytes(b"cut")  # another size is seen without reading it
    assert resolve.find(f"{SOURCE}@{commit}") == folder
    assert weights.read_bytes() == released()[WEIGHTS]
    (folder / MANIFEST).write_text("{}")
    assert resolve.find(SOURCE) == folder
    assert (folder / MANIFEST).read_bytes() == released()[MANIFEST]


def test_a_repository_that_is_no_release(hub: Double) -> None:
    hub.put(REPO, {"pytorch_model.bin": b"1"})
    with raises(NotFoundError, f"{SOURCE} has no {MANIFEST}, so it is no release of zoo"):
        resolve.find(SOURCE)


def test_why_a_repository_cannot_be_read(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing and private look the same to the Hub's clients without a token, and to those who may not see it."""
    hub.user("ana", "hf_ana_write_0123456789")
    hub.repo("acme/private", private=True)
    hub.put("acme/private", released())
    hub.repo("acme/gated", gated="manual")
    hub.put("acme/gated", released())

    def why(name: str) -> str:
        with pytest.raises((HubError, NotFoundError)) as found:
            resolve.find(f"hub:{name}")
        return str(found.value)

    anonymous = [why("acme/missing"), why("acme/private"), why("acme/gated")]
    assert "is private: no token is set" in anonymous[0]
    assert anonymous[1].replace("acme/private", "acme/missing") == anonymous[0]
    assert "acme/gated is gated" in anonymous[2]
    assert "then log in: hf auth login" in anonymous[2]
    monkeypatch.setenv("HF_TOKEN", "hf_ana_write_0123456789")
    assert "is private and this token may not read it" in why("acme/missing")
    assert "is private and this token may not read it" in why("acme/private")
    assert f"Ask for access at {hub.endpoint}/acme/gated" in why("acme/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_0123456789")
    assert "refuses the token in HF_TOKEN: it is wrong, or has expired" in why("acme/private")
    assert not any("0123456789" in text for text in anonymous)


def test_a_renamed_repository_is_followed_and_said(hub: Double, commit: str, zoo_call: Command) -> None:
    hub.rename(REPO, "acme/renamed")
    done = zoo_call("pull", SOURCE)
    assert (Path(done.stdout.strip()) / MANIFEST).read_bytes() == released()[MANIFEST]
    assert f"{REPO} was renamed, and is acme/renamed now." in done.stderr
    about = json.loads(zoo_call("info", SOURCE, "--json").stdout)
    assert about["hub"]["page"] == f"{hub.endpoint}/acme/renamed"


@pytest.mark.parametrize(
    "source",
    [
        "hub:",
        "hub:vae",
        "hub:a/b/c",
        "hub:../x",
        "hub:a/..",
        "hub:a/b@",
        "hub:a/b@../x",
        "hub:a/b@x y",
        "hub:a--b/c",
        "hub:-/x",
    ],
)
def test_what_names_no_repository(source: str, refused: Refused) -> None:
    refused("pull", source, says=(repr(source), "Write"))


def test_zoo_pull_takes_no_path(refused: Refused) -> None:
    refused("pull", "./runs", says=("'./runs' is a path", "hub:ORG/NAME, with hub:, or a released name"))


def test_zoo_pull_checks_what_is_installed(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(resolve.find("vae.digits"), tmp_path / "installed"))
    entry = {"manifest_sha256": hashlib.sha256(released()[MANIFEST]).hexdigest()}
    patch_registry(monkeypatch, released_folder=lambda name: (folder, entry))
    (folder / WEIGHTS).write_bytes(bytes((folder / WEIGHTS).stat().st_size))
    refused("pull", "vae.digits", says=(f"{folder / WEIGHTS} is damaged or altered",))


def test_without_torch_a_strangers_model_runs_without_its_plugin(hub: Double, tmp_path: Path) -> None:
    """The manifest names a plugin that is not installed here; the same samples come out."""
    content = released()
    plugin = {"distribution": "not-installed", "version": "1.0"}
    hub.put(REPO, altered(content, name="their.model", plugin=plugin))
    code = """
import sys, zoo
with zoo.load(sys.argv[1]) as model:
    print(model.name, model.generate(2, seed=5).tolist())
assert "torch" not in sys.modules
"""
    printed = python(code, SOURCE, block=TRAINING, env=env(hub, home=tmp_path))
    with zoo.load("vae.digits") as model:
        assert printed == f"their.model {model.generate(2, seed=5).tolist()}\n"
