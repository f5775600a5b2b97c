"""The cache: shared by processes, containers and Hubs, only to be read, and listed and pruned with ``zoo cache``."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from double import Before, Double
from pulling import REPO, SOURCE, altered, named, released

from conftest import Command, Refused, raises
from zoo.core import files
from zoo.core.errors import HubError
from zoo.core.progress import TransferReport
from zoo.hub import cache, cache_folder, pull, resolve
from zoo.hub.source import HubSource, parse
from zoo.release import MANIFEST, WEIGHTS, read, verify

pytest_plugins = ("double_fixture", "pulling_fixture")

SHA256 = hashlib.sha256(released()[MANIFEST]).hexdigest()


def left(name: str) -> Path:
    """A folder that is not whole, as a process has it while it downloads."""
    path = cache.folder() / "releases" / name
    path.mkdir(parents=True)
    (path / WEIGHTS).write_bytes(b"half")
    return path


def put(content: dict[str, bytes]) -> str:
    """Put a release into the cache, as another process does; gives its hash."""
    sha256 = hashlib.sha256(content[MANIFEST]).hexdigest()
    for name in named(content):
        files.write(cache.place(sha256) / name, content[name])
    return sha256


# Downloads of other processes


def test_a_download_whose_lock_is_held_is_not_swept(hub: Double) -> None:
    """Its process may be in another container, where no process of this one has its number."""
    half = left(f".{SHA256}.999999999.partial")
    with cache_folder.locked(SHA256):
        cache.sweep()
        assert half.is_dir()
    cache.sweep()
    assert not half.exists()


def test_a_folder_for_a_manifest_is_not_swept_while_it_is_used(hub: Double) -> None:
    with cache.scratch() as folder:
        cache.sweep()
        assert folder.is_dir()
    assert not list(cache.folder().rglob("*/*"))  # nor is its lock left


def test_what_a_killed_process_left_is_swept_though_its_number_is_in_use(hub: Double) -> None:
    """In containers, that is always so: each has a process 1."""
    for name in (f".{SHA256}.1.partial", f".{SHA256}.{os.getpid()}.partial", f".{'0' * 32}.partial"):
        left(name)
    (cache.folder() / "locks").mkdir()
    (cache.folder() / "locks" / ("0" * 32)).touch()
    cache.sweep()
    assert not list((cache.folder() / "releases").iterdir())
    assert [path.name for path in (cache.folder() / "locks").iterdir()] == [SHA256]


def test_a_release_is_removed_though_a_killed_process_of_this_number_left_some(hub: Double, commit: str) -> None:
    resolve.find(SOURCE)
    left(f".{SHA256}.{os.getpid()}.partial")
    (one,) = cache.contents()
    cache.remove(one)
    assert cache.contents() == []


def test_half_a_download_does_not_become_a_release(hub: Double, commit: str) -> None:
    def remove() -> None:
        for path in cache.place(SHA256).parent.glob(f".{SHA256}.*"):
            shutil.rmtree(path)

    hub.fail(Before(remove), method="GET", path=rf"{WEIGHTS}$", times=1)
    with raises(HubError, f"{WEIGHTS} could not be written: No such file or directory"):
        resolve.find(SOURCE)
    assert not list((cache.folder() / "releases").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_a_process_that_waits_says_so(hub: Double, commit: str) -> None:
    lines: list[str] = []
    report = TransferReport(lines.append, lambda *_: None)
    waiting = threading.Thread(target=lambda: pull.pull(parse(SOURCE), report))
    with cache_folder.locked(SHA256):
        waiting.start()
        end = time.monotonic() + 20
        while not any("waiting for it" in line for line in lines) and time.monotonic() < end:
            time.sleep(0.01)
    waiting.join()
    assert lines == [f"{SOURCE} is commit {commit}.", "Another process downloads this release; waiting for it."]
    assert cache.held(SHA256)


def test_without_locks_the_second_of_two_downloads_takes_the_first(
    hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (cache, cache_folder, files):
        monkeypatch.setattr(module, "sys", SimpleNamespace(platform="win32"))
    first = hub.fail(Before(lambda: put(released())), method="GET", path=rf"{WEIGHTS}$", times=1)
    assert resolve.find(SOURCE) == cache.place(SHA256)
    assert first.happened
    assert [path.name for path in cache.place(SHA256).parent.iterdir()] == [SHA256]


def test_without_locks_what_is_left_is_swept_after_a_day(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "sys", SimpleNamespace(platform="win32"))
    new, old = left(f".{SHA256}.1.partial"), left(f".{SHA256}.2.partial")
    os.utime(old, (0, 0))
    cache.sweep()
    assert new.is_dir()
    assert not old.exists()


# Removed by one process while another uses it


def test_a_release_that_vanishes_is_not_listed(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, gone = put(released()), put(altered(released(), name="vae.other"))
    held = cache.held

    def vanish(sha256: str) -> object:
        shutil.rmtree(cache.place(gone), ignore_errors=True)
        return held(sha256)

    monkeypatch.setattr(cache, "held", vanish)
    assert [one.sha256 for one in cache.contents()] == [stays]


def test_two_may_remove_a_release(hub: Double, commit: str) -> None:
    resolve.find(SOURCE)
    (one,) = cache.contents()
    cache.remove(one)
    cache.remove(one)
    assert cache.contents() == []


def test_a_reference_that_vanishes_is_removed_already(
    hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve.find(SOURCE)
    (one,) = cache.contents()
    monkeypatch.setattr(cache, "_reference_files", lambda: [cache.folder() / "references" / "gone"])
    cache.remove(one)
    assert cache.contents() == []


def test_a_download_that_is_removed_at_once_was_read(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def then_removed(*arguments: Any) -> Iterator[None]:
        with cache_folder.locked(*arguments):
            yield
        shutil.rmtree(cache.place(SHA256))

    monkeypatch.setattr(pull, "locked", then_removed)
    assert pull.pull(parse(SOURCE), TransferReport.on_stderr(quiet=True)).name == "vae.digits"


# Other Hubs, and a cache that others own


def test_a_commit_of_another_hub_is_another_release(hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = put(altered(released(), name="vae.other"))
    source = HubSource(REPO, commit)
    for endpoint in ("https://hub.example.org", "https://huggingface.co", ""):
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("HF_ENDPOINT", endpoint)
            cache.remember(source, other)
            cache.remember_name(source.at("main"), commit)
            assert cache.reference(source) == other
            assert [one.sources for one in cache.contents()] == [(str(source),)]
    assert cache.commit_of(source.at("main")) is None
    assert resolve.find(str(source)) == cache.place(SHA256)
    found = {one.sha256: one for one in cache.contents()}
    assert {sha256: one.sources for sha256, one in found.items()} == {SHA256: (str(source),), other: ()}
    assert (cache.folder() / "references" / "acme--digits" / commit).is_file()  # that of the public Hub
    cache.remove(found[other])
    assert len(list(cache.folder().glob(f"references/**/{commit}"))) == 1


def test_a_cache_that_can_only_be_read_loads_what_it_has(
    hub: Double, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def reading(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        if not mode.startswith("r"):
            denied()
        return builtins.open(path, mode, *arguments, **options)

    folder = resolve.find(SOURCE)
    for module in (cache_folder, files):
        monkeypatch.setattr(module, "open", reading, raising=False)
    monkeypatch.setattr(os, "utime", denied)
    assert resolve.find(SOURCE) == folder
    assert resolve.find(f"{SOURCE}@{commit}") == folder
    hub.put("other/copy", released())
    with raises(HubError, "cannot be written: Permission denied", "ZOO_CACHE_DIR"):
        resolve.find("hub:other/copy")  # nothing says yet that it is the same
    (reference,) = cache.folder().glob(f"references/*/acme--digits/{commit}")
    reference.write_text("?")
    cache.remember(HubSource(REPO, commit), SHA256)
    assert reference.read_text() == "?"


# Where it is, and what `zoo cache` does with it


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


def test_zoo_cache(hub: Double, commit: str, zoo_call: Command, refused: Refused) -> None:
    assert zoo_call("cache", "list").stdout == f"0 releases, 0 bytes, in {cache.folder()}\n"
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


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_what_is_in_the_place_of_a_release_is_replaced(kind: str, hub: Double, commit: str, tmp_path: Path) -> None:
    folder = resolve.find(SOURCE)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    if kind == "file":
        folder.write_bytes(b"")
    else:
        folder.symlink_to(elsewhere)
        weights = elsewhere / WEIGHTS
        shutil.rmtree(elsewhere) if kind == "dangling" else weights.write_bytes(b"cut")
    assert resolve.find(SOURCE) == folder
    assert not folder.is_symlink()
    assert verify(read(folder)) == len(named(released())) - 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert kind != "link" or (elsewhere / WEIGHTS).read_bytes() == b"cut"
