"""Weights that a registry pins and the package does not hold come from the Hub or a mirror, and are what is pinned."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from double import Double, Silent
from pulling import REPO, SOURCE, altered, cached_files, named, released

from conftest import patch_registry, python, raises
from zoo.core.errors import HubError, NotFoundError, ReleaseError, SettingError
from zoo.hub import cache, resolve
from zoo.release import MANIFEST, WEIGHTS

pytest_plugins = ("double_fixture", "pulling_fixture")


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
    assert cached_files() == []


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
    with raises(ReleaseError, f"The mirror {mirror.address}/{sha256}/: {WEIGHTS} is damaged or altered"):
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
    assert cached_files() == []


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


def test_a_mirror_alone_in_a_process_of_its_own(mirror: Serving, tmp_path: Path) -> None:
    """Nothing else has imported the Hub's client before."""
    code = """
import sys
from zoo.hub import resolve
from zoo.hub.pull import pull_pinned
from zoo.hub.source import Pin
from zoo.core.progress import TransferReport
print(pull_pinned(Pin("vae.digits", sys.argv[1]), TransferReport.on_stderr(True)).name)
"""
    environment = {**os.environ, "ZOO_CACHE_DIR": str(tmp_path / "cache")}
    sha256 = hashlib.sha256(released()[MANIFEST]).hexdigest()
    assert python(code, sha256, block=["torch"], env=environment) == "vae.digits\n"


@pytest.mark.slow
def test_where_neither_the_hub_nor_the_mirror_answers(
    hub: Double, commit: str, moved_out: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved_out(revision=commit)
    hub.fail(Silent())
    monkeypatch.setenv("ZOO_MIRROR", hub.endpoint)
    began = time.monotonic()
    with raises(HubError, "The weights of vae.digits could not be fetched", "does not answer in time"):
        resolve.find("vae.digits")
    assert time.monotonic() - began < 10
