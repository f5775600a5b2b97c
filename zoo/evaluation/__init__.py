"""Measures of trained models: what is measured follows from what a model declares. docs/measures.md says what they are.

    declared        the plugin's own measures: likelihoods and bounds
    reconstruction  MSE, PSNR, SSIM, where a task gives images back
    generation      FID, KID, precision, recall on released features; on Inception where it is there
    classes         which classes are generated, and whether labels are obeyed, by the released classifier
    representation  linear probe, k-NN, NMI of codes, beside PCA
    codebook        use and perplexity, where codes are classes
    anomaly         AUROC of a class that was left out of training, beside PCA
    threshold       the score from which on a sample is strange
    classification  accuracy, where a task classifies
    likelihood      NLL of texts, token by token

A run's figures are kept in its ``measures.json`` and go into its release; measuring a release never changes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.contract.metric import Figure
from zoo.core.errors import MissingPackageError, ZooError, installed, missing, one_line
from zoo.evaluation.result import Evaluation

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zoo.data import DataSet
    from zoo.plugin import Model, Recipe

__all__ = ["Evaluation", "Figure", "at_end", "evaluate"]


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
    `data` is another data set of the same form. `checkpoint` is "last", "best" or a step of a run; without it, what
    the run releases.
    Raises :class:`ZooError`: :class:`EvaluationError` where nothing could be measured.
    """
    check_installed()
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
    generators as they were. No measure ends a run: one that does not apply or fails is left to :func:`evaluate`, which
    says why, and one of the model's own that fails is named here too. A run of fewer than 100 steps takes only
    the model's own measures.
    """
    try:
        check_installed()
        from zoo.evaluation.source import measure_quickly

        figures, failed = measure_quickly(folder, step, name, module, model, recipe, training, test, device, quiet)
    except ZooError as error:
        if not quiet:
            print(f"The run was not measured: {error}", file=sys.stderr, flush=True)
        return []
    for metric, reason in failed.items():
        if not quiet:
            print(f"{metric} has no value in the release: {reason}.", file=sys.stderr, flush=True)
    return figures


def check_installed() -> None:
    """Raise :class:`MissingPackageError` for the first package that measuring needs and that cannot be imported."""
    for module, package in (("torch", "torch"), ("sklearn", "scikit-learn"), ("torchmetrics", "torchmetrics")):
        if not installed(module):
            raise missing(package, "train", "Measuring a model")
    try:
        import torchmetrics  # noqa: F401
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises RuntimeError
        raise MissingPackageError(
            f"Measuring a model needs torchmetrics, which cannot be imported: {one_line(error)}. "
            "Run: pip install --force-reinstall 'genzoo[train]'"
        ) from error
