"""Pulling while a Hub, its storage, a manifest or a process misbehaves: nothing wrong is cached, no secret is shown."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from double import Corrupt, Cut, Double, Drip, Huge, Silent, Slow, Status, env
from pulling import REPO, SOURCE, altered, cached_files, named, released

from conftest import Command, Refused, one_error, python, raises
from zoo.core.errors import HubError, ReleaseError, ZooError
from zoo.hub import cache, client, download, pull, reasons, resolve
from zoo.hub.download import CutError
from zoo.release import MANIFEST, WEIGHTS, read, verify

pytest_plugins = ("double_fixture", "pulling_fixture")


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
    assert cached_files() == ["references/acme--digits/named"]


def test_a_download_that_was_cut_goes_on(hub: Double, commit: str) -> None:
    hub.fail(Cut(), method="GET", path=rf"{WEIGHTS}$", times=1)
    assert (resolve.find(SOURCE) / WEIGHTS).read_bytes() == released()[WEIGHTS]


def test_a_download_that_is_always_cut_is_one_line(hub: Double, commit: str) -> None:
    hub.fail(Cut(), method="GET", path=rf"{WEIGHTS}$")
    with raises(CutError, f"the download of {WEIGHTS} broke off", "Try again"):
        resolve.find(SOURCE)
    assert cached_files() == ["references/acme--digits/named"]


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
    assert cached_files() == ["references/acme--digits/named"]


def test_a_manifest_of_a_gigabyte_is_not_fetched(hub: Double) -> None:
    hub.put(REPO, {MANIFEST: Huge(2**30)})
    with raises(ReleaseError, f"{MANIFEST} has 1,073,741,824 bytes, and at most"):
        resolve.find(SOURCE)
    assert hub.fetched == []


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
    with raises(HubError, f"{SOURCE} is not in the cache", "HF_HUB_OFFLINE switches it off"):
        resolve.find(SOURCE)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = resolve.find(SOURCE)
    count = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve.find(SOURCE) == folder
    assert resolve.find(f"{SOURCE}@{commit}") == folder
    assert len(hub.requests) == count


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


@pytest.mark.slow
def test_a_storage_that_does_not_answer(hub: Double, commit: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Within ten seconds, without the address of the storage, which is signed."""
    hub.fail(Silent(), method="GET", path=rf"{WEIGHTS}$")
    began = time.monotonic()
    with raises(HubError, f"{hub.endpoint} does not answer in time") as found:
        resolve.find(SOURCE)
    assert time.monotonic() - began < 10
    assert "localhost" not in str(found.value) + "".join(capfd.readouterr())
    assert cached_files() == ["references/acme--digits/named"]


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
    for source, says in ((SOURCE, "is taken from the cache"), (f"{SOURCE}@{commit}", "")):
        done = zoo_call("pull", source)
        assert (done.returncode, done.stdout) == (0, f"{folder}\n")
        assert says in done.stderr
    (folder / WEIGHTS).write_bytes(bytes((folder / WEIGHTS).stat().st_size))
    one_error(zoo_call("pull", SOURCE), "is not in the cache undamaged", "HF_HUB_OFFLINE")


