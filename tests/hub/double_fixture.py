"""The fixtures that start a local double of the Hub for a test, and let the client in this process use it.

A test file loads them with ``pytest_plugins = ("double_fixture",)``. The client reads most of its settings when it is
imported, so ``hub`` sets both the environment, for what is read later, and the client's constants. That takes
milliseconds; a test that needs a process of its own uses :func:`double.env` instead, which takes a second.
"""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from double import Double, settings, without_settings


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A double that ``huggingface_hub`` of this process uses, with an empty HF_HOME in ``tmp_path`` and no token."""
    from huggingface_hub import close_session, constants, hf_api

    # The client uploads large files in a way that httpx calls deprecated. pytest forgets the filter after the test.
    warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
    for name in set(os.environ) - set(without_settings(os.environ)):
        monkeypatch.delenv(name)
    with Double() as double:
        values = settings(double, tmp_path)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        home = values["HF_HOME"]
        for name, constant in {
            "ENDPOINT": double.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": double.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HOME": home,
            "HF_HUB_CACHE": f"{home}/hub",
            "HUGGINGFACE_HUB_CACHE": f"{home}/hub",
            "HF_ASSETS_CACHE": f"{home}/assets",
            "HF_XET_CACHE": f"{home}/xet",
            "HF_TOKEN_PATH": f"{home}/token",
            "HF_STORED_TOKENS_PATH": f"{home}/stored_tokens",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
        }.items():
            assert hasattr(constants, name), f"huggingface_hub has no {name} now"
            monkeypatch.setattr(constants, name, constant)
        monkeypatch.setattr(hf_api.api, "endpoint", double.endpoint)  # that of huggingface_hub.model_info() and others
        monkeypatch.setattr(hf_api.api, "_whoami_cache", {})
        close_session()  # its connections are to another double
        try:
            yield double
        finally:
            close_session()


@pytest.fixture
def default_client(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HTTP client that ``huggingface_hub`` makes, whichever one this process was given before."""
    http = importlib.import_module("huggingface_hub.utils._http")
    monkeypatch.setattr(http, "_GLOBAL_CLIENT_FACTORY", http.default_client_factory)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that this process would have slept, for instance before another try; it does not sleep."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found
