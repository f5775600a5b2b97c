"""Rows of weights that represent characters or classes, moved for data with other ones or in another order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.contract.specs import Label, Sample, Text
from zoo.core.errors import PluginError
from zoo.modules import build
from zoo.plugin import Model, Recipe

SPARE = 0xF0000
"""The first placeholder code point (Unicode's private use area, plane 15)."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The characters or classes of some tensors' rows, in the old weights and in the module to be trained."""

    what: str
    """``"characters"`` or ``"classes"``."""
    old: Sequence[str]
    new: Sequence[str]
    axes: Mapping[str, tuple[int, ...]]
    """The axes whose size depends on their number, by tensor name."""

    @property
    def kept(self) -> list[str]:
        """The new items that are also old ones."""
        old = set(self.old)
        return [item for item in self.new if item in old]

    def describe(self) -> str:
        """A description such as ``"62 of 65 characters kept, 3 fresh: 'é', 'ü', 'ß'"``."""
        old = set(self.old)
        fresh = [item for item in self.new if item not in old]
        text = f"{len(self.new) - len(fresh)} of {len(self.new)} {self.what} kept"
        if fresh:
            more = f" and {len(fresh) - 10} more" if len(fresh) > 10 else ""
            text += f", {len(fresh)} fresh: {', '.join(map(repr, fresh[:10]))}{more}"
        return text

    def move(self, name: str, tensor: Tensor, into: Tensor) -> Tensor | None:
        """`into` with the rows of `tensor` for all shared items, in the new order; None if the shapes do not fit.

        An axis longer than the number of items has other rows too, of unknown meaning: it does not fit.
        """
        axes = self.axes[name]
        moved = [len(self.new) if axis in axes else size for axis, size in enumerate(tensor.shape)]
        if list(into.shape) != moved or any(tensor.shape[axis] != len(self.old) for axis in axes) or not self.kept:
            return None
        places = {item: place for place, item in enumerate(self.old)}
        source = torch.tensor([places[item] for item in self.kept])
        target = torch.tensor([place for place, item in enumerate(self.new) if item in places])
        for axis in axes:
            tensor = tensor.index_select(axis, source)
        return _placed(into, tensor.to(into), axes, target)


def _placed(into: Tensor, rows: Tensor, axes: Sequence[int], target: Tensor) -> Tensor:
    """`into` with `rows` at the indices `target` of each axis."""
    if not axes:
        return rows
    axis, *rest = axes
    return into.index_copy(axis, target, _placed(into.index_select(axis, target), rows, rest, target))


def differing(
    old: Sample, old_classes: Sequence[str], new: Sample, new_classes: Sequence[str],
    model: Model, recipe: Recipe, name: str,
) -> list[Rows]:  # fmt: skip
    """The rows to move when weights for `old` samples are loaded into a module for `new` ones; [] if nothing differs.

    To find the axes, the module is built for a larger number of items: the axes that grow are theirs. Class names are
    () if unknown; without a shared class nothing is moved.
    """
    found = []
    if isinstance(old.x, Text) and isinstance(new.x, Text) and old.x.vocabulary != new.x.vocabulary:
        more = "".join(map(chr, range(SPARE, SPARE + _more(new.x.classes))))
        larger = dataclasses.replace(new, x=dataclasses.replace(new.x, vocabulary=new.x.vocabulary + more))
        axes = _growing(new, larger, model, recipe, name)
        found.append(Rows(what="characters", old=old.x.vocabulary, new=new.x.vocabulary, axes=axes))
    if tuple(old_classes) != tuple(new_classes) and set(old_classes) & set(new_classes):
        label = Label(new.classes + _more(new.classes))
        larger = dataclasses.replace(new, fields={**new.fields, "label": label})
        try:
            axes = _growing(new, larger, model, recipe, name)
        except PluginError:  # a model for a fixed number of classes
            axes = {}
        if axes:
            found.append(Rows(what="classes", old=old_classes, new=new_classes, axes=axes))
    return found


def _more(count: int) -> int:
    """A number of extra items that rounding up to a power of two, or to a multiple of one, cannot hide."""
    return 2 * max(count, 64) + 1


def _growing(sample: Sample, larger: Sample, model: Model, recipe: Recipe, name: str) -> dict[str, tuple[int, ...]]:
    """The axes that are longer in a module for the larger sample, by tensor name."""
    small, large = (build(model, recipe, form, name).state_dict() for form in (sample, larger))
    sizes = {key: zip(tensor.shape, large[key].shape, strict=False) for key, tensor in small.items() if key in large}
    axes = {key: tuple(axis for axis, (one, other) in enumerate(pairs) if other > one) for key, pairs in sizes.items()}
    return {key: grown for key, grown in axes.items() if grown}
