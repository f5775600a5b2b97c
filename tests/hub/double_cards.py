"""The metadata at the head of a README.md, as the local double of the Hub checks it and lists models by it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import yaml
from double_repos import Commit, Refused

LICENCES = {
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-3.0"),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0", "lgpl-3.0"),
    *("agpl-3.0", "mpl-2.0", "openrail", "pddl", "odc-by", "unlicense", "unknown", "other"),
}


def front_matter(readme: str) -> dict[str, Any]:
    """The metadata at the head of a README.md. Raises :class:`Refused` with status 400 for what the Hub refuses."""
    found = re.match(r"\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(\r?\n|$)", readme, re.DOTALL)
    try:
        data = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError as error:
        raise _invalid(f"YAML Metadata Error: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        if data is None:
            return {}
        raise _invalid("YAML Metadata Error: must be an object")
    licences = data.get("license", [])
    for licence in [licences] if isinstance(licences, str) else licences:
        if licence not in LICENCES:
            raise _invalid(f'"license" must be one of [{", ".join(sorted(LICENCES))}]')
    index = data.get("model-index") or []
    for entry in index if isinstance(index, list) else [index]:
        if not isinstance(entry, dict) or not isinstance(entry.get("results"), list) or "name" not in entry:
            raise _invalid('"model-index" must be a list of objects with "name" and "results"')
    return data


def _invalid(message: str) -> Refused:
    return Refused(400, message, errors=[{"message": message}], warnings=[])


def card(commit: Commit) -> dict[str, Any]:
    """The metadata of the README.md of a commit; nothing where it has none or is not valid."""
    readme = commit.files.get("README.md")
    with contextlib.suppress(Refused):
        return front_matter(readme.text) if readme else {}
    return {}


def tags(data: Mapping[str, Any]) -> list[str]:
    """The tags under which the Hub lists a model with such a card."""
    found: list[str] = []
    for key, prefix in (
        ("library_name", ""),
        ("pipeline_tag", ""),
        ("tags", ""),
        ("license", "license:"),
        ("datasets", "dataset:"),
        ("language", ""),
    ):
        value = data.get(key) or []
        found += [f"{prefix}{item}" for item in ([value] if isinstance(value, str) else value)]
    if data.get("model-index"):
        found.append("model-index")
    return list(dict.fromkeys([*found, "region:us"]))
