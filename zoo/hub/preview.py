"""What a release on the Hub says of itself, and the Hub of it, without its weights: for ``zoo info hub:ORG/NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.core.text import plain
from zoo.hub import cache, client, reasons, signature_files, signing
from zoo.hub.deadline import TooLate
from zoo.hub.origins import HubFiles
from zoo.hub.pull import cached, fetch_manifest
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
    signer: str | None
    """Who signed it by its signature, which is not checked; None without a signature."""


def preview(source: HubSource) -> Preview:
    """Return what is known of a release on the Hub before it is downloaded. Errors as those of ``pull``.

    Only its manifest and its signature are downloaded.
    """
    found = client.resolve(source, MANIFEST)
    pinned = source.at(found.commit)
    try:
        info = client.info(pinned)
    except (Exception, TooLate) as error:
        raise reasons.explain(error, pinned) from error
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
    return Preview(pinned, held, about, None if content is None else signing.claimed_signer(content))
