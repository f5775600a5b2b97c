"""Signatures of releases: the tool of the OpenSSF verifies ours, zoo verifies its, and everything else is refused."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from conftest import Command, Refused, few, flip, one_error, python, raises
from spoil import edit
from zoo.core.errors import DataError, NotFoundError, ReleaseError, SettingError, installed
from zoo.hub import keys, signing
from zoo.pipeline.verify import verify
from zoo.release import MANIFEST, SIGNATURE, WEIGHTS, read, seal

HERE = Path(__file__).parent
RELEASE = HERE.parent / "golden" / "vae.3" / "release"
NAMES = sorted(path.name for path in RELEASE.iterdir() if path.name != "README.md")
PAGE = (
    (HERE.parents[1] / "docs" / "how-to" / "hub.md")
    .read_text("utf-8")
    .partition("## Signatures")[2]
    .partition("\n## ")[0]
)

BY_TOOL = HERE / "signed_by_tool.sig"
"""What model-signing 1.1.1 wrote for that release: ``model_signing sign key … --signature … --private_key …``."""
BY_TOOL_KEY = HERE / "signed_by_tool.pub"

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def write_keys(folder: Path, private: Private, password: str = "", name: str = "key") -> tuple[Path, Path]:
    """Write a key pair in PEM and return the paths of the private and the public key."""
    locked = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    own, public = folder / f"{name}.pem", folder / f"{name}.pub"
    pem = serialization.Encoding.PEM
    own.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    public.write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return own, public


@pytest.fixture(scope="module")
def private() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def pair(private: ec.EllipticCurvePrivateKey, tmp_path: Path) -> tuple[Path, Path]:
    """The paths of a private and a public key."""
    return write_keys(tmp_path, private)


@pytest.fixture
def release(pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """A signed release to spoil."""
    folder = Path(shutil.copytree(RELEASE, tmp_path / "release"))
    (folder / SIGNATURE).write_bytes(signing.sign(folder, NAMES, pair[0]))
    return folder


def tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tool of the OpenSSF."""
    found = sys.executable if installed("model_signing") else os.environ.get("ZOO_MODEL_SIGNING_PYTHON")
    if not found:
        pytest.skip("model-signing is not installed; ZOO_MODEL_SIGNING_PYTHON may name a Python that has it")
    command = [found, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def tool_verifies(release: Path, key: Path, *options: str) -> bool:
    done = tool("verify", "key", release, "--signature", release / SIGNATURE, "--public_key", key, *options)
    assert done.returncode == 0 or "Verification failed" in done.stdout + done.stderr, done.stderr
    return done.returncode == 0


def listed(*names: str) -> list[tuple[Any, str]]:
    """Files of the release with their SHA-256."""
    return [(name, hashlib.sha256((RELEASE / name).read_bytes()).hexdigest()) for name in names]


def statement(digests: Sequence[tuple[Any, str]] = listed(*NAMES)) -> dict[str, Any]:
    """A statement as the tool writes it, that files by name have these SHA-256."""
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in digests)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "vae", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": n, "algorithm": "sha256", "digest": d} for n, d in digests],
        },
    }


def bundle(private: ec.EllipticCurvePrivateKey, payload: bytes) -> dict[str, Any]:
    """A Sigstore bundle of any signed payload, written without zoo's own code."""
    kind = b"application/vnd.in-toto+json"
    content = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    sig = private.sign(content, ec.ECDSA(hashes.SHA256()))
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "0" * 64}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind.decode(),
            "signatures": [{"sig": base64.b64encode(sig).decode(), "keyid": ""}],
        },
    }


