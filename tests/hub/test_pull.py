"""Releases come from the Hub into the cache: what is asked, what is checked, what is kept, and what is said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from double import Corrupt, Cut, Double, Huge, Silent, Status, env

import zoo
from conftest import TRAINING, Command, Refused, contents, patch_registry, python, raises
from zoo import registry
from zoo.core.errors import HubError, NotFoundError, ReleaseError, ZooError
from zoo.hub import cache, resolve
from zoo.hub.client import CutError
from zoo.hub.source import HubSource, parse
from zoo.release import MANIFEST, WEIGHTS, seal

pytest_plugins = ("double_fixture",)

REPO = "acme/digits"
SOURCE = f"hub:{REPO}"


def released() -> dict[str, bytes]:
    """The files of a release as its publisher uploads them."""
    folder = resolve.find("vae.digits")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def named(content: dict[str, bytes]) -> list[str]:
    """The names of the files that are downloaded: the manifest, and what that names but for the card."""
    return sorted({MANIFEST, *json.loads(content[MANIFEST])["files"]} - {"README.md"})


def altered(content: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    """A release with other values in its manifest, which is sealed again."""
    manifest = {**json.loads(content[MANIFEST]), **changes}
    return {**content, MANIFEST: json.dumps(seal(manifest)).encode()}


def kept() -> list[str]:
    """What the cache has, but for its locks."""
    found = [path.relative_to(cache.folder()) for path in cache.folder().rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.parts[0] != "locks")


@pytest.fixture
def commit(hub: Double) -> str:
    """The commit of a release in a public repository."""
    return hub.put(REPO, released())


def test_a_release_is_pulled_and_generates_the_same(hub: Double, commit: str, capfd: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, "encode.onnx"])
def test_what_is_corrupted_once_is_fetched_again(name: str, hub: Double, commit: str) -> None:
    hub.fail(Corrupt(), method="GET", path=rf"{name}$", times=1)
    assert (resolve.find(SOURCE) / name).read_bytes() == released()[name]
    assert hub.fetched.count(name) == 2


def test_what_is_always_corrupted_names_both_hashes_and_keeps_nothing(hub: Double, commit: str) -> None:
    hub.fail(Corrupt(), method="GET", path=rf"{WEIGHTS}$")
    right = hashlib.sha256(released()[WEIGHTS]).hexdigest()
    with raises(ReleaseError, f"{SOURCE}@{commit}: {WEIGHTS} is damaged or altered", right, "Nothing was kept") as found:
        resolve.find(SOURCE)
    wrong = str(found.value).partition("found ")[2][:64]
    assert len(wrong) == 64 and wrong != right
    assert kept() == ["references/acme--digits/named"]


def test_a_download_that_was_cut_goes_on(hub: Double, commit: str) -> None:
    hub.fail(Cut(), method="GET", path=rf"{WEIGHTS}$", times=1)
    assert (resolve.find(SOURCE) / WEIGHTS).read_bytes() == released()[WEIGHTS]


def test_a_download_that_is_always_cut_is_one_line(hub: Double, commit: str) -> None:
    hub.fail(Cut(), method="GET", path=rf"{WEIGHTS}$")
    with raises(CutError, f"the download of {WEIGHTS} broke off", "Try again"):
        resolve.find(SOURCE)
    assert kept() == ["references/acme--digits/named"]


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


@pytest.mark.parametrize(
    ("sizes", "kind", "says"),
    [
        ({"../x": 1}, ReleaseError, "lists the file name '../x', which is not allowed"),
        ({"/etc/passwd": 1}, ReleaseError, "lists the file name '/etc/passwd'"),
        ({"huge.bin": 10**18}, HubError, "has 1,000,000,000,"),
        ({"odd.bin": -1}, ReleaseError, "odd.bin is of -1 bytes"),
        ({f"f{i}.bin": 1 for i in range(1001)}, ReleaseError, "a release has at most 1,000"),
        ({WEIGHTS: 5}, ReleaseError, f"{WEIGHTS} has "),
        ({"gone.onnx": 5}, ReleaseError, "gone.onnx is not there, and its manifest says 5 bytes"),
    ],
)
def test_a_hostile_manifest_downloads_nothing(
    sizes: dict[str, int], kind: type[ZooError], says: str, hub: Double
) -> None:
    content = released()
    files = {name: {"sha256": "0" * 64, "bytes": size} for name, size in sizes.items()}
    hub.put(REPO, altered(content, files=json.loads(content[MANIFEST])["files"] | files))
    with raises(kind, SOURCE, says):
        resolve.find(SOURCE)
    assert set(hub.fetched) == {MANIFEST}
    assert kept() == ["references/acme--digits/named"]


def test_a_manifest_of_a_gigabyte_is_not_fetched(hub: Double) -> None:
    hub.put(REPO, {MANIFEST: Huge(2**30)})
    with raises(ReleaseError, f"{MANIFEST} has 1,073,741,824 bytes, and at most"):
        resolve.find(SOURCE)
    assert hub.fetched == []


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
    assert "acme/gated is gated" in anonymous[2] and "then log in: hf auth login" in anonymous[2]
    monkeypatch.setenv("HF_TOKEN", "hf_ana_write_0123456789")
    assert "is private and this token may not read it" in why("acme/missing")
    assert "is private and this token may not read it" in why("acme/private")
    assert f"Ask for access at {hub.endpoint}/acme/gated" in why("acme/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_0123456789")
    assert "refuses the token in HF_TOKEN: it is wrong, or has expired" in why("acme/private")
    assert not any("0123456789" in text for text in anonymous)


def test_a_token_reads_a_private_repository_and_goes_nowhere_else(
    hub: Double, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = hub.user("ana", "hf_ana_read_0123456789", role="read", orgs=("acme",))
    hub.repo(REPO, private=True)
    hub.put(REPO, released())
    monkeypatch.setenv("HF_TOKEN", token)
    resolve.find(SOURCE)
    assert hub.storage_requests
    assert all(request.token is None for request in hub.storage_requests)
    assert token not in "".join(capfd.readouterr())
    assert not any(token.encode() in path.read_bytes() for path in cache.folder().rglob("*") if path.is_file())


def test_a_renamed_repository_is_followed(hub: Double, commit: str) -> None:
    hub.rename(REPO, "acme/renamed")
    assert (resolve.find(SOURCE) / MANIFEST).read_bytes() == released()[MANIFEST]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Status(503), "answers 503"),
        (Status(429, retry_after=7), "limits how often it is asked. Try again in 7 s"),
        (Status(403), "This token may not do that with acme/digits"),
        (Silent(), "does not answer in time"),
    ],
)
def test_a_hub_that_is_down(fault: object, says: str, hub: Double, commit: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What is not cached is told within ten seconds; what is cached is used within one."""
    trigger = hub.fail(fault)  # type: ignore[arg-type]
    began = time.monotonic()
    with raises(HubError, f"{SOURCE} is not in the cache", says):
        resolve.find(SOURCE)
    assert time.monotonic() - began < 10
    trigger.times = 0
    folder = resolve.find(SOURCE)
    hub.fail(fault)  # type: ignore[arg-type]
    capfd.readouterr()
    began = time.monotonic()
    assert resolve.find(SOURCE) == folder
    assert time.monotonic() - began < 1.2
    assert f"{SOURCE} is taken from the cache, as it was on " in capfd.readouterr().err
    assert resolve.find(f"{SOURCE}@{commit}") == folder


