"""TensorBoard: loss terms, metrics and samples of a run, in ``RUN/tensorboard``. Extra ``tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent

import numpy as np
from PIL import Image

import zoo
from zoo.core.errors import unusable

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise unusable(error, "tensorboard", "tensorboard", "The logger tensorboard") from error


class TensorBoard:
    """See :class:`zoo.contract.logger.Logger`."""

    def __init__(self, run: zoo.RunInfo) -> None:
        # Steps after the checkpoint that the run continues from are written again.
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.step + 1)

    def terms(self, step: int, terms: Mapping[str, float], lr: float) -> None:
        for name, value in terms.items():
            self._writer.add_scalar(f"loss/{name}", value, step)
        self._writer.add_scalar("lr", lr, step)

    def metrics(self, step: int, metrics: Mapping[str, float], split: str) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def samples(self, step: int, files: Sequence[Path]) -> None:
        for path in files:
            if path.suffix == ".txt":
                self._writer.add_text("samples", path.read_text("utf-8"), step)
            elif path.suffix == ".csv":  # indented, so that it is shown as it is
                self._writer.add_text("samples", indent(path.read_text("utf-8"), " " * 4), step)
            elif path.suffix == ".png":
                with Image.open(path) as image:
                    self._writer.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def close(self, complete: bool) -> None:
        self._writer.close()