def put(value: Any, path: str, new: Any) -> None:
    """Set what a path such as ``a.0.b`` leads to; DELETE removes it."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in parents:
        value = value[part]
    if new is DELETE:
        del value[last]
    else:
        value[last] = new


DELETE = object()


# Between zoo and the tool


def downloaded(release: Path) -> None:
    """Add to a release what a repository and its download have beside it, and edit its card."""
    (release / "README.md").write_text("# Edited on the Hub\n")
    (release / "config.json").write_text("{}")
    (release / ".gitattributes").write_text("*.onnx filter=lfs\n")
    (release / ".cache" / "huggingface").mkdir(parents=True)
    (release / ".cache" / "huggingface" / ".gitignore").write_text("*")


@pytest.mark.parametrize("curve", few(CURVES, "P-256"))
def test_the_tool_verifies_what_zoo_signs(curve: str, release: Path, tmp_path: Path) -> None:
    own, public = write_keys(tmp_path, ec.generate_private_key(CURVES[curve]))
    (release / SIGNATURE).write_bytes(signing.sign(release, NAMES, own))
    downloaded(release)
    assert tool_verifies(release, public)
    assert tool_verifies(release, public, "--ignore_unsigned_files")


@pytest.mark.slow
def test_the_tool_allows_files_of_others_only_with_the_documented_option(
    release: Path, pair: tuple[Path, Path]
) -> None:
    (release / "notes.txt").write_text("by somebody else")
    assert not tool_verifies(release, pair[1])
    assert tool_verifies(release, pair[1], "--ignore_unsigned_files")


@pytest.mark.slow
@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, "decode.onnx", "samples.png"])
def test_the_tool_and_zoo_refuse_an_altered_file(name: str, release: Path, pair: tuple[Path, Path]) -> None:
    expected = hashlib.sha256((release / name).read_bytes()).hexdigest()
    flip(release / name)
    found = hashlib.sha256((release / name).read_bytes()).hexdigest()
    with raises(ReleaseError, release / name, "not as it was signed", expected, found):
        signing.verify(release, (release / SIGNATURE).read_bytes(), pair[1])
    assert not tool_verifies(release, pair[1], "--ignore_unsigned_files")


@pytest.mark.parametrize("curve", CURVES)
def test_zoo_verifies_what_the_tool_signs(curve: str, tmp_path: Path) -> None:
    own, public = write_keys(tmp_path, ec.generate_private_key(CURVES[curve]))
    release = Path(shutil.copytree(RELEASE, tmp_path / "release"))
    done = tool("sign", "key", release, "--signature", release / SIGNATURE, "--private_key", own)
    assert done.returncode == 0, done.stderr
    signed = signing.verify(release, (release / SIGNATURE).read_bytes(), public)
    assert sorted(signed.files) == NAMES
    assert signed.others == ["README.md"]


def test_zoo_verifies_what_the_tool_once_signed() -> None:
    signed = signing.verify(RELEASE, BY_TOOL.read_bytes(), BY_TOOL_KEY)
    assert signed.files == {name: hashlib.sha256((RELEASE / name).read_bytes()).hexdigest() for name in NAMES}
    assert signed.others == ["README.md"]
    assert signed.fingerprint == hashlib.sha256(BY_TOOL_KEY.read_bytes()).hexdigest()


def test_zoo_refuses_hashes_that_it_does_not_compute(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    for options in ({"method": "shards"}, {"hash_type": "blake2b"}):
        signed = statement()
        signed["predicate"]["serialization"] |= options
        content = json.dumps(bundle(_load(pair[0]), json.dumps(signed).encode())).encode()
        with raises(ReleaseError, SIGNATURE, *options.values(), "zoo publish --sign KEY"):
            signing.verify(RELEASE, content, pair[1])


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


# Signing


def test_the_same_release_and_key_give_the_same_signature(release: Path, pair: tuple[Path, Path]) -> None:
    other = release.rename(release.with_name("downloaded"))
    assert signing.sign(RELEASE, NAMES[::-1], pair[0]) == (other / SIGNATURE).read_bytes()
    assert signing.sign(other, NAMES, pair[0]) == (other / SIGNATURE).read_bytes()


def test_a_key_with_a_password_signs(release: Path, private: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    own, _ = write_keys(tmp_path, private, "open sesame", "locked")
    assert signing.sign(release, NAMES, own, "open sesame") == (release / SIGNATURE).read_bytes()
    for password, says in ((None, "is encrypted"), ("sesame", "has another password")):
        with raises(SettingError, own, says):
            signing.sign(release, NAMES, own, password)


def test_signing_covers_the_manifest_and_all_that_it_names(release: Path, pair: tuple[Path, Path]) -> None:
    assert signing.covered(read(release)) == NAMES
    for name in (MANIFEST, "decode.onnx"):
        with raises(ReleaseError, f"without {name}"):
            signing.sign(release, [other for other in NAMES if other != name], pair[0])
    with raises(ReleaseError, "cannot sign itself"):
        signing.sign(release, [*NAMES, SIGNATURE], pair[0])
    (release / "decode.onnx").unlink()
    with raises(ReleaseError, "decode.onnx is missing"):
        signing.sign(release, NAMES, pair[0])


def test_a_signature_may_cover_the_card(release: Path, pair: tuple[Path, Path]) -> None:
    (release / SIGNATURE).write_bytes(signing.sign(release, [*NAMES, "README.md"], pair[0]))
    assert signing.verify(release, (release / SIGNATURE).read_bytes(), pair[1]).others == ["README.md"]
    assert tool_verifies(release, pair[1])


# Keys


UNUSABLE: dict[str, tuple[Callable[[], Private], str]] = {
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), "RSA"),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_keys_that_the_format_does_not_have(kind: str, tmp_path: Path) -> None:
    make, says = UNUSABLE[kind]
    own, public = write_keys(tmp_path, make())
    with raises(SettingError, own, says, "P-256", "openssl ecparam"):
        signing.sign(RELEASE, NAMES, own)
    with raises(SettingError, public, says, "P-256"):
        signing.verify(RELEASE, BY_TOOL.read_bytes(), public)
    with raises(SettingError, public, says):
        keys.fingerprint(public)


def test_a_private_and_a_public_key_are_not_confused(pair: tuple[Path, Path]) -> None:
    own, public = pair
    secret = "".join(own.read_text().splitlines()[1:-1])
    with raises(SettingError, public, "not a private key", "openssl ecparam"):
        signing.sign(RELEASE, NAMES, public)
    with pytest.raises(SettingError, match=r"is a private key.*openssl ec -in key.pem -pubout") as caught:
        signing.verify(RELEASE, BY_TOOL.read_bytes(), own)
    assert not any(secret[at : at + 12] in str(caught.value) for at in range(0, len(secret) - 12, 12))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 99,
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_file_that_is_no_key(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with raises(SettingError, path, "is not a private key"):
        signing.sign(RELEASE, NAMES, path)
    with raises(SettingError, path):
        signing.verify(RELEASE, BY_TOOL.read_bytes(), path)
    with raises(SettingError, "The key"):
        signing.verify(RELEASE, BY_TOOL.read_bytes(), content)


def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    with raises(NotFoundError, tmp_path / "none", "does not exist"):
        keys.public_key(tmp_path / "none")
    with raises(DataError, tmp_path, "could not be read"):
        keys.public_key(tmp_path)
    with raises(SettingError, "/dev/zero", "more than 65,536 bytes"):
        keys.public_key(Path("/dev/zero"))


def test_a_cut_key_never_gives_a_traceback(pair: tuple[Path, Path]) -> None:
    own, public = (path.read_bytes() for path in pair)
    for size in range(len(own) - 1):
        with pytest.raises(SettingError):
            keys.private_key(own[:size])
    for size in range(len(public) - 1):
        with pytest.raises(SettingError):
            keys.public_key(public[:size])


def test_the_fingerprint_is_that_of_the_public_key(pair: tuple[Path, Path]) -> None:
    expected = hashlib.sha256(pair[1].read_bytes()).hexdigest()
    assert keys.fingerprint(pair[1]) == expected
    assert keys.fingerprint(pair[1].read_bytes()) == expected
    assert keys.fingerprint(keys.private_key(pair[0]).public_key()) == expected


# Signatures that are refused


def test_the_key_of_somebody_else(release: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()), name="other")
    with raises(ReleaseError, SIGNATURE, "not signed with the given key", keys.fingerprint(other)):
        signing.verify(release, (release / SIGNATURE).read_bytes(), other)
    _, larger = write_keys(tmp_path, ec.generate_private_key(ec.SECP384R1()), name="larger")
    with raises(ReleaseError, SIGNATURE, "not signed with the given key", keys.fingerprint(larger)):
        signing.verify(release, (release / SIGNATURE).read_bytes(), larger)


def test_a_changed_graph_whose_manifest_and_seal_were_changed_too(release: Path, pair: tuple[Path, Path]) -> None:
    shutil.copyfile(release / "encode.onnx", release / "decode.onnx")
    manifest = json.loads((release / MANIFEST).read_text())
    manifest["files"]["decode.onnx"] = manifest["files"]["encode.onnx"]
    (release / MANIFEST).write_text(json.dumps(seal(manifest)))
    assert read(release).path("decode.onnx")  # for the manifest alone nothing is wrong
    with raises(ReleaseError, release / MANIFEST, "not as it was signed"):
        signing.verify(release, (release / SIGNATURE).read_bytes(), pair[1])


def test_a_signed_manifest_with_a_file_that_is_not_signed(
    release: Path, pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey
) -> None:
    covered = statement(listed(*NAMES[1:]))
    assert NAMES[0] == "decode.onnx"
    with raises(ReleaseError, SIGNATURE, "does not cover decode.onnx"):
        signing.verify(release, json.dumps(bundle(private, json.dumps(covered).encode())).encode(), pair[1])


def test_a_signature_without_the_manifest(
    release: Path, pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey
) -> None:
    covered = statement(listed(WEIGHTS))
    with raises(ReleaseError, SIGNATURE, f"does not cover {MANIFEST}"):
        signing.verify(release, json.dumps(bundle(private, json.dumps(covered).encode())).encode(), pair[1])


def test_a_missing_file(release: Path, pair: tuple[Path, Path]) -> None:
    for name in ("decode.onnx", MANIFEST):
        (release / name).unlink()
        with raises(ReleaseError, release / name, "is signed, and missing"):
            signing.verify(release, (release / SIGNATURE).read_bytes(), pair[1])


STATEMENTS = {
    "another type": ("_type", "https://in-toto.io/Statement/v0.1"),
    "the predicate of version 0.2": ("predicateType", "https://model_signing/Digests/v0.1"),
    "provenance": ("predicateType", "https://slsa.dev/provenance/v1"),
    "no subject": ("subject", []),
    "two subjects": ("subject", statement()["subject"] * 2),
    "another root": ("subject.0.digest.sha256", "0" * 64),
    "a root that is a number": ("subject.0.digest.sha256", 1),
    "no predicate": ("predicate", DELETE),
    "a predicate that is a list": ("predicate", []),
    "no files": ("predicate.resources", []),
    "files by name": ("predicate.resources", {"manifest.json": "0" * 64}),
    "files that are numbers": ("predicate.resources", [1, 2]),
    "endless files": ("predicate.resources", None),
    "a method that is a list": ("predicate.serialization.method", ["files"]),
    "no method": ("predicate.serialization", {}),
    "the hash of one file by another algorithm": ("predicate.resources.0.algorithm", "blake3"),
    "a digest that is a number": ("predicate.resources.0.digest", 7),
    "a digest that is too short": ("predicate.resources.0.digest", "0" * 62),
    "a digest in capitals": ("predicate.resources.0.digest", "A" * 64),
    "a digest with a line end": ("predicate.resources.0.digest", "a" * 64 + "\n"),
    "another digest": ("predicate.resources.0.digest", "a" * 64),
    "a name that is a number": ("predicate.resources.0.name", 7),
    "half of a surrogate pair": ("predicate.resources.0.name", "\ud800"),
    "a file twice": ("predicate.resources.0.name", NAMES[1]),
    "a path": ("predicate.resources.0.name", "../release/decode.onnx"),
}


def test_the_statement_of_these_tests_is_valid(pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey) -> None:
    content = json.dumps(bundle(private, json.dumps(statement()).encode())).encode()
    assert sorted(signing.verify(RELEASE, content, pair[1]).files) == NAMES


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_signed_statement_that_is_refused(
    case: str, pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey
) -> None:
    signed = statement()
    put(signed, *STATEMENTS[case])
    content = json.dumps(bundle(private, json.dumps(signed).encode())).encode()
    with raises(ReleaseError, SIGNATURE):
        signing.verify(RELEASE, content, pair[1])


def test_a_statement_that_lists_a_file_twice(pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey) -> None:
    twice = statement([*listed(*NAMES), *listed(MANIFEST)])
    once = statement()["subject"]  # as if the last one counted
    for signed in (twice, {**twice, "subject": once}):
        content = json.dumps(bundle(private, json.dumps(signed).encode())).encode()
        with raises(ReleaseError, SIGNATURE, "contradicts itself"):
            signing.verify(RELEASE, content, pair[1])


def test_other_signed_names_may_be_anything(pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey) -> None:
    signed = statement([*listed(*NAMES), ("../x", "0" * 64), (7, "1" * 64)])
    content = json.dumps(bundle(private, json.dumps(signed).encode())).encode()
    assert signing.verify(RELEASE, content, pair[1]).others == ["../x", "7"]


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"text"', b"\xff", b"{", b"[" * 99_999])
def test_a_signed_payload_that_is_no_statement(
    payload: bytes, pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey
) -> None:
    with raises(ReleaseError, SIGNATURE, "signs"):
        signing.verify(RELEASE, json.dumps(bundle(private, payload)).encode(), pair[1])


BUNDLES = {
    "another version": ("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.1", "another kind"),
    "a media type that is a list": ("mediaType", [], "another kind"),
    "another payload": ("dsseEnvelope.payloadType", "text/plain", "another kind"),
    "a blob": ("dsseEnvelope", DELETE, "no signature in the model-signing format"),
    "no signature": ("dsseEnvelope.signatures", [], "no signature in"),
    "a signature too many": ("dsseEnvelope.signatures", [{"sig": ""}, {"sig": ""}], "no signature in"),
    "a signature that is no base64": ("dsseEnvelope.signatures.0.sig", "ä", "no signature in"),
    "a signature that is null": ("dsseEnvelope.signatures.0.sig", None, "no signature in"),
    "an empty signature": ("dsseEnvelope.signatures.0.sig", "", "not signed with the given key"),
    "a payload that is a number": ("dsseEnvelope.payload", 1, "no signature in"),
    "another payload of the same kind": ("dsseEnvelope.payload", "e30=", "not signed with the given key"),
    "a certificate": ("verificationMaterial", {"certificate": {"rawBytes": "AA=="}}, "signed with a certificate"),
    "no material": ("verificationMaterial", None, "no signature in"),
    "a key that is text": ("verificationMaterial", {"publicKey": "key"}, "no signature in"),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_a_bundle_that_is_refused(case: str, pair: tuple[Path, Path], private: ec.EllipticCurvePrivateKey) -> None:
    made = bundle(private, json.dumps(statement()).encode())
    path, new, says = BUNDLES[case]
    put(made, path, new)
    with raises(ReleaseError, SIGNATURE, says):
        signing.verify(RELEASE, json.dumps(made).encode(), pair[1])


def test_a_damaged_signature_of_the_right_key_is_called_damaged(release: Path, pair: tuple[Path, Path]) -> None:
    made = json.loads((release / SIGNATURE).read_text())
    put(made, "dsseEnvelope.payload", "e30=")
    with raises(ReleaseError, SIGNATURE, "damaged or altered: its signature is not valid"):
        signing.verify(release, json.dumps(made).encode(), pair[1])


def test_base64_with_other_characters_is_refused(release: Path, pair: tuple[Path, Path]) -> None:
    made = json.loads((release / SIGNATURE).read_text())
    put(made, "dsseEnvelope.payload", "!" + made["dsseEnvelope"]["payload"])
    with raises(ReleaseError, SIGNATURE, "no signature in"):
        signing.verify(release, json.dumps(made).encode(), pair[1])


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b'"x"', b"\xff\xfe", b"\x00" * 9, b"[" * 999_999, b'{"a":' * 99_999, b"1" * 9_999],
)
def test_a_file_that_is_no_bundle(content: bytes) -> None:
    with raises(ReleaseError, SIGNATURE, "no signature in the model-signing format"):
        signing.verify(RELEASE, content, BY_TOOL_KEY)


def test_a_signature_of_more_than_a_megabyte(release: Path, pair: tuple[Path, Path]) -> None:
    content = (release / SIGNATURE).read_bytes()
    padded = content + b" " * (2**20 - len(content))
    assert signing.verify(release, padded, pair[1])
    with raises(ReleaseError, "1,048,576 bytes"):
        signing.verify(release, padded + b" ", pair[1])
    with open(release / SIGNATURE, "wb") as file:
        file.truncate(2**40)
    assert len(signing.read(release) or b"") == 2**20 + 1


def test_a_signature_cut_at_any_byte_is_refused(release: Path, pair: tuple[Path, Path]) -> None:
    content, public = (release / SIGNATURE).read_bytes(), pair[1].read_bytes()
    for size in range(len(content)):
        with raises(ReleaseError, SIGNATURE):
            signing.verify(release, content[:size], public)


def test_a_signature_with_one_other_bit_is_refused_where_it_is_read(release: Path, pair: tuple[Path, Path]) -> None:
    content, public = (release / SIGNATURE).read_bytes(), pair[1].read_bytes()
    expected = signing.verify(release, content, public)
    unread = {  # what no reader needs, and the bits that base64 has too many
        at for text in (rb'"hint": "\w+"', rb'"tlogEntries"', rb'"keyid"', rb"\w(?==)") for at in _span(text, content)
    }
    assert len(unread) < 110 < len(content)
    for at in range(len(content)):
        altered = bytearray(content)
        altered[at] ^= 1 << at % 8
        if at in unread:
            with contextlib.suppress(ReleaseError):
                assert signing.verify(release, bytes(altered), public) == expected
        else:
            with raises(ReleaseError, SIGNATURE):
                signing.verify(release, bytes(altered), public)


def _span(pattern: bytes, content: bytes) -> list[int]:
    return [at for found in re.finditer(pattern, content) for at in range(*found.span())]


# What is in a folder


def test_the_signature_of_a_folder(release: Path, tmp_path: Path) -> None:
    path = release / SIGNATURE
    assert signing.read(release) == path.read_bytes()
    path.unlink()
    assert signing.read(release) is None
    for target in ("/dev/zero", "nowhere"):
        path.symlink_to(target)
        with raises(ReleaseError, path, "is not a file"):
            signing.read(release)
        path.unlink()
    path.mkdir()
    with raises(ReleaseError, path, "is not a file"):
        signing.read(release)


# zoo verify


def test_zoo_verify_shows_who_signed(release: Path, pair: tuple[Path, Path], zoo_call: Command) -> None:
    done = zoo_call("verify", release, "--key", pair[1], "--require-signature")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["files:", "signature:", "graphs:", "samples:", "parity:"]
    assert lines[1].startswith("ok  signature: 9 files, the manifest among them, are signed by the key")
    assert keys.fingerprint(pair[1]) in lines[1]
    printed = json.loads(zoo_call("verify", release, "--key", pair[1], "--json").stdout)
    assert printed["ok"]
    assert keys.fingerprint(pair[1]) in printed["signature"]


def test_zoo_verify_notes_a_signature_that_it_cannot_check(
    release: Path, pair: tuple[Path, Path], zoo_call: Command
) -> None:
    done = zoo_call("verify", release)
    assert done.returncode == 0, done.stderr
    assert "note  signature: not checked: give the public key of the publisher (--key PUB)" in done.stdout
    (release / SIGNATURE).unlink()
    assert "signature" not in zoo_call("verify", release).stdout
    done = zoo_call("verify", release, "--key", pair[1])
    assert done.returncode == 0, done.stderr
    assert f"note  signature: none: {release / SIGNATURE} is missing" in done.stdout


def test_zoo_verify_requires_a_signature(release: Path, pair: tuple[Path, Path], refused: Refused) -> None:
    refused("verify", release, "--require-signature", says=("--key PUB",))
    (release / SIGNATURE).unlink()
    refused("verify", release, "--key", pair[1], "--require-signature", says=(release, "no signature"))
    refused("verify", release, "--key", release / "none.pub", says=("none.pub", "does not exist"))


def test_zoo_verify_fails_for_another_key_and_for_a_changed_release(
    release: Path, pair: tuple[Path, Path], tmp_path: Path, refused: Refused, zoo_call: Command
) -> None:
    _, other = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()), name="other")
    refused("verify", release, "--key", other, says=("not signed with the given key",))
    failed = zoo_call("verify", release, "--key", other, "--json")
    assert one_error(failed, "not signed with the given key")
    assert json.loads(failed.stdout)["ok"] is False
    edit(release, lambda manifest: manifest["card"].update(title="Another title"))
    assert verify(release)["files"]
    refused("verify", release, "--key", pair[1], says=(MANIFEST, "not as it was signed"))
    flip(release / "decode.onnx")
    refused("verify", release, "--key", pair[1], says=("decode.onnx", "damaged or altered"))


def test_a_key_that_is_required_is_named_to_python_users_too(release: Path) -> None:
    with raises(SettingError, "--key PUB"):
        verify(release, require_signature=True)


# What is installed


def test_checking_needs_only_cryptography(release: Path, pair: tuple[Path, Path]) -> None:
    code = """
