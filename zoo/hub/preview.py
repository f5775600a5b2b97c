"""What a release on the Hub says of itself, and the Hub of it, without its weights: for ``zoo info hub:ORG/NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.core.errors import HubError, NotFoundError
from zoo.core.text import plain
from zoo.hub import cache, client, licences, reasons, signature_files, signing
from zoo.hub.deadline import TooLate
from zoo.hub.origins import HubFiles
from zoo.hub.pull import QUICK, cached, fetch_manifest
from zoo.hub.signing import Claim
from zoo.hub.source import HubSource
from zoo.release import MANIFEST, Release, read


@dataclass(frozen=True)
class Preview:
    """A release on the Hub: its manifest, of which nothing but the seal is checked, and what the Hub says."""

    source: HubSource
    """At the full commit."""
    release: Release
    """Its folder is not there: the files were not downloaded."""
    hub: Mapping[str, Any]
    """Publisher, visibility, date, licence and size, as the Hub shows them."""
    signature: Claim | None
    """Who signed it by its own words, which are not checked; None without a signature."""


def preview(source: HubSource) -> Preview:
    """Return what is known of a release on the Hub before it is downloaded. Errors as those of ``pull``.

    Only its manifest and its signature are downloaded. Of a Hub that does not answer, what the cache has is taken.
    """
    held = cached(source)
    try:
        found = client.resolve(source, MANIFEST, client.PATIENCE if held is None else QUICK)
        info = client.info(source.at(found.commit))
    except NotFoundError:
        raise
    except (Exception, TooLate) as error:
        reason = reasons.explain(error, source)
        if held is None or not isinstance(reason, HubError):
            raise reason from error
        return _from_cache(source, held, str(reason))
    pinned = source.at(found.commit)
    held = cached(pinned)
    if held is None:
        with cache.scratch() as folder:
            fetch_manifest(HubFiles(pinned, found.bytes), folder, None)
            held = replace(read(folder), folder=Path(str(pinned)))
    content = signature_files.fetch(pinned)
    card = info.card_data.to_dict() if info.card_data is not None else {}
    about = {
        "page": f"{reasons.address()}/{found.repository}",
        "publisher": info.author or found.repository.partition("/")[0],
        "commit": found.commit,
        "changed": f"{info.last_modified:%Y-%m-%d}" if info.last_modified else "",
        "visibility": "private" if info.private else "gated" if info.gated else "public",
        "licence": plain(card.get("license_name") or card.get("license") or "none is named", 100),
        "downloads": info.downloads,
        "bytes": sum(held.sizes.values()),
    }
    return Preview(pinned, held, about, None if content is None else signing.claimed(content))


def _from_cache(source: HubSource, held: Release, reason: str) -> Preview:
    """What is known of a cached release without the Hub."""
    last = None if source.is_commit else cache.commit_of(source)
    pinned = source.at(last[0]) if last else source
    content = cache.signature(pinned)
    about = {
        "page": f"{reasons.address()}/{source.repository}",
        "commit": pinned.revision,
        "licence": licences.of_manifest(held.manifest),
        "bytes": sum(held.sizes.values()),
        "note": f"as the cache has it. {reason}",
    }
    return Preview(pinned, held, about, None if content is None else signing.claimed(content))
