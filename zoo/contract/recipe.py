"""A recipe: a frozen dataclass whose fields are the settings of training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from zoo.contract.settings import check
from zoo.contract.typed import Checked


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
) -> Any:
    """Declare a recipe field with its default, its help line and its range: ≥ `ge`, ≤ `le` and > `gt`."""
    metadata = {"help": help, "ge": ge, "le": le, "gt": gt}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """How a model is trained: the fields that every model has. A model adds its own in a subclass.

    Fields are int, float, bool, str, tuples of these, or a `Literal` of strings; each can be set with
    ``zoo train NAME --set KEY=VALUE``. A bad type or range is a :class:`zoo.core.errors.SettingError`.
    """

    data: str = setting("digits", "data set: a name, folder:DIR, text:FILE or audio:DIR")
    length: int = setting(128, "characters in one sample of a text; other data ignore it", ge=2)
    seconds: float = setting(1.0, "length of one clip: longer ones are cut, shorter ones padded with silence", gt=0)
    bands: int = setting(0, "mel bands of one clip; 0 keeps the waveform", ge=0)
    size: int = setting(0, "pixels of each side that images are resized to; 0 keeps them as they are", ge=0, le=4096)
    fit: Literal["crop", "pad"] = setting(
        "crop", "what resizing does to an image that is not square: cut it, or pad it"
    )
    background: str = setting("white", "colour of padding, and behind transparent pixels: a name, or #rrggbb")
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
    flip: bool = setting(False, "mirror half of the training images")
    crop: int = setting(0, "move training images by up to so many pixels", ge=0)
    leave_out: int = setting(-1, "a class to leave out of training; -1 leaves out none", ge=-1)
    validation: int = setting(0, "training samples held out to choose the best checkpoint and to stop early", ge=0)
    early_stop: str = setting("", "metric that ends the run when it gets no better; empty: none")
    patience: int = setting(5, "checkpoints without a better one before an early stop", ge=1)
    quantize_loss: float = setting(0.1, "largest relative degradation of a metric in a quantised release", ge=0)
    seed: int = setting(0, "seed of everything random", ge=0, le=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)
