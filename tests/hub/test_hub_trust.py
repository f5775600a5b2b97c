"""Signatures of releases on the Hub: who published it, whatever the manifest and its seal say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from double import Double

from conftest import Command, Refused
from zoo.hub import cache, keys, resolve, signing
from zoo.release import MANIFEST, SIGNATURE, read, seal

pytest_plugins = ("double_fixture",)
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec", reason="needs cryptography: genzoo[sign]")

SOURCE = "hub:acme/digits"


@pytest.fixture
def signed(tmp_path: Path) -> dict[str, bytes]:
    """A release and its signature; key.pem and key.pub, other.pem and other.pub are in the test's folder."""
    from cryptography.hazmat.primitives import serialization

    for name in ("key", "other"):
        private = ec.generate_private_key(ec.SECP256R1())
        (tmp_path / f"{name}.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (tmp_path / f"{name}.pub").write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    folder = resolve.find("vae.digits")
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    return content | {SIGNATURE: signing.sign(folder, signing.covered(read(folder)), tmp_path / "key.pem")}


def test_a_signed_release_on_the_hub(hub: Double, signed: dict[str, bytes], zoo_call: Command, tmp_path: Path) -> None:
    commit = hub.put("acme/digits", signed)
    for source in (SOURCE, f"{SOURCE}@{commit}"):
        done = zoo_call("verify", source, "--key", tmp_path / "key.pub", "--require-signature")
        assert keys.fingerprint(tmp_path / "key.pub") in done.stdout
    assert SIGNATURE not in {path.name for path in resolve.find(SOURCE).iterdir()}


def test_another_key(hub: Double, signed: dict[str, bytes], refused: Refused, tmp_path: Path) -> None:
    source = f"{SOURCE}@{hub.put('acme/digits', signed)}"
    resolve.find(source)
    refused("verify", source, "--key", tmp_path / "other.pub", says=(SIGNATURE, "key"))


def test_a_graph_that_was_changed_with_the_manifest_and_its_seal(
    hub: Double, signed: dict[str, bytes], refused: Refused, tmp_path: Path
) -> None:
    """The release is whole and its hashes are right; only the signature knows better."""
    graph = signed["encode.onnx"]
    manifest = json.loads(signed[MANIFEST])
    manifest["files"]["decode.onnx"] = {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph)}
    content = signed | {"decode.onnx": graph, MANIFEST: json.dumps(seal(manifest)).encode()}
    source = f"{SOURCE}@{hub.put('acme/digits', content)}"
    resolve.find(source)
    refused("verify", source, "--key", tmp_path / "key.pub", says=("signed",))


def test_a_signature_that_is_missing(
    hub: Double, signed: dict[str, bytes], zoo_call: Command, refused: Refused, tmp_path: Path
) -> None:
    commit = hub.put("acme/digits", {name: held for name, held in signed.items() if name != SIGNATURE})
    source, key = f"{SOURCE}@{commit}", tmp_path / "key.pub"
    missing = f"{SIGNATURE} of {source} is missing"
    assert f"note  signature: none: {missing}" in zoo_call("verify", source, "--key", key).stdout
    refused("verify", source, "--key", key, "--require-signature", says=("has no signature", missing))
    refused("verify", source, "--require-signature", says=("Give --key PUB",))


def test_a_cached_release_is_verified_without_the_hub(
    hub: Double, signed: dict[str, bytes], zoo_call: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = f"{SOURCE}@{hub.put('acme/digits', signed)}"
    resolve.find(SOURCE)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for which in (source, SOURCE):
        done = zoo_call("verify", which, "--key", tmp_path / "key.pub", "--require-signature")
        assert keys.fingerprint(tmp_path / "key.pub") in done.stdout


def test_a_cached_signature_that_is_damaged_is_repaired_by_zoo_pull(
    hub: Double, signed: dict[str, bytes], zoo_call: Command, refused: Refused, tmp_path: Path
) -> None:
    source = f"{SOURCE}@{hub.put('acme/digits', signed)}"
    resolve.find(source)
    (held,) = (cache.folder() / "references").rglob("*.sig")
    assert held.read_bytes() == signed[SIGNATURE]
    held.write_bytes(b"{}")
    refused(
        "verify",
        source,
        "--key",
        tmp_path / "key.pub",
        says=(f"{SIGNATURE} of {source} is damaged", "Get the release again"),
    )
    zoo_call("pull", source)
    assert held.read_bytes() == signed[SIGNATURE]
    zoo_call("cache", "prune", "--all")
    assert not [path for path in (cache.folder() / "references").rglob("*") if path.is_file() and path.name != "named"]


def test_zoo_info_names_who_signed_as_the_signature_says(
    hub: Double, signed: dict[str, bytes], zoo_call: Command, tmp_path: Path
) -> None:
    source = f"{SOURCE}@{hub.put('acme/digits', signed)}"
    claim = json.loads(zoo_call("info", SOURCE, "--json").stdout)["signature"]
    assert claim == {
        "key": keys.fingerprint(tmp_path / "key.pub"),
        "note": "the fingerprint that the signature names, which is not checked",
        "check": f"zoo verify {source} --key PUBLIC.pem",
    }
    assert set(hub.fetched) == {MANIFEST, SIGNATURE}
    bundle = json.loads(signed[SIGNATURE])
    for material, key, note in (
        ({"publicKey": {"hint": "\x1b[31m"}}, "[31m", "the fingerprint that"),
        ({"certificate": {"rawBytes": ""}}, "", "made with a certificate, which the tool checks"),
        ([], "", "damaged"),
    ):
        other = json.dumps({**bundle, "verificationMaterial": material}).encode()
        hub.put("acme/digits", signed | {SIGNATURE: other})
        claim = json.loads(zoo_call("info", SOURCE, "--json").stdout)["signature"]
        assert claim["key"].strip() == key
        assert claim["note"].startswith(note)
    hub.put("acme/digits", {SIGNATURE: None})
    assert json.loads(zoo_call("info", SOURCE, "--json").stdout)["signature"] == "none"
