"""Publishing with a signature: one that is made by ``--sign``, and one that the source has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from double import Double
from publishing import REPOSITORY, Publisher, released

from conftest import Command, one_error
from zoo.hub import signing
from zoo.release import SIGNATURE, read

pytest_plugins = ("double_fixture", "publishing_fixture")
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key in a file, and its public one."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    made = ec.generate_private_key(ec.SECP256R1())
    private = made.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"correct horse")
    )
    public = made.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    return tmp_path / "key.pem", tmp_path / "key.pub"


def test_a_signed_release_is_published_with_its_signature(
    hub: Double,
    zoo_call: Command,
    publisher: Publisher,
    keys: tuple[Path, Path],
    newer: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    private, public = keys
    arguments = ("publish", "vae.digits", "--repo", REPOSITORY, "--sign", private)
    one_error(zoo_call(*arguments), "is encrypted")
    monkeypatch.setenv("ZOO_SIGN_PASSWORD", "correct horse")
    assert zoo_call(*arguments).returncode == 0
    signed = hub.head(REPOSITORY)
    assert len(hub.commits(REPOSITORY)) == 2
    assert "no commit was made" in zoo_call(*arguments).stdout
    done = zoo_call("verify", f"hub:{REPOSITORY}", "--key", public, "--require-signature")
    assert done.returncode == 0, done.stderr
    publisher(released())  # unsigned, and still the same manifest, so the signature is right
    assert (hub.head(REPOSITORY), "model.sig" in hub.files(REPOSITORY)) == (signed, True)
    made = publisher(newer)
    assert set(made.changes.deleted) == {"model.sig"}
    assert "model.sig" not in hub.files(REPOSITORY)


@pytest.fixture
def signed(keys: tuple[Path, Path], tmp_path: Path) -> Path:
    """A release folder with its signature."""
    folder = Path(shutil.copytree(released(), tmp_path / "signed"))
    names = signing.covered(read(folder))
    (folder / SIGNATURE).write_bytes(signing.sign(folder, names, keys[0], "correct horse"))
    return folder


def test_a_signature_of_the_source_is_published(
    hub: Double, zoo_call: Command, keys: tuple[Path, Path], signed: Path
) -> None:
    done = zoo_call("publish", signed, "--repo", REPOSITORY, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.files(REPOSITORY)[SIGNATURE] == (signed / SIGNATURE).read_bytes()
    done = zoo_call("publish", f"hub:{REPOSITORY}", "--repo", "acme/again", "--quiet")  # of a pulled release
    assert hub.files("acme/again")[SIGNATURE] == (signed / SIGNATURE).read_bytes(), done.stderr
    assert zoo_call("verify", "hub:acme/again", "--key", keys[1], "--require-signature").returncode == 0


def test_a_signature_that_does_not_fit_is_not_published(
    hub: Double, zoo_call: Command, signed: Path, newer: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[Path, Path]
) -> None:
    shutil.copy(signed / SIGNATURE, newer)
    line = one_error(zoo_call("publish", newer, "--repo", REPOSITORY), "is not as it was signed: expected SHA-256")
    assert line.endswith("To publish without it, delete it, or sign with your own key: --sign KEY")
    (newer / SIGNATURE).write_bytes(b"{}")
    one_error(zoo_call("publish", newer, "--repo", REPOSITORY), "is damaged, or no signature", "--sign KEY")
    assert hub.requests == []
    monkeypatch.setenv("ZOO_SIGN_PASSWORD", "correct horse")
    assert zoo_call("publish", newer, "--repo", REPOSITORY, "--sign", keys[0]).returncode == 0
    assert hub.files(REPOSITORY)[SIGNATURE] != b"{}"


def test_a_signature_that_covers_the_card_too_is_noted(
    hub: Double, zoo_call: Command, signed: Path, keys: tuple[Path, Path]
) -> None:
    names = [*signing.covered(read(signed)), "README.md"]  # as the tool signs
    (signed / SIGNATURE).write_bytes(signing.sign(signed, names, keys[0], "correct horse"))
    done = zoo_call("publish", signed, "--repo", REPOSITORY, "--quiet")
    assert f"{SIGNATURE} covers README.md too, which zoo does not publish as signed." in done.stderr
    assert SIGNATURE in hub.files(REPOSITORY)
