"""Every installed plugin, of every kind, and whether zoo can use it as far as is known without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.registry.discovery import DATA, GROUPS, LOGGERS, Plugin, conflict, contract_of, package_root, plugins, too_new
from zoo.registry.registry_file import not_indexed, read_file


@dataclass(frozen=True)
class Listed:
    """An installed plugin."""

    kind: str
    """A model, a data set or a logger."""
    name: str
    distribution: str
    version: str
    contract: str
    """The version of the contract that it was made for; "" where its registry.yaml does not say it."""
    problem: str
    """Why it is not usable, or not described; "" where nothing is known against it."""


def listed() -> list[Listed]:
    """Return every installed plugin, those of one kind together. None is imported."""
    found = []
    for group, known in GROUPS.items():
        for name, claims in plugins(group).items():
            for plugin in claims:
                problem = conflict(claims) if len(claims) > 1 else _problem(group, plugin)
                contract = contract_of(plugin.distribution)
                found.append(Listed(known.noun, name, plugin.distribution, plugin.version, contract, problem))
    return found


def _problem(group: str, plugin: Plugin) -> str:
    if problem := too_new(plugin.distribution):
        return problem
    if package_root(plugin.value) is None:
        return f"its code, {plugin.value}, is not installed. Install {plugin.distribution} again"
    if group == LOGGERS:  # no registry describes it
        return ""
    described = read_file(plugin.distribution)
    if plugin.name not in (described.data if group == DATA else described.models):
        return not_indexed(described.path, described.problem)
    return ""
