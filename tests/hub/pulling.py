"""What the tests of pulling share: a small release that a repository has, altered ones, and what the cache has."""

from __future__ import annotations

import json
import re
from functools import cache as cache_of

from zoo.hub import cache, resolve
from zoo.release import MANIFEST, seal

REPO = "acme/digits"
SOURCE = f"hub:{REPO}"


@cache_of
def _released() -> dict[str, bytes]:
    folder = resolve.find("vae.digits")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def released() -> dict[str, bytes]:
    """The files of a release as its publisher uploads them."""
    return dict(_released())


def named(content: dict[str, bytes]) -> list[str]:
    """The names of the files that are downloaded: the manifest, and what that names but for the card."""
    return sorted({MANIFEST, *json.loads(content[MANIFEST])["files"]} - {"README.md"})


def altered(content: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    """A release with other values in its manifest, which is sealed again."""
    manifest = {**json.loads(content[MANIFEST]), **changes}
    return {**content, MANIFEST: json.dumps(seal(manifest)).encode()}


def cached_files() -> list[str]:
    """What the cache has, but for its locks; without the folder of references to this Hub."""
    found = [path.relative_to(cache.folder()) for path in cache.folder().rglob("*") if path.is_file()]
    return sorted(re.sub(r"^(references)/\w{12}/", r"\1/", str(path)) for path in found if path.parts[0] != "locks")
