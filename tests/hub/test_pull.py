"""Releases come from the Hub into the cache: what is asked, what is checked, what is kept, and what is said."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache as cache_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from double import Corrupt, Cut, Double, Huge, Silent, Slow, Status, env

import zoo
from conftest import TRAINING, Command, Refused, one_error, patch_registry, python, raises
from zoo.core.errors import HubError, NotFoundError, ReleaseError, SettingError, ZooError
from zoo.hub import cache, client, download, pull, reasons, resolve
from zoo.hub.download import CutError
from zoo.release import MANIFEST, WEIGHTS, read, seal, verify

pytest_plugins = ("double_fixture",)

REPO = "acme/digits"
SOURCE = f"hub:{REPO}"


@cache_of
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
    """What the cache has, but for its locks; without the folder of references to this Hub."""
    found = [path.relative_to(cache.folder()) for path in cache.folder().rglob("*") if path.is_file()]
    return sorted(re.sub(r"^(references)/\w{12}/", r"\1/", str(path)) for path in found if path.parts[0] != "locks")


@pytest.fixture
def commit(hub: Double) -> str:
    """The commit of a release in a public repository."""
    return hub.put(REPO, released())


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


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, "encode.onnx"])
def test_what_is_corrupted_once_is_fetched_again(name: str, hub: Double, commit: str) -> None:
    hub.fail(Corrupt(), method="GET", path=rf"{name}$", times=1)
    assert (resolve.find(SOURCE) / name).read_bytes() == released()[name]
    assert hub.fetched.count(name) == 2


def test_what_is_always_corrupted_names_both_hashes_and_keeps_nothing(hub: Double, commit: str) -> None:
    hub.fail(Corrupt(), method="GET", path=rf"{WEIGHTS}$")
    right = hashlib.sha256(released()[WEIGHTS]).hexdigest()
    with raises(
        ReleaseError, f"{SOURCE}@{commit}: {WEIGHTS} is damaged or altered", right, "Nothing was kept"
    ) as found:
        resolve.find(SOURCE)
    wrong = str(found.value).partition("found ")[2][:64]
    assert len(wrong) == 64
    assert wrong != right
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
        ({"more.bin": 10**4000}, ReleaseError, "bytes is missing or not of the right type"),
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
    assert "acme/gated is gated" in anonymous[2]
    assert "then log in: hf auth login" in anonymous[2]
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
        (Status(403), "forbids that for acme/digits without a token"),
        pytest.param(Silent(), "does not answer in time", marks=pytest.mark.slow),
    ],
)
def test_a_hub_that_is_down(
    fault: object, says: str, hub: Double, commit: str, capfd: pytest.CaptureFixture[str]
) -> None:
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
    monkeypatch.setenv("ZOO_CACHE_DIR", "here")
    assert zoo_call("cache", "path").stdout == f"{Path.cwd() / 'here'}\n"
    monkeypatch.delenv("ZOO_CACHE_DIR")
    monkeypatch.setenv("HF_HUB_CACHE", "/hub")  # a volume, often
    assert zoo_call("cache", "path").stdout == "/hub/zoo\n"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "volume"))
    monkeypatch.setattr("os.path.ismount", lambda path: path == tmp_path / "volume")
    assert zoo_call("cache", "path").stdout == f"{tmp_path / 'volume' / 'zoo'}\n"


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


PULL = "import sys, zoo.hub.resolve as r; print(r.fetched(sys.argv[1], quiet=True))"


def start(hub: Double, home: Path, source: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PULL, source],
        env=env(hub, home=home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_four_processes_download_once_though_one_is_killed(hub: Double, commit: str, tmp_path: Path) -> None:
    slow = hub.fail(Slow(2**17), method="GET", path=rf"{WEIGHTS}$", times=1)
    first = start(hub, tmp_path, SOURCE)
    while not slow.happened:  # it holds the lock now
        time.sleep(0.01)
        assert first.poll() is None
    others = [start(hub, tmp_path, SOURCE) for _ in range(3)]
    while hub.fetched.count(MANIFEST) < 4:  # they wait for the lock now, or soon
        time.sleep(0.01)
        assert first.poll() is None
    first.kill()
    first.communicate()
    folders = set()
    for one in others:
        printed, error = one.communicate(timeout=60)
        assert one.returncode == 0, error
        folders.add(Path(printed.strip()))
    (folder,) = folders
    assert (folder / WEIGHTS).read_bytes() == released()[WEIGHTS]
    assert hub.fetched.count(WEIGHTS) <= 2  # the killed one's, and one
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing of the killed one is left


@pytest.mark.slow
def test_a_pull_that_is_killed_leaves_nothing_that_is_used(hub: Double, commit: str, tmp_path: Path) -> None:
    """Ten times at random moments of a download; a last one then finds the right bytes."""
    random = np.random.default_rng(0)
    hub.fail(Slow(2**18), method="GET")
    for _ in range(10):
        process = start(hub, tmp_path, SOURCE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(0.3, 2.5))
        process.kill()
        process.communicate()
        whole = [one for one in cache.contents() if one.name]
        for one in whole:  # where it was quick enough
            assert verify(read(one.folder)) == len(named(released())) - 1
    hub.fail(Slow(2**30), method="GET")
    folder = Path(python(PULL, SOURCE, env=env(hub, home=tmp_path)).strip())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: released()[name] for name in named(released())
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


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


@pytest.mark.slow
def test_a_storage_that_does_not_answer(hub: Double, commit: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Within ten seconds, without the address of the storage, which is signed."""
    hub.fail(Silent(), method="GET", path=rf"{WEIGHTS}$")
    began = time.monotonic()
    with raises(HubError, f"{hub.endpoint} does not answer in time") as found:
        resolve.find(SOURCE)
    assert time.monotonic() - began < 10
    assert "localhost" not in str(found.value) + "".join(capfd.readouterr())
    assert kept() == ["references/acme--digits/named"]


