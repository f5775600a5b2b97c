"""Measures of trained models: what is measured follows from what a model declares. docs/measures.md says what they are.

    declared        the plugin's own measures: likelihoods and bounds
    reconstruction  MSE, PSNR, SSIM, where a task gives pictures back
    generation      FID, KID, precision, recall on released features; on Inception where it is there
    representation  linear probe, k-NN, NMI of codes, beside PCA
    anomaly         AUROC of a class that was left out of training, beside PCA

A run's figures are kept in its ``measures.json`` and go into its release; measuring a release never changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.evaluation.figures import Figure

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zoo.data import DataSet
    from zoo.plugin import Model, Recipe

__all__ = ["Evaluation", "Figure", "at_end", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found."""

    name: str
    """``model.recipe``."""
    figures: Sequence[Figure]
    left_out: Mapping[str, str]
    """Why a family of measures was not taken, by its name."""
    kept: Path | None
    """The ``measures.json`` that has the figures now, for a run folder measured on its own data."""


def evaluate(
    source: str | Path,
    *,
    only: Sequence[str] = (),
    limit: int | None = None,
    samples: int | None = None,
    data: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    checkpoint: str | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Measure a released name, a run folder or a release folder.

    `only` names measures or families. `limit` is the number of test samples, `samples` that of generated ones.
    `data` is another data set of the same form. `checkpoint` is "last" (the default), "best" or a step of a run.
    Raises :class:`ZooError`: :class:`EvaluationError` where nothing could be measured.
    """
    from zoo.evaluation.source import measure

    return measure(source, only, limit, samples, data, data_dir, device, checkpoint, quiet)


def at_end(
    folder: Path,
    step: int,
    name: str,
    module: nn.Module,
    model: Model,
    recipe: Recipe,
    training: DataSet,
    test: DataSet,
    device: torch.device,
    *,
    quiet: bool = True,
) -> list[Figure]:
    """Take the quick measures of a run that is complete, keep them in its ``measures.json``, and return them.

    `training` and `test` may hold a class that the recipe leaves out. The module is left in eval mode, and torch's
    generators as they were. What does not apply or cannot be measured is left to :func:`evaluate`; no error ends a run.
    """
    from zoo.evaluation.source import measure_quickly

    return measure_quickly(folder, step, name, module, model, recipe, training, test, device, quiet)
