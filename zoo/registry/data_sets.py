"""The data sets of each distribution's ``registry.yaml``, read without importing a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.registry import registry_file, schema
from zoo.registry.discovery import DATA, conflict, file_path, plugins, too_new


@dataclass(frozen=True)
class DataRow:
    """A data set in ``zoo data list``."""

    name: str
    distribution: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    """Its part of the index: see ``zoo.registry.schema.INDEXED_DATA``."""
    note: str = ""
    """Why it is not described: "not indexed", the distributions that claim the name, or a newer contract."""

    @property
    def place(self) -> str:
        """What follows the colon of the user's own data: ``"DIR"``; ``""`` for a named set."""
        return str(self.entry.get("place") or "")

    @property
    def form(self) -> str:
        """How it is named: ``"mnist"``, ``"folder:DIR (images in a folder)"``."""
        return f"{self.name}:{self.place} ({self.entry['title']})" if self.place else self.name


@dataclass(frozen=True)
class DataIndex:
    """The part of a registry that listing data sets needs: see ``zoo.registry.schema.INDEXED_DATA``."""

    path: Path | None
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""


def data_index(distribution: str) -> DataIndex:
    """Read the index of the data sets in a distribution's ``registry.yaml``, as :func:`zoo.registry.index` does."""
    path = file_path(distribution)
    head = registry_file.read_head(path, schema.DATA_INDEX)
    if head is not None and not schema.problem_of_head(head, schema.DATA_INDEX):
        return DataIndex(path, head[schema.DATA_INDEX])
    listed = registry_file.read_file(distribution)
    return DataIndex(path, schema.data_index_of({"data": listed.data}), listed.problem)


def data_rows() -> list[DataRow]:
    """Return the rows of ``zoo data list``: the named data sets, then the kinds of the user's own data."""
    found: list[DataRow] = []
    for name, claims in plugins(DATA).items():
        if len(claims) > 1:
            names = " and ".join(sorted(claim.distribution for claim in claims))
            found.append(DataRow(name, names, note=conflict(claims)))
            continue
        listed = data_index(claims[0].distribution)
        entry = listed.sets.get(name)
        note = too_new(claims[0].distribution)
        if entry is None and not note:
            note = registry_file.not_indexed(listed.path, listed.problem)
        found.append(DataRow(name, claims[0].distribution, entry or {}, note))
    return sorted(found, key=lambda row: bool(row.place))


def data_options(fields: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return the options of the data sets of a recipe in a registry: each key's default and help, by ``data.size``.

    `fields` is what the recipe changes. A data set that no registry describes has none.
    """
    found: dict[str, tuple[Any, str]] = {}
    for key, value in fields.items():
        claims = plugins(DATA).get(str(value).partition(":")[0], ()) if isinstance(value, str) else ()
        if len(claims) == 1 and (key == "data" or any(other.startswith(f"{key}.") for other in fields)):
            options = registry_file.read_file(claims[0].distribution).data.get(claims[0].name, {}).get("options", {})
            for name, entry in options.items():
                text = f"{entry['help']} ({entry.get('type', '')})"
                found[f"{key}.{name}"] = entry["default"], text
    return found
