"""Node and Chromium, for the tests that need them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.release import Release
from zoo.runtime import OnnxBackend, derived

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


def in_node(release: Release, given: Mapping[str, NDArray[Any]]) -> None:
    """Both runtimes of Node give what Python's does."""
    spelled = {
        name: [str(array.dtype), array.shape, [str(item) for item in array.reshape(-1)]]
        for name, array in given.items()
    }
    wanted = OnnxBackend(release, "cpu").call(release.generate, given, [derived.SAMPLES])[derived.SAMPLES]
    for made in javascript("node.mjs", release.folder, json.dumps(spelled)).values():
        assert made["dims"] == list(wanted.shape)
        found, exact = np.reshape(made["data"], wanted.shape), wanted.dtype == np.int64
        np.testing.assert_allclose(found, wanted, rtol=0 if exact else derived.RTOL, atol=0 if exact else derived.ATOL)
