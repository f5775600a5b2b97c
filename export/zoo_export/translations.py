"""A cache of torch's table of ONNX translations, which torch builds for each graph: a third of an export's time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_tables: dict[int, Any] = {}


@contextmanager
def built_once() -> Iterator[None]:
    """Make `torch.onnx.export` in the block use copies of one cached table per opset; it adds its entries to a copy.

    The table is private to torch. If a version of torch has it elsewhere, the block has no effect.
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
