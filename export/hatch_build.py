"""Puts registry.yaml, which lies at the top of the source tree, into the package ``zoo`` of a standard wheel.

An editable install reads the file where it lies; a copy there would make a second, empty package ``zoo``.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RegistryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the registry to standard wheels only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["registry.yaml"] = "zoo/registry.yaml"
