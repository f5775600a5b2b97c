"""Signatures of releases in the OpenSSF model-signing format: ``model.sig``, checked with the publisher's public key.

The file is a Sigstore bundle (https://docs.sigstore.dev/about/bundle) with a DSSE envelope
(https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md). Its payload is an in-toto statement that lists the
SHA-256 of each file, and its signature is ECDSA. The tool ``model_signing`` verifies what :func:`sign` writes, and
:func:`verify` reads what the tool signs with a key. Both need only ``cryptography``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import release as releases
from zoo.core import files
from zoo.core.errors import ReleaseError
from zoo.core.text import plain
from zoo.hub import keys
from zoo.release import MANIFEST, SIGNATURE, Release

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"

LARGEST = 2**20
"""Bytes of a signature, at most: it has about 250 for each file."""

_EDITED = frozenset({"README.md"})
"""Files of a release that their owners may edit on the Hub. No signature needs to cover them."""

_IGNORED = (".cache", ".git", ".gitattributes", ".github", ".gitignore", "README.md", "config.json", SIGNATURE)
"""What the tool does not look at in a downloaded repository unless it is signed."""

_AGAIN = "Get the release again, or ask its publisher to sign it again."


@dataclass(frozen=True)
class Signed:
    """What a signature that was verified covers."""

    files: Mapping[str, str]
    """SHA-256 by name of the manifest and of every file that it names, but for the card. Each file has it."""
    others: Sequence[str]
    """Names of the other files that are signed. They are no part of the release and were not checked."""
    fingerprint: str
    """Of the key that signed, as :func:`keys.fingerprint` gives it."""


def covered(release: Release) -> list[str]:
    """The names of the files that a signature has to cover: the manifest, and what it names but for the card."""
    return sorted({MANIFEST, *release.files} - _EDITED)


def read(folder: Path) -> bytes | None:
    """The signature in a release folder; None where there is none. Raises :class:`ReleaseError` if it is not usable."""
    path = folder / SIGNATURE
    if not os.path.lexists(path):
        return None
    if not path.is_file():  # a link may lead to a device, or to nothing
        raise ReleaseError(f"{path} is not a file. {_AGAIN}")
    with open(path, "rb") as file:
        return file.read(LARGEST + 1)  # what is longer is refused where it is checked


def sign(folder: Path, names: Sequence[str], key: Path, password: str | None = None) -> bytes:
    """The content of ``model.sig`` for these files of a release, which include those of :func:`covered`.

    `key` is a private key in PEM. The same files and key give the same bytes. Raises :class:`ReleaseError` for files
    that cannot be signed, :class:`SettingError` for a key that cannot sign, and :class:`MissingPackageError`.
    """
    private = keys.private_key(key, password)
    release = releases.read(folder)
    if unsigned := [name for name in covered(release) if name not in names]:
        raise ReleaseError(
            f"{folder} cannot be signed without {unsigned[0]}. Sign the manifest and all files it names."
        )
    if SIGNATURE in names:
        raise ReleaseError(f"{folder / SIGNATURE} cannot sign itself. Leave it out of what is signed.")
    digests = {}
    for name in sorted(names):
        if not (folder / name).is_file():
            raise ReleaseError(f"{folder / name} is missing, so it cannot be signed. Get the release again.")
        digests[name] = files.sha256(folder / name)
    payload = json.dumps(_statement(release.name, digests)).encode()
    signature = keys.sign(private, _encoded(payload))
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": keys.fingerprint(private.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def verify(folder: Path, signature: bytes, key: Path | bytes, where: str = "") -> Signed:
    """Check that the owner of a key signed the manifest of a release and every file that it names, as they are now.

    `key` is a public key in PEM, or the path of one; `where` is the signature's place for messages, if it is not in the
    folder. Raises :class:`ReleaseError` for a signature that is damaged, of
    another key or format, or does not fit the files, :class:`SettingError` for a key that signs nothing in this
    format, and :class:`MissingPackageError`.
    """
    public = keys.public_key(key)
    where = where or str(folder / SIGNATURE)
    envelope = _opened(signature, where)
    _check_owner(envelope, public, where)
    return Signed(*_as_signed(folder, envelope, where), keys.fingerprint(public))


def check_fits(folder: Path, signature: bytes, where: str = "") -> Sequence[str]:
    """Check that a signature covers the manifest and every file that it names as they are now, whoever made it.

    That needs no key and no package, and says nothing about who signed. Returns the names of other files that are
    signed. Raises :class:`ReleaseError` as :func:`verify`.
    """
    where = where or str(folder / SIGNATURE)
    return _as_signed(folder, _opened(signature, where), where)[1]


def _as_signed(folder: Path, envelope: _Envelope, where: str) -> tuple[dict[str, str], list[str]]:
    """The files of a release that are as they were signed, with their SHA-256, and the names of others."""
    signed = _resources(_statement_in(envelope, where), where)
    _check(folder, MANIFEST, signed, where)
    names = covered(releases.read(folder))
    for name in names:
        _check(folder, name, signed, where)
    return {name: signed[name] for name in names}, sorted(signed.keys() - set(names))


@dataclass(frozen=True)
class Claim:
    """Who made a signature by its own words, which anybody can write."""

    key: str
    """The fingerprint of the key; "" where it names none."""
    note: str


def claimed(signature: bytes) -> Claim:
    """Return what a signature says of its maker. Nothing of it is checked."""
    try:
        material = json.loads(signature.decode())["verificationMaterial"]
        hint = (material.get("publicKey") or {}).get("hint")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Claim("", "damaged, or not in the model-signing format")
    if hint is None:
        return Claim("", "made with a certificate, which the tool checks: model_signing verify --help")
    return Claim(plain(hint, 64), "the fingerprint that the signature names, which is not checked")


# The statement and its envelope


def _statement(name: str, digests: Mapping[str, str]) -> dict[str, Any]:
    """The in-toto statement that files, by name, have these SHA-256."""
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root(digests)}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [path for path in _IGNORED if path not in digests],
            },
            "resources": [{"name": file, "algorithm": "sha256", "digest": digest} for file, digest in digests.items()],
        },
    }


def _root(digests: Mapping[str, str]) -> str:
    """The SHA-256 of the SHA-256 of all files, in their order."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()


