"""A registry pins the released weights of its distribution to the Hub, so that they can leave the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from double import Double
from packaged import DISTRIBUTION, NAMES, entry, publish_both
from publishing import Publisher, changed, released, trained_further

import zoo
from conftest import Command, one_error, raises
from zoo import registry
from zoo.core import files
from zoo.core.errors import PluginError
from zoo.hub import signing
from zoo.hub.preflight import PreflightError
from zoo.pipeline import registry_build
from zoo.release import MANIFEST, read

pytest_plugins = ("double_fixture", "package_fixture")

BUILD = ("registry", "build", "--distribution", DISTRIBUTION)


def test_the_registry_pins_what_is_on_the_hub(hub: Double, package: Path, zoo_call: Command) -> None:
    registry_build.write(DISTRIBUTION)
    assert "hub" not in entry(package)
    publish_both(package)
    done = zoo_call("registry", "build", "--distribution", DISTRIBUTION, "--hub", "acme")
    assert done.stdout.strip() == f"{package / 'registry.yaml'} written", done.stderr
    pins = {name: {"repository": f"acme/{name}", "revision": hub.head(f"acme/{name}")} for name in NAMES}
    assert {name: entry(package, name)["hub"] for name in NAMES} == pins
    done = zoo_call("registry", "build", "--distribution", DISTRIBUTION)
    assert done.stdout.strip().endswith("is up to date")
    assert {name: entry(package, name)["hub"] for name in NAMES} == pins


def test_weights_leave_the_package_and_load_from_the_hub(hub: Double, package: Path) -> None:
    publish_both(package)
    registry_build.write(DISTRIBUTION, hub="acme")
    before = entry(package)
    shutil.rmtree(package / "releases" / NAMES[0])
    assert registry_build.write(DISTRIBUTION)[1] is False
    assert entry(package) == before
    hub.put(f"acme/{NAMES[0]}", {"model.safetensors": b"altered"})  # the pin still gives the old bytes
    with zoo.load(NAMES[0]) as model, zoo.load(released()) as original:
        assert np.array_equal(model.generate(2, seed=0), original.generate(2, seed=0))


def test_a_repository_without_the_files_of_its_manifest_is_not_pinned(
    hub: Double, package: Path, zoo_call: Command
) -> None:
    publish_both(package)
    weights = hub.files(f"acme/{NAMES[0]}")["model.safetensors"]
    log = hub.files(f"acme/{NAMES[0]}")["metrics.jsonl"]
    for changes, says in (
        ({"model.safetensors": None}, " has no model.safetensors, which its manifest names."),
        ({"decode.onnx": b"evil"}, ": decode.onnx has 4 bytes, and "),
        ({"model.safetensors": bytes(len(weights))}, ": model.safetensors has the SHA-256 "),
        ({"metrics.jsonl": bytes(len(log))}, ": metrics.jsonl has the SHA-256 "),  # git stores it, not the storage
    ):
        good = {name: content for name, content in hub.files(f"acme/{NAMES[0]}").items() if name in changes}
        commit = hub.put(f"acme/{NAMES[0]}", changes)
        line = one_error(zoo_call(*BUILD, "--hub", "acme"), f"{NAMES[0]}: hub:acme/{NAMES[0]}@{commit}{says}")
        assert line.endswith(f"Publish it: zoo publish {NAMES[0]} --repo acme/{NAMES[0]}")
        hub.put(f"acme/{NAMES[0]}", good)
    assert not (package / "registry.yaml").exists()
    assert zoo_call(*BUILD, "--hub", "acme").returncode == 0


def test_a_pin_goes_with_the_manifest_that_it_is_for(
    hub: Double, package: Path, tmp_path: Path, zoo_call: Command
) -> None:
    publish_both(package)
    registry_build.write(DISTRIBUTION, hub="acme")
    folder = package / "releases" / NAMES[0]
    newer = changed(folder, tmp_path / "newer", trained_further)
    shutil.rmtree(folder)
    shutil.copytree(newer, folder)
    done = zoo_call(*BUILD)
    place = f"hub:acme/{NAMES[0]}@{hub.head(f'acme/{NAMES[0]}')}"
    assert done.stderr.startswith(f"{NAMES[0]} has other weights than {place}, so it is not pinned any more.")
    assert entry(package)["manifest_sha256"] == files.sha256(folder / MANIFEST)
    assert "hub" not in entry(package)
    assert entry(package, NAMES[1])["hub"]["repository"] == f"acme/{NAMES[1]}"


def test_weights_that_are_not_on_the_hub_are_not_pinned(
    hub: Double, package: Path, tmp_path: Path, zoo_call: Command
) -> None:
    registry_build.write(DISTRIBUTION)
    text = (package / "registry.yaml").read_text()
    Publisher()(
        changed(package / "releases" / NAMES[0], tmp_path / "other", trained_further), f"acme/{NAMES[0]}", licence="mit"
    )
    done = zoo_call("registry", "build", "--distribution", DISTRIBUTION, "--hub", "acme")
    one_error(done, "There are 2 problems. Nothing was changed.")
    first, second = done.stderr.splitlines()[:2]
    assert first.startswith(f"- {NAMES[0]}: hub:acme/{NAMES[0]} has another release: its manifest has the SHA-256")
    assert second.startswith(f"- {NAMES[1]}: acme/{NAMES[1]} does not exist")
    assert second.endswith(f"Publish it: zoo publish {NAMES[1]} --repo acme/{NAMES[1]}")
    assert (package / "registry.yaml").read_text() == text
    with raises(PreflightError, "names no repository on the Hub"):
        registry_build.write(DISTRIBUTION, hub="a--b")


def test_a_huge_manifest_is_not_fetched_to_be_pinned(hub: Double, package: Path) -> None:
    for name in NAMES:
        hub.put(f"acme/{name}", {MANIFEST: b" " * (2**24 + 1)})
    registry_build.write(DISTRIBUTION)
    with raises(PreflightError, f"{NAMES[0]}: hub:acme/{NAMES[0]}@", "manifest.json has 16,777,217 bytes, and at most"):
        registry_build.write(DISTRIBUTION, hub="acme")
    assert hub.fetched == []


def test_pins_are_not_lost_with_a_registry_that_cannot_be_read(hub: Double, package: Path) -> None:
    publish_both(package)
    registry_build.write(DISTRIBUTION, hub="acme")
    path = package / "registry.yaml"
    path.write_text(path.read_text().replace("format: 2", "<<<<<<< HEAD\nformat: 2"))
    registry.forget()
    with raises(PluginError, "cannot be read", "the revisions that it pins would be lost. Restore it first."):
        registry_build.write(DISTRIBUTION)


@pytest.fixture
def signed(hub: Double, package: Path, tmp_path: Path) -> Path:
    """The package with both weight sets on the Hub, signed; key.pub and other.pub are in the test's folder."""
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec", reason="needs genzoo[sign]")
    from cryptography.hazmat.primitives import serialization as form

    for name in ("key", "other"):
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(pem)
        public = private.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    for name in NAMES:
        folder = package / "releases" / name
        signature = signing.sign(folder, signing.covered(read(folder)), tmp_path / "key.pem")
        Publisher()(folder, f"acme/{name}", licence="mit", signature=signature)
    return package


