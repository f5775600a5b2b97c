"""Frozen submodules: no phase trains their weights, and they stay in eval mode.

They are those that the model declares (`frozen`), the released modules that it needs, and those whose weights `build`
froze and that it left in eval mode. The first two are also checked: no weight and no buffer of them may change.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from zoo.modules import NEEDED
from zoo.plugin import Model
from zoo.training import distributed


def paths(model: Model, module: nn.Module) -> tuple[str, ...]:
    """The submodules that nothing may change: those declared frozen, and those of needed releases."""
    return (*model.frozen, *(path for path in needed(module) if path not in model.frozen))


def needed(module: nn.Module) -> tuple[str, ...]:
    """The submodules that are needed releases."""
    return tuple(path for path, part in module.named_modules() if path and hasattr(part, NEEDED))


def inside(name: str, paths: tuple[str, ...]) -> bool:
    """Whether a submodule, a weight or a buffer is one of the submodules `paths`, or within one."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def still(module: nn.Module, paths: tuple[str, ...]) -> list[nn.Module]:
    """The submodules that stay in eval mode: everything within `paths`, and what `build` left so in frozen submodules.

    The latter have weights but none that requires a gradient. In eval mode BatchNorm does not update its statistics,
    and dropout is off.
    """
    frozen = [
        part
        for part in module.modules()
        if not part.training and (weights := list(part.parameters())) and not any(w.requires_grad for w in weights)
    ]
    parts = [part for whole in frozen for part in whole.modules() if not part.training]
    parts += [part for path in paths for part in module.get_submodule(path).modules()]
    return list({id(part): part for part in parts}.values())


def checksums(module: nn.Module, paths: tuple[str, ...]) -> dict[str, int]:
    """A checksum of each weight and buffer within `paths`, by name; with sharded weights, every process calls this."""
    tensors: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        name: int(distributed.checksum(distributed.whole(tensor.detach())))
        for name, tensor in tensors.items()
        if inside(name, paths)
    }


def changed(module: nn.Module, paths: tuple[str, ...], before: Mapping[str, int]) -> str:
    """The first weight or buffer within `paths` whose checksum is no longer that of `before`; "" if there is none."""
    return next((name for name, value in checksums(module, paths).items() if before[name] != value), "")
