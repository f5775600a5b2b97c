"""The licence of weights: what the manifest or the distribution says, and what the Hub calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"

ON_THE_HUB = frozenset(
    {
        *("afl-3.0", "agpl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0"),
        *("bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd"),
        *("bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0"),
        *("cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0"),
        *("cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "creativeml-openrail-m"),
        *("ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl", "gpl-2.0", "gpl-3.0"),
        *("isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl"),
        *("odc-by", "ofl-1.1", "openrail", "openrail++", "osl-3.0", "pddl", "postgresql", "unlicense", "wtfpl"),
        *("zlib"),
    }
)
"""The licences that a card on the Hub may name (https://huggingface.co/docs/hub/repositories-licenses)."""


def of_manifest(manifest: Mapping[str, Any]) -> str:
    """The licence of the weights of a release: what its manifest says, else that of the distribution of its plugin."""
    return str(manifest.get("licence") or of_distribution(manifest["plugin"]["distribution"]))


def of_distribution(distribution: str) -> str:
    """The licence of a distribution and its weights; "unknown" if it is not installed or declares none."""
    declared = _declared(distribution) or {}
    return str(declared.get("License-Expression") or declared.get("License") or UNKNOWN)


def is_installed(distribution: str) -> bool:
    """Whether a distribution is installed, so that it could declare a licence."""
    return _declared(distribution) is not None


def _declared(distribution: str) -> dict[str, Any] | None:
    """What a distribution declares of itself; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return dict(metadata(distribution).items())  # type: ignore[attr-defined]
    except (PackageNotFoundError, ValueError):
        return None


def on_the_hub(licence: str) -> dict[str, str]:
    """The fields of a card for a licence, which is SPDX (``CC-BY-SA-3.0``) or as the Hub writes it (``cc-by-sa-3.0``).

    Any other becomes ``other`` with its name, as the Hub asks for.
    """
    name = re.sub(r"[\s_]+", "-", licence.strip().lower())
    short = re.sub(r"-(only|or-later)$", "", name)
    if short in ON_THE_HUB:
        return {"license": short}
    slug = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9.+-]", "-", name)).strip("-")
    return {"license": "other", "license_name": slug or UNKNOWN}
