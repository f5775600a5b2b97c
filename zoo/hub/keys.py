"""Keys that sign releases: ECDSA on three curves, read from PEM, each known by the SHA-256 of its public part."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.core.errors import MissingPackageError, NotFoundError, SettingError, unreadable, unusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

_LARGEST = 2**16
"""Bytes of a key, at most; those that sign have less than 1,000."""

_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
"""The hash that is signed, by the curve of the key. The model-signing format has no other keys."""

_MAKE = "Make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
_PUBLIC = "Write its public key, and give that: openssl ec -in key.pem -pubout -out key.pub"


def private_key(key: Path | bytes, password: str | None = None) -> ec.EllipticCurvePrivateKey:
    """Return the private key in PEM, or in a file of PEM.

    Raises :class:`NotFoundError` or :class:`DataError` for a file that cannot be read, :class:`SettingError` for a
    key that signs nothing in this format or has another password, and :class:`MissingPackageError`.
    """
    check_installed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem, where = _pem(key), _where(key)
    try:
        found = serialization.load_pem_private_key(pem, password.encode() if password else None)
    except TypeError as error:
        wrong = "has no password. Give none." if password else "is encrypted. Give its password in ZOO_SIGN_PASSWORD."
        raise SettingError(f"{where} {wrong}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if _is_private(pem) and password:
            raise SettingError(f"{where} has another password, or is damaged. Check both.") from error
        raise SettingError(f"{where} is not a private key in PEM that can sign. {_MAKE}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.curve.name not in _HASHES:
        raise _other(found, where)
    return found


def public_key(key: Path | bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key in PEM, or in a file of PEM. Raises the errors of :func:`private_key`."""
    check_installed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem, where = _pem(key), _where(key)
    if _is_private(pem):
        raise SettingError(f"{where} is a private key, which nobody but its owner should have. {_PUBLIC}")
    try:
        found = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingError(
            f"{where} is not a public key in PEM that can check signatures. Get it from the publisher again."
        ) from error
    if not isinstance(found, ec.EllipticCurvePublicKey) or found.curve.name not in _HASHES:
        raise _other(found, where)
    return found


def fingerprint(key: Path | bytes | ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256, in hexadecimal, of a public key in PEM, by which it is known; a signature names it so too.

    Raises the errors of :func:`public_key`.
    """
    public = public_key(key) if isinstance(key, (Path, bytes)) else key
    from cryptography.hazmat.primitives import serialization

    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def sign(private: ec.EllipticCurvePrivateKey, content: bytes) -> bytes:
    """Return the signature of a content, which is always the same (RFC 6979), so that signing twice changes no file.

    Raises :class:`MissingPackageError` where OpenSSL is older than 3.2.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return private.sign(content, ec.ECDSA(_hash(private.curve), deterministic_signing=True))
    except UnsupportedAlgorithm as error:
        raise MissingPackageError(
            "Signing needs cryptography with OpenSSL 3.2 or newer. Run: pip install --upgrade cryptography"
        ) from error


def is_signed(public: ec.EllipticCurvePublicKey, content: bytes, signature: bytes) -> bool:
    """Return whether the owner of a public key signed a content."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        public.verify(signature, content, ec.ECDSA(_hash(public.curve)))
    except InvalidSignature:
        return False
    return True


def check_installed() -> None:
    """Raise :class:`MissingPackageError` unless ``cryptography`` can be imported."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ec  # noqa: F401
    except ImportError as error:
        raise unusable(error, "cryptography", "sign", "A signature") from error


def _hash(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    found: hashes.HashAlgorithm = getattr(hashes, _HASHES[curve.name])()
    return found


def _pem(key: Path | bytes) -> bytes:
    """The content of a key. Raises :class:`NotFoundError`, :class:`DataError` or :class:`SettingError`."""
    if isinstance(key, bytes):
        return key
    try:
        with open(key, "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"The key {str(key)!r} does not exist. Check the path.") from error
    except OSError as error:
        raise unreadable(key, error) from error
    if len(content) > _LARGEST:
        raise SettingError(f"The file {str(key)!r} has more than {_LARGEST:,} bytes, so it is no key. Check the path.")
    return content


def _where(key: Path | bytes) -> str:
    """How messages name a key. They show nothing of its content."""
    return "The key" if isinstance(key, bytes) else f"The key {str(key)!r}"


def _is_private(pem: bytes) -> bool:
    return b"PRIVATE KEY-----" in pem


def _other(key: object, where: str) -> SettingError:
    """The error for a key of another kind than the format has."""
    curve = getattr(key, "curve", None)
    kind = curve.name if curve is not None else type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")
    return SettingError(f"{where} is of the kind {kind}; signatures need ECDSA on P-256, P-384 or P-521. {_MAKE}")
