"""``zoo demo``: train a model, write and check its release, and sample from it in a process without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import numpy as np

from zoo.contract.metric import format_value
from zoo.core import files
from zoo.core.errors import ExistsError, TrainingError, ZooError
from zoo.hub.resolve import RECIPE
from zoo.media import grid

NAME = "vae.digits"
SAMPLES = "samples.png"
PAIRS = "reconstructions.png"


def demo(folder: Path, force: bool) -> None:
    """Train ``vae.digits`` into `folder`, run its release in a new process, and print what to try next."""
    from zoo.pipeline.train import train

    run = folder / NAME
    files.check_outside_releases(folder / NAME)
    if (run / RECIPE).is_file() and not force:
        raise ExistsError(f"{run} exists from an earlier demo, and was kept. Add --force, or choose another --output.")
    for name in (SAMPLES, PAIRS):
        files.check_free(folder / name, force)
    print(f"1. Train {NAME} on 1,500 real handwritten digits, and write its release.", flush=True)
    try:
        trained = train(NAME, out=run, force=force)
    except TrainingError as error:
        if getattr(error, "exit_code", 0):  # stopped from outside
            raise type(error)(f"The demo was stopped. Start it again: zoo demo -o {folder} --force") from error
        raise
    for measurement in trained.measurements[:1]:
        value = f"{format_value(measurement)} {measurement.unit}"
        print(f"   {measurement.name} {value} on the test digits, {trained.seconds:.0f} s.")
    print("2. Load the release in a new process in which torch cannot be imported.", flush=True)
    done = subprocess.run([sys.executable, "-P", "-m", "zoo.tools.demo", str(folder)])
    if done.returncode:
        raise ZooError(f"The process without torch ended with exit code {done.returncode}.")
    command = _command()
    print(
        f"\nLook at  {folder / SAMPLES}\n"
        f"         {folder / PAIRS}\n"
        f"         {run}/release  (the weights, the ONNX graphs, the model card)\n"
        "Try next:\n"
        f"  {command} generate {run} -n 64 --seed 7 -o {folder}/more.png\n"
        f"  {command} verify {run}\n"
        f"  {command} train dcgan.digits"
    )


def use(folder: Path) -> None:
    """Sample and reconstruct with ONNX Runtime. This runs in a process in which torch cannot be imported."""
    from zoo import data
    from zoo.runtime import load

    with load(folder / NAME) as model:
        samples = model.generate(64, seed=0)
        digits = data.load("digits", "test").read(np.arange(32))[:, 0]
        restored = model.reconstruct(digits)
        print(f"   {model.name} runs on {', '.join(model.providers)}; torch in memory: {'torch' in sys.modules}.")
    print("   64 samples of seed 0, and 32 test digits, each above its reconstruction.")
    files.write(folder / SAMPLES, grid.png(grid.enlarge(grid.grid(samples), 640)))
    files.write(folder / PAIRS, grid.png(grid.enlarge(grid.pairs(digits, np.asarray(restored)), 640)))


class NoTorch(MetaPathFinder):
    """Makes every import of torch fail, as on a machine without torch."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _command() -> str:
    """Return how to call ``zoo``: by its name if that is this installation, else by its path."""
    own = Path(sys.argv[0])
    found = shutil.which("zoo")
    if own.name != "zoo" or (found and os.path.realpath(found) == os.path.realpath(own)):
        return "zoo"
    return os.path.relpath(own)


if __name__ == "__main__":
    sys.meta_path.insert(0, NoTorch())
    use(Path(sys.argv[1]))
