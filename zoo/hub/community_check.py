"""Checks a reviewed release where it is: the manifest of its commit, and that the files which it names are there."""

from __future__ import annotations

from zoo.core.errors import ZooError
from zoo.core.text import plain
from zoo.hub import cache, client, complete
from zoo.hub.community import Reviewed
from zoo.hub.origins import HubFiles
from zoo.hub.pull import fetch_manifest
from zoo.release import MANIFEST, Release, read


def problem_of(entry: Reviewed) -> str:
    """Return what is wrong with an entry as one line, or ``""``. Its weights are not downloaded."""
    try:
        size = client.resolve(entry.source, MANIFEST).bytes
        with cache.scratch() as folder:
            fetch_manifest(HubFiles(entry.source, size), folder, entry.manifest_sha256)
            release = read(folder)
        if problem := _difference(entry, release):
            return problem
        complete.check(entry.source, release)
    except ZooError as error:
        return plain(error)
    return ""


def _difference(entry: Reviewed, release: Release) -> str:
    """What the entry says otherwise than the manifest."""
    manifest = release.manifest
    pairs = {
        "name": (entry.name, release.name),
        "title": (entry.title, manifest["card"]["title"]),
        "tasks": (sorted(entry.tasks), sorted(release.tasks)),
        "data": (entry.data, release.data.name),
        "distribution": (entry.distribution, manifest["plugin"]["distribution"]),
    }
    if "licence" in manifest:  # older releases do not say it
        pairs["licence"] = (entry.licence, manifest["licence"])
    for key, (listed, found) in pairs.items():
        if listed != found:
            return f"The list has {key} = {listed!r}, and the manifest {plain(found, 80)!r}."
    return ""
