"""Downloads, against a server on this machine: resumed, checked, and there whole or not at all."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import raises
from data_files import NOISE, closed_port, known, names, put
from zoo.cli import main
from zoo.contract.data import KnownFile, Split
from zoo.core.errors import DataError
from zoo.data import load, named
from zoo.data.download import fetch, obtain


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of whoever runs the tests has no part in them."""
    monkeypatch.setenv("no_proxy", "*")


class Handler(BaseHTTPRequestHandler):
    """Answers a path by the next step of its plan; without a plan, well."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = self.headers.get("Range")
        self.server.log.append((path, asked))
        plan = self.server.plans.get(path, [])
        step = plan.pop(0) if plan else "well"
        content = self.server.files.get(path)
        if content is None or step.isdecimal():
            return self.send_error(int(step) if step.isdecimal() else 404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if step == "ignore range":
            start = 0
        if step == "corrupt":
            content = bytes(len(content))
        if start and start >= len(content):
            return self.send_error(416)
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            at = 0 if step == "other range" else start
            self.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        if step == "no length":
            self.close_connection = True
        else:
            self.send_header(
                "Content-Length", {"odd length": "soon", "endless length": "9" * 5000}.get(step, str(len(body)))
            )
        self.end_headers()
        if step == "wait":
            self.wfile.write(body[:1000])
            assert self.server.gate.wait(20)
            body = body[1000:]
        if step in ("cut", "reset", "odd length", "endless length"):
            self.close_connection = True
        if step in ("cut", "reset"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if step == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"noise.bin": NOISE}
        self.plans: dict[str, list[str]] = {}
        self.log: list[tuple[str, str | None]] = []
        self.gate = threading.Event()

    def address(self, path: str = "noise.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client went away, as some tests want


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


def test_download(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None, str]] = []
    file = known(server.address())
    assert obtain(file, tmp_path, lambda *args: told.append(args)) == NOISE
    assert (tmp_path / "set" / "noise.bin").read_bytes() == NOISE
    assert names(tmp_path / "set") == ["noise.bin"]
    assert told[-1] == (len(NOISE), len(NOISE), "noise.bin")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert obtain(file, tmp_path) == NOISE
    assert len(server.log) == 1  # the second time it was there


def test_a_set_is_downloaded_and_kept_packed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """zoo data get, from the second of two addresses; the second time it is there; nothing is left lying."""
    files: dict[Split, tuple[KnownFile, ...]] = {}
    for split, entries in named("mnist").files.items():
        shapes = ((2, 28, 28), (2,))
        contents = [struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) for shape in shapes]
        contents = [
            head + bytes(784 * 2 if len(shape) > 1 else 2) for head, shape in zip(contents, shapes, strict=True)
        ]
        server.files |= {entry.name: gzip.compress(content) for entry, content in zip(entries, contents, strict=True)}
        files[split] = tuple(
            dataclasses.replace(
                known(closed_port(), content, entry.name, server.address(entry.name)), folders=("mnist", "")
            )
            for entry, content in zip(entries, contents, strict=True)
        )
    put(monkeypatch, "mnist", files=files)
    for told in ("downloaded", "was there"):
        monkeypatch.setattr(sys, "argv", ["zoo", "data", "get", "mnist", "--data-dir", str(tmp_path)])
        main()
        assert capsys.readouterr().out == f"mnist: {tmp_path / 'mnist'} ({told}, 4 files checked)\n"
    assert len(server.log) == 4
    packed = {file.name: server.files[file.name] for file in (*files["train"], *files["test"])}
    assert {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()} == packed
    assert load("mnist", "train", data_dir=tmp_path).x.shape == (2, 1, 28, 28)
    (tmp_path / "mnist" / files["train"][0].name).write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        main()
    assert re.match("Error: .*train-images.* is not the right file: .*found [0-9a-f]{64}", capsys.readouterr().err)


@pytest.mark.parametrize("step", ["cut", "reset"])
def test_a_connection_that_is_cut_is_resumed(step: str, server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = [step, step]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    assert server.log[0] == ("noise.bin", None)
    if step == "cut":
        assert server.log[1:] == [("noise.bin", "bytes=150000-"), ("noise.bin", "bytes=225000-")]
    assert len(server.log) == 3
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.parametrize("step", ["ignore range", "other range", "416"])
def test_a_part_that_cannot_be_resumed_is_started_over(step: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.part").write_bytes(NOISE[:1000])
    server.plans["noise.bin"] = [step]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    assert server.log[0] == ("noise.bin", "bytes=1000-")
    assert names(tmp_path) == ["noise.bin"]


def test_a_part_of_another_file_is_started_over_at_the_same_address(server: Server, tmp_path: Path) -> None:
    for left in (b"x" * 1000, b"x" * 400_000):  # the second is longer than the file: 416
        (tmp_path / "noise.bin.part").write_bytes(left)
        assert fetch(known(server.address()), tmp_path, tries=1, pause=0) == NOISE
    assert [asked for _, asked in server.log] == ["bytes=1000-", None, "bytes=400000-", None]


def test_a_part_that_is_complete_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.part").write_bytes(NOISE)
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log == [("noise.bin", "bytes=300000-")]
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.parametrize("step", ["no length", "odd length", "endless length"])
def test_without_a_length(step: str, server: Server, tmp_path: Path) -> None:
    told: list[int | None] = []
    server.plans["noise.bin"] = [step]
    assert fetch(known(server.address()), tmp_path, lambda done, total, name: told.append(total)) == NOISE
    assert set(told) == {None}


def test_a_corrupt_mirror_is_passed_over(server: Server, tmp_path: Path) -> None:
    server.files["mirror"] = NOISE
    server.plans["noise.bin"] = ["corrupt"]
    file = known(server.address(), NOISE, "noise.bin", server.address("mirror"))
    assert fetch(file, tmp_path) == NOISE
    assert server.log == [("noise.bin", None), ("mirror", None)]  # from the start, not onto the corrupt bytes


def test_corrupt_everywhere(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["corrupt"]
    file = known(closed_port(), NOISE, "noise.bin", server.address(), server.address("none"))
    found = hashlib.sha256(bytes(len(NOISE))).hexdigest()
    with raises(
        DataError,
        f"SHA-256 {file.sha256}",
        f"found {found}",
        server.address(),
        "2 more",
        f"Put noise.bin into {tmp_path}",
    ):
        fetch(file, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["well", "no length"])
def test_no_more_is_read_than_the_known_size(step: str, server: Server, tmp_path: Path) -> None:
    told: list[int] = []
    server.plans["noise.bin"] = [step]
    with raises(DataError, "more than 1,000 bytes", "noise.bin"):
        fetch(known(server.address(), NOISE[:1000]), tmp_path, lambda done, *rest: told.append(done))
    assert told == []
    assert names(tmp_path) == []


def test_a_bomb_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    server.files["noise.bin"] = gzip.compress(bytes(20_000_000))[:-9]  # its damaged end is not reached
    with raises(DataError, "more than 300,000 bytes", "noise.gz"):
        fetch(known(server.address(), NOISE, "noise.gz"), tmp_path)
    assert names(tmp_path) == []


def test_a_page_instead_of_a_file(server: Server, tmp_path: Path) -> None:
    server.files["noise.bin"] = b"<html>Please log in</html>"
    with raises(DataError, "damaged gzip data", "noise.gz", hashlib.sha256(NOISE).hexdigest()):
        fetch(known(server.address(), NOISE, "noise.gz"), tmp_path)
    assert names(tmp_path) == []


def test_not_found_is_asked_once_and_a_busy_server_again(server: Server, tmp_path: Path) -> None:
    with raises(DataError, "HTTP 404", server.address("none"), f"Put noise.bin into {tmp_path}", "ZOO_DATA_DIR"):
        fetch(known(server.address("none")), tmp_path, pause=0)
    assert len(server.log) == 1
    server.plans["noise.bin"] = ["503", "429"]
    assert fetch(known(server.address()), tmp_path, pause=0) == NOISE
    server.plans["noise.bin"] = ["503"] * 5
    with raises(DataError, "HTTP 503"):
        fetch(known(server.address()), tmp_path / "again", pause=0)
    assert server.plans["noise.bin"] == ["503"] * 2  # three tries


def test_a_server_that_falls_silent(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["wait"]
    assert fetch(known(server.address()), tmp_path, timeout=0.2, pause=0) == NOISE
    assert server.log == [("noise.bin", None), ("noise.bin", "bytes=1000-")]


def test_cut_too_often_keeps_the_part(server: Server, tmp_path: Path) -> None:
    server.plans["noise.bin"] = ["cut"] * 3
    with raises(DataError, "cut after 262,500 of 300,000 bytes", server.address()):
        fetch(known(server.address()), tmp_path, pause=0)
    assert names(tmp_path) == ["noise.bin.part"]
    assert (tmp_path / "noise.bin.part").read_bytes() == NOISE[:262_500]


def test_nobody_answers(tmp_path: Path) -> None:
    address = closed_port()
    with raises(DataError, f"from {address} (", "refused", f"Put noise.bin into {tmp_path}", "ZOO_DATA_DIR"):
        fetch(known(address), tmp_path)
    assert names(tmp_path) == []


def test_interrupted_by_the_keyboard(server: Server, tmp_path: Path) -> None:
    def press(done: int, total: int | None, name: str) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(known(server.address()), tmp_path, press)
    assert names(tmp_path) == ["noise.bin.part"]
    kept = (tmp_path / "noise.bin.part").stat().st_size
    assert kept > 100_000
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log[-1] == ("noise.bin", f"bytes={kept}-")
    assert names(tmp_path) == ["noise.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks; parts are not resumed there")
def test_a_killed_process_leaves_a_part_that_is_resumed(server: Server, tmp_path: Path) -> None:
    code = f"""
        import os
        from pathlib import Path
        from zoo.data.download import fetch
        from zoo.contract.data import KnownFile

        file = KnownFile(name="noise.bin", folders=("",), addresses=({server.address()!r},), size=300000, sha256="")
        fetch(file, Path({str(tmp_path)!r}), lambda done, total, name: done > 100_000 and os.kill(os.getpid(), 9))
        """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == -9
    assert names(tmp_path) == ["noise.bin.part"]
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log[-1][1] is not None


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    """The second comes while the first is in the middle, and is done before it."""
    server.plans["noise.bin"] = ["wait"]
    begun = threading.Event()
    results: list[bytes] = []
    file = known(server.address())
    first = threading.Thread(target=lambda: results.append(fetch(file, tmp_path, lambda *args: begun.set())))
    first.start()
    assert begun.wait(20)
    try:
        assert fetch(file, tmp_path) == NOISE
        assert server.log[-1] == ("noise.bin", None)  # not the first one's part
        assert (tmp_path / "noise.bin").read_bytes() == NOISE
        assert "noise.bin" in names(tmp_path)
    finally:
        server.gate.set()
        first.join()
    assert results == [NOISE]
    assert (tmp_path / "noise.bin").read_bytes() == NOISE
    assert names(tmp_path) == ["noise.bin"]


def test_many_at_once(server: Server, tmp_path: Path) -> None:
    """However they fall together, each gets the right bytes, and nothing is left lying."""
    server.plans["noise.bin"] = ["cut", "well", "cut", "ignore range", "reset", "503"]
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(known(server.address()), tmp_path, tries=8, pause=0)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {NOISE}
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_part_that_another_one_finishes_before_we_lock_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we have open then is no longer the part but the finished file, and must not be touched."""
    import fcntl

    lock = fcntl.flock

    def late(file: object, how: int) -> None:
        (tmp_path / "noise.bin.part").replace(tmp_path / "noise.bin")
        lock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    (tmp_path / "noise.bin.part").write_bytes(NOISE)
    assert fetch(known(server.address()), tmp_path) == NOISE
    assert server.log == [("noise.bin", None)]
    assert names(tmp_path) == ["noise.bin"]


def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with raises(DataError, tmp_path / "file" / "noise.bin", "could not be written", "ZOO_DATA_DIR"):
        fetch(known(server.address()), tmp_path / "file")
    (tmp_path / "noise.bin").mkdir()
    with raises(DataError, tmp_path / "noise.bin", "could not be written"):
        fetch(known(server.address()), tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_disk_that_is_full(server: Server, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the same call fails."""
    code = f"""
        import resource
        from pathlib import Path
        from zoo.data.download import fetch
        from zoo.contract.data import KnownFile

        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        file = KnownFile(name="noise.bin", folders=("",), addresses=({server.address()!r},), size=300000, sha256="")
        fetch(file, Path({str(tmp_path)!r}))
        """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(
        f"zoo.core.errors.DataError: {str(tmp_path / 'noise.bin.part')!r} could not be written: File too"
    )
    assert len(server.log) == 1  # asking again would not help
