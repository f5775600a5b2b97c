"""A state dict of any shape as JSON beside named tensors, and back: how checkpoints hold optimisers, without pickle.

{"state": {0: {"step": 3, "exp_avg": tensor}}, "betas": (0.9, 0.99)}
{"dict": [["state", {"dict": [[0, {"dict": [["step", 3], ["exp_avg", {"tensor": "state.0.exp_avg"}]]}]]}],
          ["betas", {"tuple": [0.9, 0.99]}]]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value."""


def flatten(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """The JSON of a nested value, and its tensors by name.

    Raises :class:`TypeError` for a value that is no tensor, number, text, None, list, tuple or dict, and for a key of a
    dict that is neither text nor an integer.
    """
    tensors: dict[str, Tensor] = {}
    return _encode(value, (), tensors), tensors


def _encode(value: Any, path: Path, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        if value.layout is not torch.strided:
            raise TypeError(f"{_said(path)} is a tensor of the layout {value.layout}, and must be dense")
        name = ".".join(map(str, path))
        while name in tensors:  # of a key that has a dot
            name += "_"
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        for key in value:
            if type(key) not in (str, int):
                raise TypeError(f"{_said(path)} has the key {str(key)[:60]!r}, which is neither text nor an integer")
        return {"dict": [[key, _encode(item, (*path, key), tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_encode(item, (*path, place), tensors) for place, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    raise TypeError(f"{_said(path)} is a {type(value).__name__}, which is no tensor, number, text, list or dict")


def _said(path: Path) -> str:
    return "state_dict()" + "".join(f"[{key!r}]" for key in path)


def unflatten(
    tree: Any, tensors: Mapping[str, Tensor], put: Callable[[Path, Tensor], Tensor] = lambda path, tensor: tensor
) -> Any:
    """The value that :func:`flatten` was given; ``put(path, tensor)`` places each tensor on its device."""
    return _decode(tree, (), lambda path, name: put(path, tensors[name]))


def _decode(tree: Any, path: Path, tensor: Callable[[Path, str], Tensor]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, (*path, place), tensor) for place, item in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensor(path, value)
    if kind == "tuple":
        return tuple(_decode(item, (*path, place), tensor) for place, item in enumerate(value))
    return {key: _decode(item, (*path, key), tensor) for key, item in value}
