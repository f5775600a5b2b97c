"""A recipe: a frozen dataclass whose fields are the settings of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.contract.settings import Settings, setting
from zoo.contract.use import Use


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """How a model is trained: the fields that every model has. A model adds its own in a subclass.

    Fields are int, float, bool, str, tuples of these, a `Literal` of strings, or a `Use`; each can be set with
    ``zoo train NAME --set KEY=VALUE``. A bad type or range is a :class:`zoo.core.errors.SettingError`. A model that
    learns from several data sets has further fields of the type `Use`; the trainer loads each, and its samples, in an
    order of their own, are the field of that name of samples and batches.
    """

    what = "recipe field"

    data: Use = setting(  # noqa: RUF009  (a frozen value)
        Use("digits"), "data set: a name (zoo data list), or a kind and a path, as in folder:DIR"
    )
    steps: int = setting(1000, "training steps", ge=1)
    batch: int = setting(128, "samples in a batch, over all processes and micro-batches", ge=1)
    accumulate: int = setting(1, "micro-batches in which a process computes its part of a batch, to save memory", ge=1)
    lr: float = setting(1e-3, "peak learning rate", gt=0)
    warmup: int = setting(0, "steps of linear learning-rate warm-up", ge=0)
    decay: Literal["constant", "linear", "cosine"] = setting("constant", "learning rate after warm-up, down to 0")
    clip: float = setting(0.0, "largest gradient norm of a phase; 0 leaves gradients as they are", ge=0)
    ema: float = setting(
        0.0, "decay of an exponential moving average of the weights, which is then what is released", ge=0, le=1
    )
    precision: Literal["auto", "fp32", "tf32", "bf16"] = setting(
        "auto", "bf16: bfloat16 autocast; tf32: fast matrix products on NVIDIA; auto: bf16 where the device has it"
    )
    leave_out: int = setting(-1, "a class to leave out of training; -1 leaves out none", ge=-1)
    validation: int = setting(0, "training samples held out to choose the best checkpoint and to stop early", ge=0)
    early_stop: str = setting("", "metric that ends the run when it gets no better; empty: none")
    patience: int = setting(5, "checkpoints without a better one before an early stop", ge=1)
    quantize_loss: float = setting(0.1, "largest relative degradation of a metric in a quantised release", ge=0)
    seed: int = setting(0, "seed of everything random", ge=0, le=2**63 - 1)