def test_a_storage_with_more_than_the_manifest_says(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.spoil(REPO, WEIGHTS, bytes(30_000_000))
    right, largest = len(released()[WEIGHTS]), 0
    check = download.receive

    def spy(address: str, path: Path, *args: Any, **options: Any) -> None:
        nonlocal largest
        check(address, path, *args, **options)
        largest = max(largest, path.stat().st_size)

    monkeypatch.setattr(client, "receive", spy)
    with raises(ReleaseError, f"{WEIGHTS} is damaged or altered"):
        resolve.find(SOURCE)
    assert largest == right


def test_a_hub_that_gives_another_commit_than_asked(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = hub.put(REPO, {"x": b"1"})
    found = client.api().get_hf_file_metadata(url=f"{hub.endpoint}/{REPO}/resolve/{other}/{MANIFEST}")
    monkeypatch.setattr("huggingface_hub.HfApi.get_hf_file_metadata", lambda *_, **__: found)
    with raises(HubError, f"gives commit {other} for {SOURCE}@{commit}"):
        resolve.find(f"{SOURCE}@{commit}")


def test_a_token_with_letters_that_none_has(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel")
    with raises(HubError, "The token cannot be right", "hf auth login") as found:
        resolve.find(SOURCE)
    assert "schl" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://ana:pass@host/x", "pass"),
        ("https://token@host/x", "token"),
        ("https://u:p@ss@host/x", "ss@"),
        ("GET https://storage/x?X-Amz-Signature=abc123&y=2 failed", "abc123"),
        ("Authorization: Bearer abc123", "abc123"),
        ("hf_0123456789", "0123"),
    ],
)
def test_secrets_are_not_shown(text: str, hidden: str) -> None:
    assert hidden not in reasons.without_secrets(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": {"kind": "one-shot", "task": ""}},
        {"provenance": {"needs": [1]}},
        {"provenance": {"needs": {"a": 1}}},
        {"provenance": {"data": "mnist"}},
        {"provenance": {"data": {"name": "mnist", "source": -1}}},
    ],
)
def test_a_manifest_of_other_types_is_one_line(changes: dict[str, Any], hub: Double, zoo_call: Command) -> None:
    source = f"{SOURCE}@{hub.put(REPO, altered(released(), **changes))}"
    one_error(zoo_call("info", source), source)
    with raises(ReleaseError, source):
        resolve.find(source)


