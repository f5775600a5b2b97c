"""Metrics of trained models, which follow from the tasks that a model declares. docs/reference/metrics.md defines them.

    declared        the plugin's own metrics: of each sample, or of a set of generated samples
    reconstruction  MSE, PSNR, SSIM, if the model reconstructs images
    generation      FID, KID, precision, recall on released features; on Inception if it is installed
    classes         the distribution of generated classes, and label accuracy, by the released classifier
    representation  linear probe, k-NN, NMI of latents, compared with PCA
    codebook        usage and perplexity, if latents are discrete codes
    anomaly         AUROC of a class that was left out of training, compared with PCA
    threshold       the score above which a sample is anomalous
    classification  accuracy, if a task classifies
    likelihood      NLL of texts, token by token

A run's measurements are stored in its ``evaluation.json`` and go into its release. Evaluating a release does not change
it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.contract.metric import Measurement
from zoo.core.errors import MissingPackageError, ZooError, installed, missing, one_line
from zoo.evaluation.result import Evaluation

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zoo.data import DataSplit
    from zoo.plugin import Model, Recipe

__all__ = ["Evaluation", "Measurement", "at_end", "evaluate"]


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
    """Evaluate a released name, a run folder or a release folder.

    `only` names metrics or groups. `limit` is the number of test samples, and `samples` the number of generated ones.
    `data` is another data set of the same form. `checkpoint` is "last", "best" or a step of a run; the default is the
    checkpoint that the run releases. Raises :class:`ZooError`, such as :class:`EvaluationError` if no metric could be
    computed.
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
    training: DataSplit,
    test: DataSplit,
    device: torch.device,
    *,
    quiet: bool = True,
) -> list[Measurement]:
    """Compute the quick metrics of a completed run, write them to its ``evaluation.json``, and return them.

    `training` and `test` may contain a class that the recipe leaves out. The module stays in eval mode, and torch's
    generators are restored. No metric stops a run: a metric that does not apply or fails is skipped, and
    :func:`evaluate` reports why. A failing metric of the model's own is reported here too. A run of fewer than 100
    steps has only the model's own metrics.
    """
    try:
        check_installed()
        from zoo.evaluation.source import measure_quickly

        measurements, failed = measure_quickly(folder, step, name, module, model, recipe, training, test, device, quiet)
    except ZooError as error:
        if not quiet:
            print(f"The run was not evaluated: {error}", file=sys.stderr, flush=True)
        return []
    for metric, reason in failed.items():
        if not quiet:
            print(f"{metric} has no value in the release: {reason}.", file=sys.stderr, flush=True)
    return measurements


def check_installed() -> None:
    """Raise :class:`MissingPackageError` for the first package that evaluation needs and that cannot be imported."""
    for module, package in (("torch", "torch"), ("sklearn", "scikit-learn"), ("torchmetrics", "torchmetrics")):
        if not installed(module):
            raise missing(package, "train", "Evaluating a model")
    try:
        import torchmetrics  # noqa: F401
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises RuntimeError
        raise MissingPackageError(
            f"Evaluating a model needs torchmetrics, which cannot be imported: {one_line(error)}. "
            "Run: pip install --force-reinstall 'genzoo[train]'"
        ) from error
