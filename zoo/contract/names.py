"""The rules for names of models, recipes, tasks, inputs, outputs and metrics, in plugins and in manifests."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

MODEL = re.compile(r"[A-Za-z0-9_-]+")
RECIPE = re.compile(r"[A-Za-z0-9_.-]+")
BOTH = re.compile(rf"{MODEL.pattern}\.{RECIPE.pattern}")
"""``model.recipe``, which is used in file names and URLs."""

TAKEN = (
    "backend", "close", "compress", "decompress", "generate", "inpaint", "interpolate", "name", "providers", "release",
    "run", "save", "tasks", "threshold", "traverse",
)  # fmt: skip
"""Attributes of zoo.runtime.LoadedModel that a task, which becomes a method of it, must not shadow."""

METRICS: Mapping[str, tuple[str, ...]] = {
    "reconstruction": ("mse", "psnr", "ssim"),
    "generation": ("fid", "kid", "precision", "recall"),
    "inception": ("inception_fid", "inception_kid", "inception_precision", "inception_recall"),
    "classes": ("rarest_class", "commonest_class", "label_accuracy", "code_accuracy"),
    "representation": ("linear_probe", "knn", "nmi"),
    "codebook": ("codebook_use", "perplexity"),
    "anomaly": ("auroc",),
    "threshold": ("score_threshold",),
    "classification": ("accuracy",),
    "likelihood": ("nll",),
    "codec": ("bits_per_dimension",),
}
"""zoo's own metrics, by group. They follow from the tasks of a model (docs/reference/metrics.md). A plugin's have other
names."""

ZOO_METRICS = tuple(name for group in METRICS.values() for name in group)

_TASK = re.compile(r"[a-z][a-z0-9_]*")


def task_problem(name: object) -> str:
    """Return why a task cannot have this name, as the end of a sentence that begins with the name; "" if it can."""
    if not isinstance(name, str) or not _TASK.fullmatch(name):
        return "has a name that is not allowed: it must be lower-case letters, digits and '_', and begin with a letter"
    if keyword.iskeyword(name):
        return "has a name that is not allowed: it is a keyword of Python, and a task is a method of the loaded model"
    if name in TAKEN:
        return (
            "has a name that is not allowed: a task is a method of the loaded model, which has one of that name. "
            f"Taken are {', '.join(TAKEN)}"
        )
    return ""


def argument_problem(name: str) -> str:
    """Return why an input, an output or a field of a release cannot have this name, as in :func:`task_problem`."""
    if not name.isidentifier() or keyword.iskeyword(name):
        return "has a name that is not allowed: it must be one that a variable of Python can have"
    return ""


def declared_problem(name: str) -> str:
    """Return why a plugin cannot give an input, an output or a field this name: it may become an option of a command.

    Releases that are there already may have such names.
    """
    if problem := argument_problem(name):
        return problem
    if not name[0].isalpha() or name.endswith("_"):
        return (
            "has a name that is not allowed: it must begin with a letter and not end with '_', because inputs become "
            "options of commands"
        )
    return ""
