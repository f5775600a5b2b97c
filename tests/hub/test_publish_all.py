"""A distribution publishes all of its weights, and its registry pins them, so that they can leave its package."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from double import Before, Double, Status
from publishing import TOKEN, Publisher, changed, released, trained_further

import zoo
from conftest import Command, one_error, plugged, raises
from zoo import registry
from zoo.core import files
from zoo.core.errors import PluginError
from zoo.hub import signing
from zoo.hub.preflight import PreflightError
from zoo.pipeline import publishing, registry_build
from zoo.release import CARD, MANIFEST, read

pytest_plugins = ("double_fixture",)

DISTRIBUTION = "zoo-tests"
NAMES = ("shopvae.digits", "shopvae.tiny")


@pytest.fixture
def package(hub: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of a distribution with two released weight sets, whose owner may write to acme."""
    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folder = tmp_path / "site"
    package = folder / "zoo_shop"
    (package / "releases").mkdir(parents=True)
    (package / "__init__.py").write_text("from zoo_autoencoders.vae import vae as model\n")
    for name in NAMES:
        changed(released(), package / "releases" / name, lambda manifest, _, name=name: renamed(manifest, name))
    importlib.invalidate_caches()
    with plugged(folder, shopvae="zoo_shop:model"):
        yield package
    sys.modules.pop("zoo_shop", None)


def renamed(manifest: dict[str, Any], name: str) -> None:
    manifest.update(name=name, plugin={"distribution": DISTRIBUTION, "version": "1.0"})


def entry(package: Path, name: str = NAMES[0]) -> dict[str, Any]:
    """What the registry of the package says of a weight set, in full and in its index."""
    content = registry.parse((package / "registry.yaml").read_text("utf-8"))
    model, recipe = registry.split(name)
    indexed = content["index"][model]["released"][recipe]
    assert {key: content["releases"][name].get(key) for key in indexed} == indexed
    return dict(content["releases"][name])


def publish_both(package: Path) -> None:
    for name in NAMES:
        Publisher()(package / "releases" / name, f"acme/{name}", licence="mit")


def test_all_weights_of_a_distribution_are_published_into_a_collection(
    hub: Double, package: Path, zoo_call: Command
) -> None:
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org", "acme")
    done = zoo_call(*command)
    one_error(done, "There are 2 problems. Nothing was changed.")
    assert [line for line in done.stderr.splitlines() if line.startswith("- ")] == [
        f"- {name}: The licence of {name} is not known: its manifest names none, and {DISTRIBUTION} is not installed "
        "or declares none. Give it: --licence mit"
        for name in NAMES
    ]
    done = zoo_call(*command, "--licence", "mit", "--dry-run")
    assert done.stdout.count("Nothing was sent.") == 2
    assert hub.writes == []
    done = zoo_call(*command, "--licence", "mit")
    assert done.returncode == 0, done.stderr
    (slug,) = hub.state.collections
    assert [item["id"] for item in hub.state.collections[slug]["items"]] == [f"acme/{name}" for name in NAMES]
    assert done.stdout.splitlines()[-1] == f"Collection: {hub.endpoint}/collections/{slug}"
    heads = [hub.head(f"acme/{name}") for name in NAMES]
    found = json.loads(zoo_call(*command, "--licence", "mit", "--quiet", "--json").stdout)
    assert [one["commit"] for one in found["releases"]] == heads
    assert [item["id"] for item in hub.state.collections[slug]["items"]] == [f"acme/{name}" for name in NAMES]
    assert sum(request.path == "/api/whoami-v2" for request in hub.requests) == 4  # once a command: it is limited


