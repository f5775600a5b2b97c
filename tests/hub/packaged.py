"""What tests with the fixture `package` share: a distribution with two released weight sets, and its registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from publishing import Publisher

from zoo import registry

DISTRIBUTION = "zoo-tests"
NAMES = ("shopvae.digits", "shopvae.tiny")


def renamed(manifest: dict[str, Any], name: str) -> None:
    manifest.update(name=name, plugin={"distribution": DISTRIBUTION, "version": "1.0"})


def entry(package: Path, name: str = NAMES[0]) -> dict[str, Any]:
    """What the registry of the package says of a weight set, in full and in its index."""
    content = registry.parse((package / "registry.yaml").read_text("utf-8"))
    model, recipe = registry.split(name)
    indexed = content["index"][model]["released"][recipe]
    assert {key: content["releases"][name].get(key) for key in indexed} == indexed
    return dict(content["releases"][name])


def publish_both(package: Path) -> None:
    for name in NAMES:
        Publisher()(package / "releases" / name, f"acme/{name}", licence="mit")
