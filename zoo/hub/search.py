"""Finds releases on the Hub by library and tags: what their cards claim, which nobody has reviewed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zoo import registry
from zoo.core.errors import SettingError
from zoo.core.text import plain
from zoo.hub import client
from zoo.hub.source import PREFIX, check_repository

TAG = "zoo"
"""The tag of a release, beside the library ``genzoo``, which the Hub counts as a tag too."""

LIMIT, MOST = 30, 1000
"""The number of releases that are listed, and at most."""

FIELDS = ("downloads", "gated", "model-index", "pipeline_tag", "private", "safetensors", "tags")
"""What the Hub is asked to say of each repository."""

LONGEST = 40
"""Characters of a name that a card claims, at most."""

WIDTHS = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
"""Bytes of a number of each type of safetensors."""

_DATA = "dataset:"
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class ClaimedMetric:
    """A metric as a card claims it."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Found:
    """A repository on the Hub whose card says that it is a release of zoo. Its texts have no control characters."""

    source: str
    """As a SOURCE: ``hub:ORG/NAME``."""
    access: str
    """``public``, ``gated`` or ``private``."""
    tasks: tuple[str, ...]
    """Those of its tags that are tasks of models that are installed here."""
    pipeline_tag: str
    """The Hub's name of what it does."""
    data: tuple[str, ...]
    metric: ClaimedMetric | None
    """The first metric of its card."""
    bytes: int | None
    """The size of the weights, if the Hub knows it."""
    downloads: int
    """In the last month."""


def search(query: str = "", *, task: str | None = None, data: str | None = None, limit: int = LIMIT) -> list[Found]:
    """Return the releases on the Hub that match, those most downloaded first.

    `query` is a part of the repository's name. Raises :class:`SettingError` for a task or a data set that cannot be a
    tag, and :class:`HubError` for a Hub that does not answer.
    """
    wanted = [registry.OWN, TAG]
    if task is not None:
        wanted.append(_checked(task, "task"))
    if data is not None:
        wanted.append(_DATA + _checked(data, "data set"))
    parameters = {"filter": wanted, "search": query, "sort": "downloads", "limit": limit, "expand": FIELDS}
    known = {name for row in registry.rows() for name in row.tasks}
    listed = client.models({key: value for key, value in parameters.items() if value}, limit)
    return [found for entry in listed if (found := _found(entry, known)) is not None]


def _checked(tag: str, what: str) -> str:
    if not _TAG.fullmatch(tag):
        raise SettingError(f"{tag[:80]!r} is no name of a {what} on the Hub. Write letters, digits, '.', '_' and '-'.")
    return tag


def _found(entry: Any, known: set[str]) -> Found | None:
    """What a listing says of a repository; None for one whose name zoo cannot load."""
    try:
        repository = check_repository(str(entry["id"]))
    except (SettingError, TypeError, KeyError):
        return None
    tags = [plain(tag, LONGEST) for tag in _list(entry.get("tags"))]
    downloads = entry.get("downloads")
    return Found(
        source=f"{PREFIX}{repository}",
        access="private" if entry.get("private") else "gated" if entry.get("gated") else "public",
        tasks=tuple(tag for tag in tags if tag in known),
        pipeline_tag=plain(entry.get("pipeline_tag") or "", LONGEST),
        data=tuple(tag.removeprefix(_DATA) for tag in tags if tag.startswith(_DATA)),
        metric=next(_metrics(entry.get("model-index")), None),
        bytes=_weight_bytes(entry.get("safetensors")),
        downloads=downloads if isinstance(downloads, int) else 0,
    )


def _metrics(index: Any) -> Iterator[ClaimedMetric]:
    """The metrics of a card's ``model-index`` that are numbers; its form is whatever its author wrote."""
    results = [result for model in _list(index) for result in _below(model, "results")]
    for metric in (metric for result in results for metric in _below(result, "metrics")):
        if isinstance(metric, dict):
            value, arguments = metric.get("value"), metric.get("args")
            if isinstance(value, (int, float)) and abs(value) < 1e300:  # neither infinite nor NaN
                unit = arguments.get("unit", "") if isinstance(arguments, dict) else ""
                name = metric.get("name") or metric.get("type") or "?"
                yield ClaimedMetric(plain(name, LONGEST), float(value), plain(unit, LONGEST))


def _weight_bytes(listed: Any) -> int | None:
    """The size of the weights by the Hub's count of their numbers of each type."""
    counts = listed.get("parameters") if isinstance(listed, dict) else None
    if not isinstance(counts, dict) or not counts:
        return None
    if not all(kind in WIDTHS and isinstance(count, int) for kind, count in counts.items()):
        return None
    return sum(WIDTHS[kind] * int(count) for kind, count in counts.items())


def _below(value: Any, key: str) -> Sequence[Any]:
    return _list(value.get(key)) if isinstance(value, dict) else []


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