def test_the_registry_pins_a_signer(hub: Double, signed: Path, zoo_call: Command, tmp_path: Path) -> None:
    one_error(zoo_call(*BUILD, "--signer", tmp_path / "key.pub"), "Give --hub ORG too")
    done = zoo_call(*BUILD, "--hub", "acme", "--signer", tmp_path / "other.pub")
    one_error(done, "There are 2 problems. Nothing was changed.")
    first = done.stderr.splitlines()[-3]
    place = f"hub:acme/{NAMES[0]}@{hub.head(f'acme/{NAMES[0]}')}"
    assert first.startswith(f"- {NAMES[0]}: model.sig of {place} is not signed with the given key, whose fingerprint")
    assert first.endswith(f"Publish it: zoo publish {NAMES[0]} --repo acme/{NAMES[0]} --sign KEY")
    done = zoo_call(*BUILD, "--hub", "acme", "--signer", tmp_path / "key.pub")
    assert done.returncode == 0, done.stderr
    assert entry(signed)["hub"]["signer"] == (tmp_path / "key.pub").read_text()
    shutil.rmtree(signed / "releases" / NAMES[0])
    done = zoo_call("verify", NAMES[0])
    assert "are signed by the key with the fingerprint" in done.stdout, done.stderr
    repin(hub, signed)
    one_error(zoo_call("verify", NAMES[0]), f"{NAMES[0]} has no signature")


