"""The documentation site, which several tests read."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built once by one of the processes that run tests. Building it changes nothing elsewhere."""
    for package in ("zensical", "jupytext", "nbclient"):
        pytest.importorskip(package, reason="needs the extra docs")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "site"
    with open(base / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            places = {"HOME": base / "site-home", "TMPDIR": base / "site-tmp"}
            for place in places.values():
                place.mkdir()
            command = [sys.executable, "docs/_site/build.py", "--output", str(base / "site.partial")]
            env = {**os.environ, **{name: str(place) for name, place in places.items()}}
            before = seen()
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            assert "No issues found" in done.stdout
            assert seen() == before
            assert not list(places["TMPDIR"].glob("zoo-*"))
            (base / "site.partial").rename(folder)
    return folder


def seen() -> dict[str, int]:
    """When each file of this checkout, and of the environment, was written last."""
    folders = [ROOT / name for name in ("zoo", "export", "plugins", "docs")]
    files = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    files += [path for key in ("purelib", "scripts") for path in Path(sysconfig.get_paths()[key]).iterdir()]
    return {str(path): path.lstat().st_mtime_ns for path in files if path.is_file() and "__pycache__" not in path.parts}
