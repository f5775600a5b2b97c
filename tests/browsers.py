"""Node and Chromium, for the tests that need them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "web"
MODULES = HERE / "node_modules"
RUNTIME = MODULES / "onnxruntime-web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

node = pytest.mark.skipif(
    shutil.which("node") is None or not RUNTIME.is_dir(), reason="needs Node and npm packages: run tests/web/setup"
)
browser = pytest.mark.skipif(
    CHROMIUM is None or not RUNTIME.is_dir(), reason="needs Chromium and npm packages: run tests/web/setup"
)


def javascript(script: str, *arguments: object) -> dict[str, Any]:
    """What a script of ``tests/web`` prints."""
    done = subprocess.run(["node", script, *map(str, arguments)], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
