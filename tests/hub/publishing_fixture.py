"""The fixtures of publishing while something goes wrong: Ana may write to acme, and nothing waits for long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from double import Double
from publishing import TOKEN, Publisher, changed, check_token, released, trained_further

from zoo.hub import client, sending, session


@pytest.fixture
def quick(
    hub: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Nothing waits before it tries again; the token is nowhere afterwards."""
    from huggingface_hub.utils import _http

    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(sending, "LOOKS", (0.0, 0.0))
    yield
    check_token(tmp_path, hub, *capsys.readouterr())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs come soon."""
    for name in ("CONNECT", "SMALL", "LARGE"):
        monkeypatch.setattr(session, name, 1.0)
    monkeypatch.setattr(client, "PATIENCE", 1.0)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The release, trained further."""
    return changed(released(), tmp_path / "newer", trained_further)


@pytest.fixture
def head(hub: Double, publisher: Publisher) -> str:
    """The commit of a release that was published before."""
    return publisher(released()).commit
