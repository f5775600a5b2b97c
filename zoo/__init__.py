"""A plugin-based model zoo: trains generative models, releases them, and runs the releases without torch.

    import zoo
    zoo.list_models("vae*")
    run = zoo.train("vae.digits")
    model = zoo.load(run.folder)             # ONNX Runtime and numpy; torch is not imported
    images = model.generate(16, seed=0)      # uint8 (16, 8, 8)

Names that a plugin needs are in :mod:`zoo.plugin`, and can be imported from here too. Modules are imported on first
use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo._version import __version__

if TYPE_CHECKING:
    from zoo.benchmark.bench import bench
    from zoo.benchmark.results import Benchmark
    from zoo.core.errors import ZooError
    from zoo.evaluation import Evaluation, Measurement, evaluate
    from zoo.modules import load_module
    from zoo.pipeline.train import train
    from zoo.plugin import (
        AdamW,
        Array,
        Audio,
        Autoregressive,
        Batch,
        Card,
        Chain,
        Image,
        Iterative,
        Label,
        LogMel,
        Metric,
        Model,
        Noise,
        Objective,
        OneShot,
        Recipe,
        RMSprop,
        Sample,
        Score,
        Task,
        Text,
        Vector,
        Video,
        setting,
    )
    from zoo.registry import list_models
    from zoo.runtime import LoadedModel, load
    from zoo_export import export

_HOME = {
    "zoo.plugin": (
        "AdamW", "Array", "Audio", "Autoregressive", "Batch", "Card", "Chain", "Image", "Iterative", "Label", "LogMel",
        "Metric", "Model", "Noise", "Objective", "OneShot", "RMSprop", "Recipe", "Sample", "Score", "Task", "Text",
        "Vector", "Video", "setting",
    ),
    "zoo.core.errors": ("ZooError",),
    "zoo.benchmark.bench": ("bench",),
    "zoo.benchmark.results": ("Benchmark",),
    "zoo.evaluation": ("Evaluation", "Measurement", "evaluate"),
    "zoo.registry": ("list_models",),
    "zoo.runtime": ("LoadedModel", "load"),
    "zoo.modules": ("load_module",),
    "zoo.pipeline.train": ("train",),
    "zoo_export": ("export",),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AdamW",
    "Array",
    "Audio",
    "Autoregressive",
    "Batch",
    "Benchmark",
    "Card",
    "Chain",
    "Evaluation",
    "Image",
    "Iterative",
    "Label",
    "LoadedModel",
    "LogMel",
    "Measurement",
    "Metric",
    "Model",
    "Noise",
    "Objective",
    "OneShot",
    "RMSprop",
    "Recipe",
    "Sample",
    "Score",
    "Task",
    "Text",
    "Vector",
    "Video",
    "ZooError",
    "__version__",
    "bench",
    "evaluate",
    "export",
    "list_models",
    "load",
    "load_module",
    "setting",
    "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return __all__