def test_a_download_that_drips_ends(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, but the file would take for ever."""
    monkeypatch.setattr(download, "STALL", 0.3)
    fault = hub.fail(Slow(200), method="GET", path=rf"{WEIGHTS}$")
    with raises(CutError, f"{SOURCE}@{commit}: the download of {WEIGHTS} broke off", "bytes in 0 s"):
        resolve.find(SOURCE)
    assert fault.happened == 2
    assert cached_files() == ["references/acme--digits/named"]


@pytest.mark.parametrize(
    "command",
    [
        ["bench", "{}"],
        ["compress", "{}", "a.png"],
        ["evaluate", "{}"],
        ["export", "{}", "-o", "x"],
        ["gallery", "{}", "-o", "g.png"],
        ["generate", "{}"],
        ["generate", "--guidance", "3", "{}"],
        ["info", "{}"],
        ["interpolate", "{}", "a.png", "a.png"],
        ["pull", "{}"],
        ["run", "{}", "encode", "a.png"],
        ["verify", "{}"],
    ],
    ids=" ".join,
)
def test_a_command_asks_a_hub_that_is_down_once(
    command: list[str], hub: Double, zoo_call: Command, tmp_path: Path
) -> None:
    hub.fail(Status(503))
    (tmp_path / "a.png").write_bytes(b"")
    one_error(zoo_call(*(word.format(SOURCE) for word in command)), f"{hub.endpoint} answers 503")
    assert len(hub.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", [rf"{MANIFEST}$", rf"{WEIGHTS}$"])
def test_an_answer_whose_head_drips_ends(path: str, hub: Double, commit: str) -> None:
    """Each byte comes in time, and the head never ends."""
    hub.fail(Drip(), method="GET", path=path)
    began = time.monotonic()
    with raises(HubError, "does not answer in time"):
        resolve.find(SOURCE)
    assert time.monotonic() - began < 10


def test_a_hub_that_is_busy_is_asked_again_for_a_file(hub: Double, commit: str, waits: list[float]) -> None:
    fault = hub.fail(Status(503, retry_after=2), method="GET", path=rf"{WEIGHTS}$", times=1)
    resolve.find(SOURCE)
    assert fault.happened == 1
    assert waits == [2.0]
    hub.fail(Status(429, retry_after=600), method="GET", path=r"encode\.onnx$")
    hub.put(REPO, altered(released(), name="vae.other"))
    with raises(HubError, "limits how often it is asked"):
        resolve.find(SOURCE)
    assert waits == [2.0]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_cannot_be_used(
    name: str, hub: Double, commit: str, zoo_command: Command, tmp_path: Path
) -> None:
    """What is cached works all the same, and what is not says which variable is wrong."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    settings = {**env(hub, home=tmp_path), "ZOO_CACHE_DIR": str(cache.folder()), name: str(wrong)}
    if name == "SSL_CERT_FILE":
        one_error(
            zoo_command("pull", SOURCE, env=settings),
            f"The certificates in SSL_CERT_FILE = '{wrong}' cannot be used",
            "unset it",
        )
        del settings[name]
        for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            done = zoo_command("pull", SOURCE, env={**settings, name: "", other: str(wrong)})
            one_error(done, f"The certificates in {other} = '{wrong}' cannot be used")
        settings[name] = str(wrong)
    resolve.find(SOURCE)
    assert zoo_command("generate", SOURCE, "-o", "a.png", env=settings).returncode == 0


@pytest.mark.parametrize("token", ["hf_ana_0123456789abcdef", "api_org_abcdefgh1234", "a-token-of-another-form"])
def test_a_token_that_the_hub_sends_back_is_not_shown(
    token: str, hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.fail(Status(403, message=f"you sent {token}"))
    with raises(HubError, "This token may not do that", "you sent …") as found:
        resolve.find(SOURCE)
    assert token not in str(found.value)


def test_a_cached_commit_needs_no_hub(hub: Double, commit: str, zoo_call: Command) -> None:
    source = f"{SOURCE}@{commit}"
    folder = resolve.find(SOURCE)
    hub.fail(Status(503))
    assert zoo_call("pull", source).stdout == f"{folder}\n"
    for which in (SOURCE, source):
        hub_part = json.loads(zoo_call("info", which, "--json").stdout)["hub"]
        assert hub_part["commit"] == commit, which
        assert hub_part["note"].startswith("as the cache has it.")
        assert "answers 503" in hub_part["note"]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "other.bin"])
def test_a_graph_that_reads_another_file_is_not_pulled(location: str, hub: Double) -> None:
    """Whatever runs it: some versions of ONNX Runtime read files outside the folder."""
    graph = onnx.load_from_string(released()["decode.onnx"])
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.external_data)
    next(entry for entry in tensor.external_data if entry.key == "location").value = location
    content = graph.SerializeToString()
    files = {**json.loads(released()[MANIFEST])["files"]}
    files["decode.onnx"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    hub.put(REPO, altered({**released(), "decode.onnx": content}, files=files))
    with raises(ReleaseError, "decode.onnx has data in", location, "may only read", "Nothing was kept"):
        resolve.find(SOURCE)
    assert cached_files() == ["references/acme--digits/named"]


def test_what_looks_like_a_repository_gets_a_hint(refused: Refused) -> None:
    for source in (REPO, f"https://huggingface.co/{REPO}"):
        refused("verify", source, says=(f"{source!r} does not exist", f"for the Hub, write {SOURCE}"))
