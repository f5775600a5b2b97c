"""The reviewed releases of third parties, ``community.yaml``: each loads by its name, from a commit pinned by hash."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.contract import names
from zoo.core.errors import ReleaseError, SettingError, one_line
from zoo.hub.source import HubSource, Pin, check_repository

FILE = Path(__file__).with_name("community.yaml")

FORMAT = 1

_EMPTY = [f"format: {FORMAT}", "releases: []"]


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """An entry of the list."""

    name: str
    """``model.recipe``."""
    title: str
    tasks: tuple[str, ...]
    data: str
    """The data set."""
    repository: str
    revision: str
    """A full commit."""
    manifest_sha256: str
    distribution: str
    """The package that has the model's plugin, which training it further needs."""
    licence: str

    @property
    def model(self) -> str:
        return registry.split(self.name)[0]

    @property
    def source(self) -> HubSource:
        """Where it is."""
        return HubSource(self.repository, self.revision)

    @property
    def pin(self) -> Pin:
        """What loading it by name needs."""
        return Pin(self.name, self.manifest_sha256, self.source)


def releases() -> tuple[Reviewed, ...]:
    """Return the entries whose model is not installed: the name of an installed model means that one.

    Raises :class:`ReleaseError` for a list that breaks its form.
    """
    return tuple(entry for entry in _read(FILE) if entry.model not in registry.plugins())


def is_listed(name: str) -> bool:
    """Return whether a name is that of a reviewed release. Raises as :func:`releases`."""
    return any(entry.name == name for entry in releases())


def find(name: str) -> Reviewed | None:
    """Return the entry of a name; None where the list has no such model, or it is installed.

    Raises :class:`NotFoundError` where the list has other recipes of the model, and as :func:`releases`.
    """
    model, recipe = registry.split(name)
    entries = {registry.split(entry.name)[1]: entry for entry in releases() if entry.model == model}
    if entries and recipe not in entries:
        raise registry.no_recipe(model, recipe, entries)
    return entries.get(recipe)


def matching(pattern: str, *, task: str | None = None, data: str | None = None) -> list[Reviewed]:
    """Return the entries that match a wildcard and the filters. Raises as :func:`releases`."""
    return [
        entry
        for entry in releases()
        if (fnmatchcase(entry.name, pattern) or fnmatchcase(entry.model, pattern))
        and task in (None, *entry.tasks)
        and data in (None, entry.data)
    ]


@cache
def _read(path: Path) -> tuple[Reviewed, ...]:
    """Read and check the list. An empty one is read without a YAML parser, because `zoo list` reads it."""
    try:
        text = path.read_text("utf-8")
        if [line for line in text.splitlines() if line and not line.startswith("#")] == _EMPTY:
            return ()
        content = registry.parse(text)
    except Exception as error:  # of PyYAML too, which is not imported here
        raise _wrong(path, f"cannot be read: {one_line(error)}") from error
    if not isinstance(content, Mapping) or content.get("format") != FORMAT or content.keys() != {"format", "releases"}:
        raise _wrong(path, f"is not a list of releases of format {FORMAT}")
    if not isinstance(content["releases"], list):
        raise _wrong(path, f"has releases = {str(content['releases'])[:60]!r}, which is not a list")
    entries = tuple(_entry(path, number, one) for number, one in enumerate(content["releases"], 1))
    listed = [entry.name for entry in entries]
    if twice := next((name for name in listed if listed.count(name) > 1), None):
        raise _wrong(path, f"has two releases {twice!r}")
    return tuple(sorted(entries, key=lambda entry: entry.name))


def _entry(path: Path, number: int, given: Any) -> Reviewed:
    if not isinstance(given, Mapping):
        raise _wrong(path, f"has release {number} = {str(given)[:60]!r}, which is not a mapping")
    where = f"release {number} ({str(given.get('name', 'without a name'))[:60]})"
    known = [field.name for field in fields(Reviewed)]
    if unknown := next((key for key in given if key not in known), None):
        raise _wrong(path, f"has an unknown field {str(unknown)[:60]!r} in {where}. The fields are {', '.join(known)}")
    for key in known:
        fits, what = _FORMS[key]
        if key not in given:
            raise _wrong(path, f"has no {key} in {where}")
        if not fits(given[key]):
            raise _wrong(path, f"has {key} = {str(given[key])[:60]!r} in {where}, which is not {what}")
    values: dict[str, Any] = {**given, "tasks": tuple(given["tasks"])}
    return Reviewed(**values)


def _wrong(path: Path, what: str) -> ReleaseError:
    return ReleaseError(f"{path} {what}. Install genzoo again; where you edited the file, correct it.")


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable() and len(value) <= 200


def _is_repository(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(check_repository(value))
    except SettingError:
        return False


def _are_tasks(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not any(map(names.task_problem, value))


_LINE = _is_line, "a line of text"
_FORMS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_matches(names.BOTH.pattern), "model.recipe"),
    "title": _LINE,
    "tasks": (_are_tasks, "a list of names of tasks"),
    "data": _LINE,
    "repository": (_is_repository, "a repository ORG/NAME"),
    "revision": (_matches("[0-9a-f]{40}"), "a full commit of 40 digits"),
    "manifest_sha256": (_matches("[0-9a-f]{64}"), "a SHA-256 of 64 digits"),
    "distribution": (_matches("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), "the name of a distribution"),
    "licence": _LINE,
}
"""Of each field: whether a value fits, and what it should be."""