def test_a_hub_that_is_not_there(hub: Double, commit: str, tmp_path: Path) -> None:
    hub.close()
    with raises(HubError, f"{hub.endpoint} cannot be reached", "HF_ENDPOINT and proxies"):
        resolve.find(SOURCE)


def test_offline_what_is_cached_works(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with raises(HubError, f"{SOURCE} is not in the cache", "HF_HUB_OFFLINE switches the network off"):
        resolve.find(SOURCE)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = resolve.find(SOURCE)
    count = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve.find(SOURCE) == folder
    assert resolve.find(f"{SOURCE}@{commit}") == folder
    assert len(hub.requests) == count


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zoo_call: Command) -> None:
    for name in ("ZOO_CACHE_DIR", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    places = {"": tmp_path / ".cache" / "zoo"}
    places |= {
        "XDG_CACHE_HOME": tmp_path / "XDG_CACHE_HOME" / "zoo",
        "HF_HOME": tmp_path / "HF_HOME" / "zoo",
        "HF_HUB_CACHE": tmp_path / "zoo",
        "ZOO_CACHE_DIR": tmp_path / "ZOO_CACHE_DIR",
    }
    for name, place in places.items():
        if name:
            monkeypatch.setenv(name, str(tmp_path / name))
        assert zoo_call("cache", "path").stdout == f"{place}\n"


@pytest.mark.parametrize(
    "source",
    ["hub:", "hub:vae", "hub:a/b/c", "hub:../x", "hub:a/..", "hub:a/b@", "hub:a/b@../x", "hub:a/b@x y", "hub:a--b/c", "hub:-/x"],
)
def test_what_names_no_repository(source: str, refused: Refused) -> None:
    refused("pull", source, says=(repr(source), "Write"))


def test_zoo_pull_takes_no_path(refused: Refused) -> None:
    refused("pull", "./runs", says=("'./runs' is a path", "hub:ORG/NAME or a released name"))