def test_a_hub_that_did_not_answer_is_asked_again_after_a_pause(
    hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the release is loaded again and again meanwhile."""
    resolve.find(SOURCE)
    now = 1000.0
    monkeypatch.setattr(pull.time, "monotonic", lambda: now)
    fault = hub.fail(Status(503))
    resolve.find(SOURCE)
    asked = len(hub.requests)
    for _ in range(3):
        now += pull.PAUSE / 2 - 1
        resolve.find(SOURCE)
        if now < 1000 + pull.PAUSE:
            assert len(hub.requests) == asked
    fault.times = 0
    assert len(hub.requests) == asked + 1


def test_threads_load_one_source_at_once(hub: Double, commit: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert len(set(pool.map(lambda _: resolve.find(f"{SOURCE}@{commit}"), range(8)))) == 1


def test_zoo_pull_checks_what_is_cached_where_the_hub_does_not_answer(
    hub: Double, commit: str, zoo_call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = resolve.find(SOURCE)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for source in (SOURCE, f"{SOURCE}@{commit}"):
        done = zoo_call("pull", source)
        assert (done.returncode, done.stdout) == (0, f"{folder}\n")
        assert "is taken from the cache" in done.stderr
    (folder / WEIGHTS).write_bytes(bytes((folder / WEIGHTS).stat().st_size))
    one_error(zoo_call("pull", SOURCE), "is not in the cache undamaged", "HF_HUB_OFFLINE")


# Weights that a registry pins and the package does not hold.


@pytest.fixture
def moved_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Lets `vae.digits` be pinned at a place on the Hub, and its package be without the weights; gives its hash."""
    sha256 = hashlib.sha256(released()[MANIFEST]).hexdigest()

    def move(repository: str | None = REPO, revision: str = "0" * 40, pinned: str = sha256) -> str:
        entry: dict[str, object] = {"package": "zoo_autoencoders", "folder": "gone", "manifest_sha256": pinned}
        if repository is not None:
            entry["hub"] = {"repository": repository, "revision": revision}
        patch_registry(monkeypatch, released_folder=lambda name: (tmp_path / "gone", entry))
        return pinned

    return move


def test_weights_come_from_where_the_registry_pins_them(
    hub: Double, commit: str, moved_out: Callable[..., str]
) -> None:
    content = released()
    sha256 = moved_out(revision=commit)
    hub.put(REPO, altered(content, name="vae.other"))  # main moved on
    folder = resolve.find("vae.digits")
    assert folder == cache.place(sha256)
    assert (folder / MANIFEST).read_bytes() == content[MANIFEST]
    count = len(hub.requests)
    assert resolve.find("vae.digits") == folder
    assert len(hub.requests) == count
    assert [one.sources for one in cache.contents()] == [(f"{SOURCE}@{commit}",)]


def test_an_altered_manifest_with_a_new_seal_is_not_what_is_pinned(hub: Double, moved_out: Callable[..., str]) -> None:
    content = altered(released(), name="vae.evil")
    sha256 = moved_out(revision=hub.put(REPO, content))
    wrong = hashlib.sha256(content[MANIFEST]).hexdigest()
    with raises(ReleaseError, "The weights of vae.digits could not be fetched", MANIFEST, sha256, wrong):
        resolve.find("vae.digits")
    assert kept() == []


def test_weights_that_are_nowhere(hub: Double, moved_out: Callable[..., str]) -> None:
    moved_out(repository=None)
    with raises(NotFoundError, "The weights of 'vae.digits' are not installed", "names no repository on the Hub"):
        resolve.find("vae.digits")


class Serving:
    """A folder, served over http on this machine."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def log_message(self, format: str, *args: Any) -> None:
                asked.append(self.path)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/zoo"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: None) -> Iterator[Serving]:
    """A mirror of `vae.digits`: a folder like that of a cache on a plain file server."""
    serving = Serving(tmp_path / "served")
    place = tmp_path / "served" / "zoo" / hashlib.sha256(released()[MANIFEST]).hexdigest()
    shutil.copytree(resolve.find("vae.digits"), place)
    monkeypatch.setenv("ZOO_MIRROR", serving.address)
    yield serving
    serving.server.shutdown()
    serving.server.server_close()


def test_a_mirror_serves_what_the_hub_cannot(hub: Double, mirror: Serving, moved_out: Callable[..., str]) -> None:
    sha256 = moved_out()
    folder = resolve.find("vae.digits")
    assert (folder / WEIGHTS).read_bytes() == released()[WEIGHTS]
    assert sorted(path.removeprefix(f"/zoo/{sha256}/") for path in mirror.asked) == named(released())


def test_a_mirror_need_not_be_trusted(
    hub: Double, mirror: Serving, moved_out: Callable[..., str], tmp_path: Path
) -> None:
    sha256 = moved_out(repository=None)
    place = tmp_path / "served" / "zoo" / sha256
    weights = place / WEIGHTS
    weights.write_bytes(bytes(weights.stat().st_size))
    with raises(ReleaseError, f"the mirror {mirror.address}/{sha256}/: {WEIGHTS} is damaged or altered"):
        resolve.find("vae.digits")
    weights.write_bytes(bytes(10**7))  # more than the manifest says is not even received
    with raises(ReleaseError, f"{WEIGHTS} is damaged or altered"):
        resolve.find("vae.digits")
    (place / MANIFEST).write_bytes(altered(released(), name="vae.evil")[MANIFEST])
    with raises(ReleaseError, f"{MANIFEST} is damaged or altered", sha256):
        resolve.find("vae.digits")
    (place / MANIFEST).unlink()
    with raises(HubError, f"answers 404 for {MANIFEST}"):
        resolve.find("vae.digits")
    assert kept() == []


def test_a_mirror_may_not_send_elsewhere_without_https(
    hub: Double, moved_out: Callable[..., str], monkeypatch: pytest.MonkeyPatch, no_proxy: None
) -> None:
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.2:{self.server.server_port}/internal")  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ZOO_MIRROR", f"http://127.0.0.1:{server.server_port}")
    moved_out(repository=None)
    try:
        with raises(HubError, f"{MANIFEST} cannot be downloaded: it redirects to an address that is not https"):
            resolve.find("vae.digits")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/zoo",
        "ftp://a/b",
        "/srv/zoo",
        "file:///srv/zoo",
        "https://ana:secret@host/zoo",
        "https://host/zoo?key=secret",
        "https://[::1",
        "https://",
    ],
)
def test_a_mirror_that_is_not_https(
    address: str, hub: Double, moved_out: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved_out()
    monkeypatch.setenv("ZOO_MIRROR", address)
    with raises(SettingError, "ZOO_MIRROR = ", " is no https address of a folder") as found:
        resolve.find("vae.digits")
    assert "secret" not in str(found.value)


def test_zoo_cache(hub: Double, commit: str, zoo_call: Command, refused: Refused) -> None:
    assert zoo_call("cache", "list").stdout == f"0 releases, 0.0 MB, in {cache.folder()}\n"
    folder = Path(zoo_call("pull", SOURCE, "--quiet").stdout.strip())
    other = hub.put("acme/other", altered(released(), name="vae.other"))
    json_line = json.loads(zoo_call("pull", "hub:acme/other", "--json").stdout)
    assert json_line["name"] == "vae.other"
    listed = json.loads(zoo_call("cache", "list", "--json").stdout)
    assert {one["name"]: one["sources"] for one in listed} == {
        "vae.digits": [f"{SOURCE}@{commit}"],
        "vae.other": [f"hub:acme/other@{other}"],
    }
    assert {one["bytes"] for one in listed} > {sum(path.stat().st_size for path in folder.iterdir())}
    assert "vae.digits" in zoo_call("cache", "list").stdout
    refused("cache", "prune", "vae.gone", says=("The cache has no release 'vae.gone'", "zoo cache list"))
    assert "1 release would be removed" in zoo_call("cache", "prune", "vae.other", "--dry-run").stdout
    assert "0 releases removed" in zoo_call("cache", "prune", "--unused-for", "1").stdout
    (reference,) = cache.folder().glob(f"references/*/acme--digits/{commit}")
    os.utime(reference, (0, 0))
    os.utime(folder, (0, 0))
    assert "vae.digits" in zoo_call("cache", "prune", "--unused-for", "1").stdout
    assert [one.name for one in cache.contents()] == ["vae.other"]
    half = cache.place("f" * 64)
    half.mkdir()
    (half / "x").write_bytes(b"1")
    (cache.folder() / "releases" / ".left.999999999.partial").mkdir()
    assert "a folder that is not whole" in zoo_call("cache", "prune").stdout
    assert [one.name for one in cache.contents()] == ["vae.other"]
    assert "1 release removed" in zoo_call("cache", "prune", "--all").stdout
    assert not any((cache.folder() / "releases").iterdir())
    with raises(HubError, "is not in the cache"):
        hub.close()
        resolve.find(f"{SOURCE}@{commit}")


def test_a_cache_that_cannot_be_written(
    hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "file"))
    with raises(HubError, f"The cache {tmp_path / 'file'} cannot be written", "ZOO_CACHE_DIR"):
        resolve.find(SOURCE)


# Looking at a release without its weights.


def test_zoo_info_looks_at_a_release_without_its_weights(hub: Double, zoo_call: Command) -> None:
    content = released()
    content["README.md"] = b"---\nlicense: cc-by-sa-4.0\n---\n"
    content["model.sig"] = b"{}"
    commit = hub.put(REPO, content)
    text = zoo_call("info", SOURCE).stdout
    about = json.loads(zoo_call("info", SOURCE, "--json").stdout)
    assert set(hub.fetched) == {MANIFEST}
    assert kept() == []
    assert about["source"] == f"{SOURCE}@{commit}"
    assert about["hub"] | {"changed": "", "downloads": 0} == {
        "publisher": "acme",
        "commit": commit,
        "changed": "",
        "visibility": "public",
        "licence": "cc-by-sa-4.0",
        "downloads": 0,
        "bytes": sum(len(content[name]) for name in named(content) if name != MANIFEST),
    }
    assert about["signed"].startswith(f"yes; check it: zoo verify {SOURCE}@{commit} --key")
    assert about["provenance"] == json.loads(content[MANIFEST])["provenance"]
    assert "the release names the package genzoo 0.1.0, which nobody has checked" in text


def test_what_a_stranger_wrote_does_not_draw_on_the_terminal(hub: Double, zoo_call: Command) -> None:
    content = released()
    card = json.loads(content[MANIFEST])["card"] | {"title": "Nice\x1b[2J\x07\u202e model"}
    provenance = json.loads(content[MANIFEST])["provenance"] | {"\x1b]0;x\x07": "\x1b[31m"}
    hub.put(REPO, altered(content, card=card, provenance=provenance))
    text = zoo_call("info", SOURCE).stdout
    assert "Nice [2J  model" in text
    assert not any(mark in text for mark in "\x1b\x07\u202e")


def test_zoo_info_of_what_is_no_release(hub: Double, refused: Refused) -> None:
    hub.put(REPO, {"config.json": b"{}"})
    refused("info", SOURCE, says=(f"{SOURCE} has no {MANIFEST}, so it is no release of zoo",))
    refused("info", "hub:acme/missing", says=("acme/missing does not exist", "or is private"))


@pytest.mark.parametrize(
    ("distribution", "says"),
    [
        ("their-zoo", "By the release, which nobody has checked: pip install their-zoo==1.0."),
        ("x; rm -rf ~", "names the package 'x; rm -rf ~' '1.0', which cannot be right"),
        ("--index-url=http://evil", "names the package '--index-url=http://evil' '1.0', which cannot be right"),
    ],
)
def test_the_torch_side_needs_the_plugin_and_never_fetches_code(distribution: str, says: str, hub: Double) -> None:
    hub.put(REPO, altered(released(), name="their.model", plugin={"distribution": distribution, "version": "1.0"}))
    with raises(NotFoundError, "The plugin of 'their' is not installed", says, "ONNX Runtime runs the release"):
        zoo.load_module(SOURCE)
