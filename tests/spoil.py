"""Changes to a release that is to be refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.core import files
from zoo.release import MANIFEST, seal


def edit(release: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest, and seal it again."""
    manifest = json.loads((release / MANIFEST).read_text("utf-8"))
    change(manifest)
    (release / MANIFEST).write_text(json.dumps(seal(manifest)), "utf-8")


def put(release: Path, name: str, content: bytes) -> None:
    """Replace a file of a release, and its hash in the manifest."""
    (release / name).write_bytes(content)
    edit(release, lambda manifest: manifest["files"][name].update(sha256=files.sha256(release / name)))


def places(value: Any) -> Iterator[tuple[str | int, ...]]:
    """The path of everything inside a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (key,)
        yield from ((key, *rest) for rest in places(value[key]))
