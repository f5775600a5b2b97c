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
    from zoo.modules.frequencies import frequencies, symbol_counts
    from zoo.pipeline.reproduce import Reproduction, reproduce
    from zoo.pipeline.train import train
    from zoo.plugin import (
        AdamW,
        Array,
        Audio,
        AudioOptions,
        Autoregressive,
        Batch,
        Card,
        Chain,
        Codec,
        DataCard,
        DataSet,
        Image,
        ImageOptions,
        Inside,
        Iterative,
        KnownFile,
        Label,
        Loaded,
        LogMel,
        Metric,
        Model,
        Noise,
        Number,
        Objective,
        OneShot,
        Options,
        Recipe,
        RMSprop,
        RunInfo,
        Sample,
        Score,
        SetMetric,
        Task,
        Text,
        TextOptions,
        Use,
        Vector,
        Video,
        setting,
        use,
    )
    from zoo.registry import list_models
    from zoo.runtime import LoadedModel, load
    from zoo_export import export

_HOME = {
    "zoo.plugin": (
        "AdamW", "Array", "Audio", "AudioOptions", "Autoregressive", "Batch", "Card", "Chain", "Codec", "DataCard",
        "DataSet", "Image", "ImageOptions", "Inside", "Iterative", "KnownFile", "Label", "Loaded", "LogMel", "Metric",
        "Model", "Noise", "Number", "Objective", "OneShot", "Options", "Recipe", "RMSprop", "RunInfo", "Sample",
        "Score", "SetMetric", "Task", "Text", "TextOptions", "Use", "Vector", "Video", "setting", "use",
    ),
    "zoo.core.errors": ("ZooError",),
    "zoo.benchmark.bench": ("bench",),
    "zoo.benchmark.results": ("Benchmark",),
    "zoo.evaluation": ("Evaluation", "Measurement", "evaluate"),
    "zoo.registry": ("list_models",),
    "zoo.runtime": ("LoadedModel", "load"),
    "zoo.modules": ("load_module",),
    "zoo.modules.frequencies": ("frequencies", "symbol_counts"),
    "zoo.pipeline.reproduce": ("Reproduction", "reproduce"),
    "zoo.pipeline.train": ("train",),
    "zoo_export": ("export",),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AdamW", "Array", "Audio", "AudioOptions", "Autoregressive", "Batch", "Benchmark", "Card", "Chain", "Codec",
    "DataCard", "DataSet", "Evaluation", "Image", "ImageOptions", "Inside", "Iterative", "KnownFile", "Label",
    "Loaded", "LoadedModel", "LogMel", "Measurement", "Metric", "Model", "Noise", "Number", "Objective", "OneShot",
    "Options", "RMSprop", "Recipe", "Reproduction", "RunInfo", "Sample", "Score", "SetMetric", "Task", "Text",
    "TextOptions", "Use", "Vector", "Video", "ZooError", "__version__", "bench", "evaluate", "export", "frequencies",
    "list_models", "load", "load_module", "reproduce", "setting", "symbol_counts", "train", "use",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return __all__
