"""Rows of weights that stand for characters or classes, when weights go to data that has others, or another order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.contract.specs import Sample, Text
from zoo.core.errors import PluginError
from zoo.modules import build
from zoo.plugin import Model, Recipe

SPARE = 0xF0000
"""The first of the code points that stand for nothing (Unicode's private use, plane 15)."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the rows of some tensors stand for: in the weights that are there, and in those that are to be trained."""

    what: str
    """``"characters"`` or ``"classes"``."""
    old: Sequence[str]
    new: Sequence[str]
    axes: Mapping[str, tuple[int, ...]]
    """By the name of a tensor: the axes that grow with the number of these."""

    @property
    def kept(self) -> list[str]:
        """Those of the new that the old has too."""
        there = set(self.old)
        return [item for item in self.new if item in there]

    def describe(self) -> str:
        """What is kept and what begins anew, in words: ``"62 of 65 characters kept, 3 fresh: 'é', 'ü', 'ß'"``."""
        there = set(self.old)
        fresh = [item for item in self.new if item not in there]
        text = f"{len(self.new) - len(fresh)} of {len(self.new)} {self.what} kept"
        if fresh:
            more = f" and {len(fresh) - 10} more" if len(fresh) > 10 else ""
            text += f", {len(fresh)} fresh: {', '.join(map(repr, fresh[:10]))}{more}"
        return text

    def move(self, name: str, tensor: Tensor, into: Tensor) -> Tensor | None:
        """`into` with the rows of `tensor` that both have, each at its place; None where the two do not fit.

        An axis that is longer than there are items has other rows too, and nobody knows which: it does not fit.
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
    """`into` with `rows` at the places `target` of each of the axes."""
    if not axes:
        return rows
    axis, *rest = axes
    return into.index_copy(axis, target, _placed(into.index_select(axis, target), rows, rest, target))


def differing(
    old: Sample, old_classes: Sequence[str], new: Sample, new_classes: Sequence[str],
    model: Model, recipe: Recipe, name: str,
) -> list[Rows]:  # fmt: skip
    """The rows to move when weights for `old` samples go into a module for `new` ones; none where all is in order.

    Which axes they are is found by building the module for more of them, and seeing what grows. Names of classes are
    () where nobody knows them; where no class is shared, nothing is moved.
    """
    found = []
    if isinstance(old.x, Text) and isinstance(new.x, Text) and old.x.vocabulary != new.x.vocabulary:
        more = "".join(map(chr, range(SPARE, SPARE + _more(new.x.classes))))
        larger = dataclasses.replace(new, x=dataclasses.replace(new.x, vocabulary=new.x.vocabulary + more))
        axes = _growing(new, larger, model, recipe, name)
        found.append(Rows(what="characters", old=old.x.vocabulary, new=new.x.vocabulary, axes=axes))
    if tuple(old_classes) != tuple(new_classes) and set(old_classes) & set(new_classes):
        larger = dataclasses.replace(new, classes=new.classes + _more(new.classes))
        try:
            axes = _growing(new, larger, model, recipe, name)
        except PluginError:  # a model for just so many classes
            axes = {}
        if axes:
            found.append(Rows(what="classes", old=old_classes, new=new_classes, axes=axes))
    return found


def _more(count: int) -> int:
    """So many more that no rounding up to a power of two, or to a multiple of one, hides them."""
    return 2 * max(count, 64) + 1


def _growing(sample: Sample, larger: Sample, model: Model, recipe: Recipe, name: str) -> dict[str, tuple[int, ...]]:
    """By the names of tensors, the axes that are longer in a module for the larger sample."""
    small, large = (build(model, recipe, form, name).state_dict() for form in (sample, larger))
    sizes = {key: zip(tensor.shape, large[key].shape, strict=False) for key, tensor in small.items() if key in large}
    axes = {key: tuple(axis for axis, (one, other) in enumerate(pairs) if other > one) for key, pairs in sizes.items()}
    return {key: grown for key, grown in axes.items() if grown}
