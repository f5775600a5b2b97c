"""Publishing that is interrupted or killed at any moment: the repository has the old release or the new one, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from double import Double, Silent, env
from publishing import REPOSITORY, TOKEN, Publisher, changed, names, released, trained_further, without_score

from zoo.release import MANIFEST, read

pytest_plugins = ("double_fixture",)

CODE = "import sys; from pathlib import Path; from publishing import Publisher; Publisher()(Path(sys.argv[1]))"


@pytest.fixture
def publisher(hub: Double, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return Publisher()


@contextmanager
def publishing(hub: Double, folder: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that publishes."""
    environment = {**env(hub, token=TOKEN, home=home), "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", CODE, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[bytes], hub: Double, count: int) -> None:
    """Wait until the process has sent so many requests, or has ended."""
    while len(hub.requests) < count and process.poll() is None:
        time.sleep(0.002)


def has_whole(hub: Double, folder: Path) -> bool:
    """Whether the repository has exactly a release, with its own extras."""
    held = hub.files(REPOSITORY)
    same = all(held.get(name) == (folder / name).read_bytes() for name in (MANIFEST, *read(folder).files))
    return same and set(held) == names(read(folder))


@pytest.mark.slow
def test_a_publish_that_is_killed_at_any_moment_leaves_a_whole_release(
    hub: Double, publisher: Publisher, tmp_path: Path
) -> None:
    """Ten times; each time the next publish completes what was left."""
    fewer = changed(released(), tmp_path / "fewer", without_score)
    newer = changed(fewer, tmp_path / "newer", trained_further)
    publisher(fewer)
    before = len(hub.requests)
    publisher(newer)
    total = len(hub.requests) - before
    chance = random.Random(0)
    old, new, outcomes = newer, released(), []
    for moment in [1, total - 1, *(chance.randint(1, total) for _ in range(8))]:
        start = len(hub.requests)
        with publishing(hub, new, tmp_path) as process:
            until(process, hub, start + moment)
            time.sleep(chance.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        time.sleep(0.1)  # what it had sent before is done
        outcomes.append(has_whole(hub, new))
        assert outcomes[-1] or has_whole(hub, old)
        publisher(new)
        assert has_whole(hub, new)
        old, new = new, newer if new != newer else fewer
    assert False in outcomes


@pytest.mark.slow
def test_a_first_publish_that_is_killed_leaves_nothing_or_a_whole_release(
    hub: Double, publisher: Publisher, tmp_path: Path
) -> None:
    chance = random.Random(1)
    for _ in range(10):
        if hub.exists(REPOSITORY):
            hub.remove(REPOSITORY)
        start = len(hub.requests)
        with publishing(hub, released(), tmp_path) as process:
            until(process, hub, start + chance.randint(1, 45))
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        time.sleep(0.1)
        empty = not hub.exists(REPOSITORY) or set(hub.files(REPOSITORY)) == {".gitattributes"}
        assert empty or has_whole(hub, released())
        publisher(released())
        assert has_whole(hub, released())


def test_ctrl_c_during_an_upload_ends_it_at_once(hub: Double, publisher: Publisher, tmp_path: Path) -> None:
    head = publisher(released()).commit
    newer = changed(released(), tmp_path / "newer", trained_further)
    fault = hub.fail(Silent(), method="PUT")
    with publishing(hub, newer, tmp_path) as process:
        while not fault.happened and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert process.returncode not in (0, None)
    assert hub.head(REPOSITORY) == head
    assert has_whole(hub, released())
