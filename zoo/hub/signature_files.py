"""The signature of a release on the Hub: from the cache, or else downloaded."""

from __future__ import annotations

from zoo.core.errors import ReleaseError
from zoo.hub import cache, client
from zoo.hub.signing import LARGEST
from zoo.hub.source import HubSource
from zoo.release import SIGNATURE


def fetch(source: HubSource, *, afresh: bool = False, patience: float = client.PATIENCE) -> bytes | None:
    """Return the signature at a full commit, or None where there is none. It is not checked.

    It is put into the cache where the release is there, and taken from it unless `afresh`. Errors as those of
    :func:`zoo.hub.client.resolve`, and :class:`ReleaseError` for a file that is too large for a signature.
    """
    content = None if afresh else cache.signature(source)
    if content is not None:
        return content
    size = client.sizes(source, [SIGNATURE], patience).get(SIGNATURE)
    if size is None:
        cache.remember_signature(source, None)
        return None
    if size > LARGEST:
        raise ReleaseError(f"{source}: {SIGNATURE} has {size:,} bytes, which is no signature.")
    with cache.scratch() as folder:
        content = client.fetch(source, SIGNATURE, folder, size).read_bytes()
    cache.remember_signature(source, content)
    return content