def repin(hub: Double, package: Path) -> None:
    """Let the registry pin the first weight set to a commit without a signature."""
    commit = hub.put(f"acme/{NAMES[0]}", {"model.sig": None})
    text = (package / "registry.yaml").read_text().replace(entry(package)["hub"]["revision"], commit)
    (package / "registry.yaml").write_text(text)
    registry.forget()


def test_a_pinned_signer_stays_and_must_have_signed_a_new_commit(
    hub: Double, signed: Path, zoo_call: Command, tmp_path: Path
) -> None:
    registry_build.write(DISTRIBUTION, hub="acme", signer=tmp_path / "key.pub")
    before = (signed / "registry.yaml").read_text()
    assert zoo_call(*BUILD, "--hub", "acme", "--check").stdout.strip().endswith("is up to date")
    hub.put(f"acme/{NAMES[0]}", {"model.sig": None})
    line = one_error(zoo_call(*BUILD, "--hub", "acme"), f"{NAMES[0]}: hub:acme/{NAMES[0]}@", " has no signature.")
    assert line.endswith("--sign KEY")
    assert (signed / "registry.yaml").read_text() == before
    newer = changed(signed / "releases" / NAMES[0], tmp_path / "newer", trained_further)
    shutil.rmtree(signed / "releases" / NAMES[0])
    shutil.copytree(newer, signed / "releases" / NAMES[0])
    Publisher()(newer, f"acme/{NAMES[0]}", licence="mit")
    one_error(zoo_call(*BUILD, "--hub", "acme"), " has no signature.")  # its signer is held to newer weights too


def test_a_pinned_signer_is_required_of_weights_in_the_package(
    hub: Double, signed: Path, zoo_call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry_build.write(DISTRIBUTION, hub="acme", signer=tmp_path / "key.pub")
    done = zoo_call("verify", NAMES[0])
    assert "ok  signature: " in done.stdout, done.stderr
    zoo_call("cache", "prune", "--all")
    with monkeypatch.context() as offline:
        offline.setenv("HF_HUB_OFFLINE", "1")
        done = zoo_call("verify", NAMES[0])
        assert "note  signature: not checked: the weights are in the package" in done.stdout, done.stderr
        one_error(zoo_call("verify", NAMES[0], "--require-signature"), "HF_HUB_OFFLINE")
    repin(hub, signed)
    place = f"model.sig of hub:acme/{NAMES[0]}@{hub.head(f'acme/{NAMES[0]}')} is missing"
    one_error(zoo_call("verify", NAMES[0]), f"{NAMES[0]} has no signature: {place}")


def test_a_hub_that_is_down_is_one_line(hub: Double, package: Path, zoo_call: Command) -> None:
    hub.close()
    line = one_error(zoo_call(*BUILD, "--hub", "acme"), f"{NAMES[0]}: {hub.endpoint} cannot be reached")
    assert "Publish it" not in line