import sys
from pathlib import Path
from zoo.hub import signing
release = Path(sys.argv[1])
print(len(signing.verify(release, signing.read(release), Path(sys.argv[2])).files))
print(len(signing.sign(release, sys.argv[4:], Path(sys.argv[3]))))
"""
    block = ["torch", "numpy", "onnxruntime", "huggingface_hub", "model_signing", "sigstore", "OpenSSL", "google"]
    printed = python(code, release, pair[1], pair[0], *NAMES, block=block)
    assert printed.split() == ["9", str((release / SIGNATURE).stat().st_size)]


def test_without_cryptography_the_extra_is_named(release: Path, pair: tuple[Path, Path]) -> None:
    code = """
import sys
from pathlib import Path
from zoo.core.errors import MissingPackageError
from zoo.hub import keys, signing
from zoo.pipeline.verify import verify
release, own, public = map(Path, sys.argv[1:4])
for call in (
    lambda: signing.sign(release, sys.argv[4:], own),
    lambda: signing.verify(release, b"", public),
    lambda: keys.fingerprint(public),
    lambda: verify(release, public),
):
    try: call()
    except MissingPackageError as error: print(error)
print(verify(release)["signature"][:11])
"""
    lines = python(code, release, *pair, *NAMES, block=["cryptography", "torch"]).splitlines()
    missing = "A signature needs cryptography, which is not installed. Run: pip install 'genzoo[sign]'"
    assert lines == [*[missing] * 4, "not checked"]


# docs/how-to/hub.md


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert len(commands) == 6
    release = Path(shutil.copytree(RELEASE, tmp_path / "release"))
    printed = ""
    for command in commands:
        if command.startswith("zoo ") and not (release / SIGNATURE).exists():  # zoo publish --sign KEY, of test_publish
            (release / SIGNATURE).write_bytes(signing.sign(release, NAMES, tmp_path / "key.pem"))
        if command.startswith("python -m model_signing "):
            done = tool(*(str(tmp_path / word) if (tmp_path / word).exists() else word for word in command.split()[3:]))
        else:
            words = re.sub("^zoo ", f"{sys.executable} -m zoo ", command)
            done = subprocess.run(words, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stderr)
        printed += done.stdout
    assert printed.count(keys.fingerprint(tmp_path / "key.pub")) == 3