@pytest.mark.slow
def test_a_publish_of_all_that_fails_goes_on_where_it_stopped(
    hub: Double, package: Path, zoo_call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "verify", lambda folder: {})  # it takes seconds
    fault = hub.fail(Status(500), path="/commit/", method="POST")
    hub.put(f"acme/{NAMES[0]}", {})
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org", "acme", "--licence", "mit")
    one_error(zoo_call(*command), f"{NAMES[0]}:", "0 of 2 are published; the same command goes on.")
    fault.times = 0
    assert zoo_call(*command).returncode == 0
    fault = hub.fail(Status(500), path="/api/collections")
    one_error(zoo_call(*command), "are published, and 0 of 2 are in the collection 'zoo-tests' of acme.", "goes on.")
    fault.times = 0
    hub.fail(Status(500), path="/items", method="POST", times=1)  # the collection is made, and has none
    one_error(zoo_call(*command), "are published, and 0 of 2 are in the collection 'zoo-tests' of acme.")
    hub.fail(Before(lambda: hub.fail(Status(500), path="/items", times=1)), path="/items", times=1)
    one_error(zoo_call(*command), "are published, and 1 of 2 are in the collection 'zoo-tests' of acme.")


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
    hub.put(f"acme/{NAMES[0]}", {"model.safetensors": None})
    registry_build.write(DISTRIBUTION, hub="acme")
    assert entry(package)["hub"]["revision"] == hub.head(f"acme/{NAMES[0]}")


def test_a_pin_goes_with_the_manifest_that_it_is_for(hub: Double, package: Path, tmp_path: Path) -> None:
    publish_both(package)
    registry_build.write(DISTRIBUTION, hub="acme")
    folder = package / "releases" / NAMES[0]
    newer = changed(folder, tmp_path / "newer", trained_further)
    shutil.rmtree(folder)
    shutil.copytree(newer, folder)
    registry_build.write(DISTRIBUTION)
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


def test_a_card_that_is_no_text_is_said(hub: Double, package: Path, zoo_call: Command) -> None:
    folder = package / "releases" / NAMES[0]
    (folder / CARD).write_bytes(b"\xff\xfe")
    command = ("publish", folder, "--repo", "acme/x", "--licence", "mit")
    one_error(zoo_call(*command), "is not text in UTF-8")
    (folder / CARD).unlink()
    other = changed(folder, folder.parents[2] / "other", lambda manifest, _: manifest["provenance"].pop("torch"))
    one_error(zoo_call(command[0], other, *command[2:]), "has no README.md", "(KeyError: 'torch'). Write one.")
    assert hub.writes == []


def test_a_card_that_is_a_link_is_not_published(
    hub: Double, package: Path, zoo_call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "verify", lambda folder: {})  # it takes seconds
    (tmp_path / "secret.txt").write_text("A secret.")
    folder = package / "releases" / NAMES[0]
    (folder / CARD).unlink()
    (folder / CARD).symlink_to(tmp_path / "secret.txt")
    done = zoo_call("publish", folder, "--repo", "acme/x", "--licence", "mit")
    one_error(done, "README.md is a link, and would publish another file. Replace it by a copy, or delete it.")
    assert hub.writes == []


def test_the_registry_pins_a_signer(hub: Double, package: Path, zoo_call: Command, tmp_path: Path) -> None:
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
    build = ("registry", "build", "--distribution", DISTRIBUTION)
    one_error(zoo_call(*build, "--signer", tmp_path / "key.pub"), "Give --hub ORG too")
    assert zoo_call(*build, "--hub", "acme", "--signer", tmp_path / "other.pub").returncode == 1
    done = zoo_call(*build, "--hub", "acme", "--signer", tmp_path / "key.pub")
    assert done.returncode == 0, done.stderr
    assert entry(package)["hub"]["signer"] == (tmp_path / "key.pub").read_text()
    shutil.rmtree(package / "releases" / NAMES[0])
    done = zoo_call("verify", NAMES[0])
    assert "are signed by the key with the fingerprint" in done.stdout, done.stderr
    pinned = hub.files(f"acme/{NAMES[0]}")
    commit = hub.put(f"acme/{NAMES[0]}", {**pinned, "model.sig": None})
    text = (package / "registry.yaml").read_text().replace(entry(package)["hub"]["revision"], commit)
    (package / "registry.yaml").write_text(text)
    registry.forget()
    one_error(zoo_call("verify", NAMES[0]), f"{NAMES[0]} has no signature")
