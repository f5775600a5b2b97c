"""Trains a model and kills its own process before a step, as a power cut does: for the check of exact resume.

python -m zoo.testing.killed NAME FOLDER STEP CHECKPOINT_EVERY
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from zoo.pipeline.train import train
from zoo.training.phases import Phase


def main(name: str, folder: str, stop: str, every: str) -> None:
    """Train ``model.recipe`` into a folder until a step; the process does not survive it."""
    move = Phase.move

    def dying(self: Phase, batch: Any, step: int) -> Any:
        if step >= int(stop):
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return move(self, batch, step)

    setattr(Phase, "move", dying)  # noqa: B010
    train(name, out=folder, release=False, quiet=True, checkpoint_every=int(every))


if __name__ == "__main__":
    main(*sys.argv[1:])
