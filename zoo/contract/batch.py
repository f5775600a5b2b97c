"""A batch of samples: the input of objectives and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of samples: the input of objectives and metrics."""

    x: Tensor
    """Images: float32 (b, c, h, w) in [0, 1]. Videos: float32 (b, frames, c, h, w) in [0, 1]. Text: int64 (b, length).
    Audio clips: float32 (b, samples) in [-1, 1], or (b, bands, frames) in [0, 1]. Arrays: float32 (b, *shape)."""
    fields: Mapping[str, Tensor]
    """The other fields of the samples, by name: ``batch["caption"]``. Labels are int64."""
    index: Tensor
    """int64 (b,): the position of each sample in its data set."""
    progress: Tensor
    """float32 scalar: the fraction of the run that is done, 0 to 1."""

    def __getitem__(self, name: str) -> Tensor:
        """A field of the samples, (b, …); ``"x"`` is the modelled one. Raises KeyError for one that they have not."""
        return self.x if name == "x" else self.fields[name]

    @property
    def labels(self) -> Tensor:
        """The field ``label``, int64 (b,); zeros where the data set has none."""
        return self.fields["label"] if "label" in self.fields else self.index * 0