def _encoded(payload: bytes) -> bytes:
    """The bytes that DSSE signs: a payload with its type, and the length of both."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


@dataclass(frozen=True)
class _Envelope:
    """What a bundle holds; nothing of it is checked."""

    payload: bytes
    signature: bytes
    by_key: bool
    """Whether a key made it; else a certificate."""
    hint: Any


def _opened(signature: bytes, where: str) -> _Envelope:
    """What a bundle holds. Raises :class:`ReleaseError` for what is no bundle of a signature."""
    if len(signature) > LARGEST:
        raise ReleaseError(f"{where} has more than {LARGEST:,} bytes, which no signature has. {_AGAIN}")
    try:
        bundle = json.loads(signature.decode())
        envelope, material = bundle["dsseEnvelope"], bundle["verificationMaterial"]
        (entry,) = envelope["signatures"]
        payload, value = (base64.b64decode(text, validate=True) for text in (envelope["payload"], entry["sig"]))
        kinds = bundle["mediaType"], envelope["payloadType"]
        by_key, hint = "publicKey" in material, (material.get("publicKey") or {}).get("hint")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ReleaseError(f"{where} is damaged, or no signature in the model-signing format. {_AGAIN}") from error
    if kinds != (_BUNDLE, _PAYLOAD):
        raise ReleaseError(f"{where} is a signature of another kind: {str(kinds)[:160]}. {_AGAIN}")
    return _Envelope(payload, value, by_key, hint)


def _check_owner(envelope: _Envelope, public: ec.EllipticCurvePublicKey, where: str) -> None:
    """Raise :class:`ReleaseError` unless the owner of a key signed the payload."""
    if not envelope.by_key:
        raise ReleaseError(
            f"{where} is signed with a certificate, and zoo checks signatures of keys. Check it with the tool: "
            "model_signing verify --help"
        )
    if keys.is_signed(public, _encoded(envelope.payload), envelope.signature):
        return
    if envelope.hint == keys.fingerprint(public):
        raise ReleaseError(f"{where} is damaged or altered: its signature is not valid. {_AGAIN}")
    raise ReleaseError(
        f"{where} is not signed with the given key, whose fingerprint is {keys.fingerprint(public)}. "
        "Get the publisher's public key, and do not use the release until it fits."
    )


def _statement_in(envelope: _Envelope, where: str) -> Any:
    """The statement of an envelope, as JSON. Raises :class:`ReleaseError` for anything else."""
    try:
        return json.loads(envelope.payload.decode())
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{where} signs something that is not JSON. {_AGAIN}") from error


def _resources(statement: Any, where: str) -> dict[str, str]:
    """The SHA-256 by file name that a signed statement lists. Raises :class:`ReleaseError` for other statements."""
    try:
        kinds = statement["_type"], statement["predicateType"]
        if kinds != (_STATEMENT, _PREDICATE):
            raise ReleaseError(f"{where} signs a statement of another kind: {str(kinds)[:160]}. {_AGAIN}")
        predicate = statement["predicate"]
        serialization, resources = predicate["serialization"], predicate["resources"]
        methods = {(serialization["method"], serialization["hash_type"])}
        methods |= {("files", entry["algorithm"]) for entry in resources}
        if other := methods - {("files", "sha256")}:
            raise ReleaseError(
                f"{where} has hashes of {str(other.pop())[:80]}, and zoo reads the SHA-256 of whole files. "
                "Ask its publisher to sign it with: zoo publish --sign KEY"
            )
        signed = {str(entry["name"]): _digest(entry["digest"]) for entry in resources}
        (subject,) = statement["subject"]
        sound = len(signed) == len(resources) and subject["digest"]["sha256"] == _root(signed)
    except (ValueError, LookupError, TypeError) as error:
        raise ReleaseError(f"{where} signs a statement that is not of the model-signing format. {_AGAIN}") from error
    if not sound:
        raise ReleaseError(f"{where} signs a list of files that contradicts itself. {_AGAIN}")
    return signed


def _digest(text: str) -> str:
    """A SHA-256 in hexadecimal. Raises ValueError or TypeError for anything else."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"{text[:80]!r} is no SHA-256")
    return text


def _check(folder: Path, name: str, signed: Mapping[str, str], where: str) -> None:
    """Raise :class:`ReleaseError` unless a file is signed, and as it was when it was signed."""
    path = folder / name
    if name not in signed:
        raise ReleaseError(f"{where} does not cover {name}, so nobody vouches for it. {_AGAIN}")
    if not path.is_file():
        raise ReleaseError(f"{path} is signed, and missing. Get the release again.")
    if (found := files.sha256(path)) != signed[name]:
        raise ReleaseError(f"{path} is not as it was signed: expected SHA-256 {signed[name]}, found {found}. {_AGAIN}")
