"""Checks that a repository at a commit has every file of a release, without a download of its large files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.core import files
from zoo.core.errors import ReleaseError, ZooError
from zoo.hub import client, reasons, repository
from zoo.hub.deadline import TooLate
from zoo.hub.source import HubSource
from zoo.release import Release


def check(source: HubSource, release: Release) -> None:
    """Raise :class:`ReleaseError` unless a full commit has every file that the manifest of a release names, as it says.

    The Hub gives the SHA-256 of a large file; a small one is downloaded for it. Other errors as those of
    :func:`zoo.hub.client.resolve`.
    """
    try:
        blobs = repository.describe(source).blobs
    except ZooError:
        raise
    except (Exception, TooLate) as error:
        raise reasons.explain(error, source) from error
    for name, size in release.sizes.items():
        if name not in blobs:
            raise ReleaseError(f"{source} has no {name}, which its manifest names.")
        if blobs[name].size != size:
            raise ReleaseError(f"{source}: {name} has {blobs[name].size:,} bytes, and {size:,} by its manifest.")
        found = blobs[name].sha256 or _sha256(source, name, size)
        if found != release.files[name]:
            raise ReleaseError(f"{source}: {name} has the SHA-256 {found}, and {release.files[name]} by its manifest.")


def _sha256(source: HubSource, name: str, size: int) -> str:
    with TemporaryDirectory() as folder:
        return files.sha256(client.fetch(source, name, Path(folder), size))
