"""Where ``registry.yaml`` says that released weights are on the Hub: repository and full commit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo import registry
from zoo.core import files
from zoo.core.errors import HubError, PluginError, ReleaseError, ZooError
from zoo.core.progress import TransferReport
from zoo.core.text import sentence
from zoo.hub import client, complete, keys, pull, session, signature_files, signing
from zoo.hub.origins import HubFiles
from zoo.hub.preflight import PreflightError
from zoo.hub.source import HubSource, check_repository
from zoo.release import MANIFEST, SIGNATURE, read

Entries = dict[str, dict[str, Any]]

PINS = ("hub", "mirror")
"""The fields of a release in a registry that say where else it is."""


def with_pins(entries: Entries, models: list[str], distribution: str) -> Entries:
    """The releases in the packages of `models`, with the pins of the ``registry.yaml`` that is there.

    A pin stays as long as the SHA-256 of the manifest is the same. A release that is pinned on the Hub and not in the
    package any more stays as it is. Raises :class:`PluginError` for a file that has pins and cannot be read.
    """
    before = registry.read_file(distribution)
    if before.problem and before.path is not None and before.path.is_file():
        if "\n    hub:" in before.path.read_text("utf-8", "replace"):
            raise PluginError(f"{before.problem}, and the revisions that it pins would be lost. Restore it first.")
        return entries
    found = {}
    for name, entry in entries.items():
        old = before.releases.get(name, {})
        same = old.get("manifest_sha256") == entry["manifest_sha256"]
        found[name] = _pinned(entry, {key: old[key] for key in PINS if same and key in old})
    moved = {
        name: dict(entry)
        for name, entry in before.releases.items()
        if name not in found and "hub" in entry and registry.split(name)[0] in models
    }
    return dict(sorted({**found, **moved}.items()))


def pinned(distribution: str) -> dict[str, str]:
    """The SOURCE on the Hub of each release that the ``registry.yaml`` that is there pins, by name."""
    before = registry.read_file(distribution).releases
    hubs = {name: entry["hub"] for name, entry in before.items() if "hub" in entry}
    return {name: str(HubSource(hub["repository"], hub["revision"])) for name, hub in hubs.items()}


def signers(distribution: str) -> dict[str, str]:
    """The public key in PEM of each release that has a pinned signer in the ``registry.yaml`` that is there."""
    before = registry.read_file(distribution).releases
    pinned = {name: (entry.get("hub") or {}).get("signer", "") for name, entry in before.items()}
    return {name: signer for name, signer in pinned.items() if signer}


def looked_up(entries: Entries, org: str, signer: Path | None, before: Mapping[str, str]) -> Entries:
    """The same releases, each pinned to ORG/MODEL.RECIPE as it is on the Hub now, where all of its files must be.

    Each must be signed by `signer`, the file of a public key, or else by that which `before` has for it, if it has one;
    the key is pinned too. Raises :class:`PreflightError` with a line for each that is not there whole with the same
    manifest, or not signed so, and :class:`HubError` where the Hub cannot be reached.
    """
    problems, found = [], {}
    given = "" if signer is None else _public(signer)
    with session.bounded():
        for name, entry in entries.items():
            key = given or before.get(name, "")
            try:
                repository = check_repository(f"{org}/{name}")
                commit = _commit(HubSource(repository), entry["manifest_sha256"])
                if key:
                    _check_signed(HubSource(repository, commit), key)
            except HubError as error:  # the next would meet the same
                raise HubError(f"{name}: {error}") from error
            except ZooError as error:
                again = f"zoo publish {name} --repo {org}/{name}{' --sign KEY' if key else ''}"
                problems.append(f"{name}: {sentence(error)} Publish it: {again}")
            else:
                pin = {"repository": repository, "revision": commit, **({"signer": key} if key else {})}
                found[name] = _pinned(entry, {"hub": pin})
    if problems:
        raise PreflightError(problems)
    return found


def _commit(source: HubSource, sha256: str) -> str:
    """The commit that a repository is at, which has all files of the release whose manifest has this SHA-256.

    Raises :class:`ZooError` otherwise.
    """
    commit, size, _name = client.resolve(source, MANIFEST)
    at = source.at(commit)
    with TemporaryDirectory() as folder:
        pull.fetch_manifest(HubFiles(at, size), Path(folder), None)
        found = files.sha256(Path(folder) / MANIFEST)
        if found != sha256:
            raise PluginError(f"{source} has another release: its manifest has the SHA-256 {found}, not {sha256}.")
        complete.check(at, read(Path(folder)))
    return commit


def _public(key: Path) -> str:
    """The public key of a file in PEM, as it is written anew."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return keys.public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _check_signed(source: HubSource, key: str) -> None:
    """Raise :class:`ReleaseError` unless the release at a commit is signed by a key. It is downloaded for that."""
    content = signature_files.fetch(source)
    if content is None:
        raise ReleaseError(f"{source} has no signature.")
    folder = pull.pull(source, TransferReport.on_stderr()).folder
    signing.verify(folder, content, key.encode(), f"{SIGNATURE} of {source}")


def _pinned(entry: Mapping[str, Any], pins: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with its pins after its folder."""
    where = {key: entry[key] for key in ("package", "folder")}
    return {**where, **pins, **{key: value for key, value in entry.items() if key not in where and key not in pins}}
