"""The public surface of zoo as text: every name of zoo and zoo.plugin, with its signature or fields.

python tests/contract/surface.py          prints it
python tests/contract/surface.py --write  writes tests/contract/surface.txt
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
from pathlib import Path
from typing import Any

import zoo
import zoo.plugin
import zoo.testing
from zoo.contract.version import CONTRACT

FILE = Path(__file__).with_name("surface.txt")


def text() -> str:
    """The surface: what each name is called with, or has."""
    lines = [f"contract {CONTRACT}"]
    for module in (zoo.plugin, zoo, zoo.testing):
        for name in sorted(module.__all__):
            if module is zoo and name in zoo.plugin.__all__:
                continue
            lines += _described(f"{module.__name__}.{name}", getattr(module, name))
    return "\n".join(lines) + "\n"


def fingerprint(surface: str) -> str:
    """What CHANGELOG.md names for a version of the contract."""
    return hashlib.sha256(surface.encode()).hexdigest()[:12]


def _described(name: str, value: Any) -> list[str]:
    if dataclasses.is_dataclass(value):
        fields = [f"    {field.name}: {field.type}{_default(field)}" for field in dataclasses.fields(value)]
        return [f"class {name}", *fields, *_methods(value)]
    if isinstance(value, type):
        return [f"class {name}", *_methods(value)]
    if callable(value):
        return [f"def {name}{_signature(value)}"]
    return [f"{name}: {type(value).__name__}"]


def _methods(cls: type) -> list[str]:
    found = []
    for name, value in sorted(vars(cls).items()):
        if not name.startswith("_") and inspect.isfunction(value):
            found.append(f"    def {name}{_signature(value)}")
        elif not name.startswith("_") and isinstance(value, property):
            found.append(f"    {name} (property)")
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {field.default!r}" if not callable(field.default) else " = …"
    return " = …" if field.default_factory is not dataclasses.MISSING else ""


def _signature(value: Any) -> str:
    return str(inspect.signature(value))


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        FILE.write_text(text(), "utf-8")
        print(f"{FILE} written. In CHANGELOG.md: Contract {CONTRACT} ({fingerprint(text())})")
    else:
        print(text(), end="")
