"""What a release on the Hub says of itself, and the Hub of it, without its weights: for ``zoo info hub:ORG/NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.core.errors import ReleaseError
from zoo.core.text import plain
from zoo.hub import cache, client, reasons
from zoo.hub.deadline import TooLate
from zoo.hub.origins import HubFiles
from zoo.hub.pull import cached, fetch_manifest
from zoo.hub.signing import LARGEST
from zoo.hub.source import HubSource
from zoo.release import MANIFEST, SIGNATURE, Release, read


@dataclass(frozen=True)
class Seen:
    """A release on the Hub: its manifest, of which nothing but the seal is checked, and what the Hub says."""

    source: HubSource
    """At the full commit."""
    release: Release
    """Its folder is not there: the files were not downloaded."""
    hub: Mapping[str, Any]
    """Publisher, visibility, date, licence and size, as the Hub shows them."""
    is_signed: bool


def look(source: HubSource) -> Seen:
    """Return what is known of a release on the Hub. Only its manifest is downloaded. Errors as those of ``pull``."""
    commit, size = client.resolve(source, MANIFEST)
    pinned = source.at(commit)
    try:
        info = client.info(pinned)
    except (Exception, TooLate) as error:
        raise reasons.explain(error, pinned) from error
    is_signed = any(entry.rfilename == SIGNATURE for entry in info.siblings or ())
    held = cached(pinned)
    if held is None:
        with cache.scratch() as folder:
            fetch_manifest(HubFiles(pinned, size), folder, None)
            held = replace(read(folder), folder=Path(str(pinned)))
    card = info.card_data.to_dict() if info.card_data is not None else {}
    about = {
        "publisher": info.author or source.repository.partition("/")[0],
        "commit": commit,
        "changed": f"{info.last_modified:%Y-%m-%d}" if info.last_modified else "",
        "visibility": "private" if info.private else "gated" if info.gated else "public",
        "licence": plain(card.get("license_name") or card.get("license") or "none is named", 100),
        "downloads": info.downloads,
        "bytes": sum(held.sizes.values()),
    }
    return Seen(pinned, held, about, is_signed)


def signature(source: HubSource) -> bytes | None:
    """Return the signature at a full commit, or None where there is none. Errors as :func:`zoo.hub.client.resolve`."""
    size = client.sizes(source, [SIGNATURE]).get(SIGNATURE)
    if size is None:
        return None
    if size > LARGEST:
        raise ReleaseError(f"{source}: {SIGNATURE} has {size:,} bytes, which is no signature.")
    with cache.scratch() as folder:
        return client.fetch(source, SIGNATURE, folder, size).read_bytes()
