"""What the tests of publishing share: small releases that differ, a token that must never be seen, and a report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from double import Double, env

from zoo import registry
from zoo.core import files
from zoo.core.progress import TransferReport
from zoo.hub.preflight import Target
from zoo.hub.publish import Published, publish
from zoo.release import CARD, MANIFEST, Release, read, seal

TOKEN = "hf_ana_write_0123456789"
REPOSITORY = "acme/vae.digits"
EXTRAS = (CARD, "config.json", ".gitattributes")


def released() -> Path:
    """The release that is published: small, and real. Read only."""
    folder, _ = registry.released_folder("vae.digits")
    assert folder is not None
    return folder


def changed(source: Path, folder: Path, change: Callable[[dict[str, Any], Path], object]) -> Path:
    """A copy of a release whose manifest and files were changed, and which is whole again."""
    shutil.copytree(source, folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    change(manifest, folder)
    manifest["files"] = {
        name: {"sha256": files.sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in manifest["files"]
        if name != CARD  # an older release lists it
    }
    (folder / MANIFEST).write_text(json.dumps(seal(manifest), indent=2), "utf-8")
    read(folder)
    return folder


def without_score(manifest: dict[str, Any], folder: Path) -> None:
    """One graph fewer."""
    for part in (manifest["tasks"], manifest["parity"]["tasks"]):
        del part["score"]
    del manifest["files"]["score.onnx"]
    (folder / "score.onnx").unlink()


def trained_further(manifest: dict[str, Any], folder: Path) -> None:
    """Other weights, and another account of how they were trained."""
    with open(folder / CARD, "a") as file:
        file.write("\nTrained further.\n")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 1501}\n')
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


class Publisher:
    """Publishes, and keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.progress: list[tuple[int, int | None, str]] = []

    def __call__(self, folder: Path, repository: str = REPOSITORY, **options: Any) -> Published:
        given = {key: options.pop(key) for key in ("signature", "who", "dry_run") if key in options}
        report = TransferReport(self.lines.append, lambda *moved: self.progress.append(moved))
        return publish(read(folder), Target(repository, **options), readme(folder), report, **given)


def publish_elsewhere(hub: Double, folder: Path, home: Path, **options: str) -> subprocess.CompletedProcess[str]:
    """Publish in a process of its own, whose client reads its settings when it is imported; prints the commit."""
    code = (
        "import sys; from pathlib import Path; from publishing import Publisher\n"
        "print(Publisher()(Path(sys.argv[1])).commit)"
    )
    environment = {**env(hub, home=home, **options), "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def readme(folder: Path) -> str:
    return (folder / CARD).read_text("utf-8")


def names(release: Release) -> set[str]:
    """The names of all that a release is in a repository."""
    return {MANIFEST, *release.files, *EXTRAS}


def check_token(folder: Path, hub: Double, *printed: str) -> None:
    """Assert that the token is in no output and in no file, and that the storage never got one."""
    assert TOKEN not in "".join(printed)
    assert not [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert [request for request in hub.storage_requests if request.token is not None] == []


def unchanged(hub: Double, head: str) -> bool:
    """Whether a repository still has the release at a head."""
    return hub.head(REPOSITORY) == head and hub.files(REPOSITORY)[MANIFEST] == (released() / MANIFEST).read_bytes()
