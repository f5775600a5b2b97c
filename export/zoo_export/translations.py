"""torch's table of translations to ONNX, built once: torch builds it for each graph, a third of an export's time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_tables: dict[int, Any] = {}


@contextmanager
def built_once() -> Iterator[None]:
    """Within the block `torch.onnx.export` gets a copy of one table an opset, to which it adds entries of its own.

    The table is private to torch. A torch that keeps it elsewhere exports as it does by itself.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry as Table

        build = Table.__dict__["from_torchlib"]
    except (ImportError, KeyError):
        yield
        return

    def copied(cls: Any, *args: Any, **options: Any) -> Any:
        key = options.get("opset_version")
        if args or key is None or options.keys() != {"opset_version"}:
            return build.__get__(None, cls)(*args, **options)
        if key not in _tables:
            _tables[key] = build.__get__(None, cls)(**options)
        table = copy.copy(_tables[key])
        table.functions = {target: [*entries] for target, entries in table.functions.items()}
        return table

    Table.from_torchlib = classmethod(copied)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Table.from_torchlib = build  # type: ignore[method-assign]
