"""Names a data set and its options, as a recipe does: a value, which needs no plugin. Needs neither torch nor numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.contract.typed import Checked


@dataclass(frozen=True)
class Use(Checked):
    """A data set by name, ``"mnist"`` or ``"folder:DIR"``, and those of its options that are not the defaults."""

    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The name of its plugin: what comes before the colon."""
        return self.name.partition(":")[0]

    @property
    def place(self) -> str:
        """What comes after the colon: the user's DIR or FILE, or ``""``."""
        return self.name.partition(":")[2]


def use(name: str, /, **options: Any) -> Use:
    """Name a data set and its options: ``zoo.use("emoji", size=32, flip=True)``."""
    return Use(name, options)


def to_json(value: Use) -> dict[str, Any]:
    """The JSON object of a data set's name and options, as in ``recipe.json`` and in a manifest."""
    return {"name": value.name, "options": dict(value.options)}


def from_json(value: Any) -> Use:
    """The name and options that a JSON object gives; a :class:`zoo.core.errors.PluginError` for another value."""
    if not isinstance(value, Mapping) or not value.keys() <= {"name", "options"}:
        return Use(value)  # which raises
    options = value.get("options", {})
    if isinstance(options, Mapping):
        options = {key: tuple(item) if isinstance(item, list) else item for key, item in options.items()}
    return Use(value.get("name"), options)  # type: ignore[arg-type]  # checked by Use
