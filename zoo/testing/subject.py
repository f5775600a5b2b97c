"""The model that checks are about, with its tiny run, which is trained on first use."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import torch

from zoo import registry
from zoo.core.errors import PluginError
from zoo.pipeline.train import train
from zoo.plugin import Model, Recipe
from zoo.release import Release, read
from zoo.runtime import LoadedModel, load
from zoo.training import checkpoints, run_folder


class Subject:
    """A model, and what training its recipe ``tiny`` gives, in an empty folder that the checks may write to.

    `run` is the folder of a finished run of ``tiny``, if there is one already; it is only read.
    """

    def __init__(self, name: str, folder: Path, run: Path | None = None) -> None:
        self.name, self.folder = name, folder
        self._run = run

    @property
    def tiny(self) -> str:
        """The name of its recipe for tests."""
        return f"{self.name}.tiny"

    @cached_property
    def model(self) -> Model:
        """What the plugin declares. Raises :class:`PluginError` if it cannot be imported."""
        return registry.load(self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """Its recipe ``tiny``."""
        recipe: Recipe = registry.load_recipe(self.tiny)[1]
        return recipe

    @cached_property
    def run(self) -> Path:
        """The folder of a run of ``tiny``, with its release."""
        if self._run is None:
            self._run = train(self.tiny, out=self.folder / "run", quiet=True).folder
        return self._run

    @cached_property
    def killed(self) -> Path:
        """Another run of ``tiny``, which was killed half-way through and then resumed; without a release."""
        folder, stop = self.folder / "killed", max(1, self.recipe.steps // 2)
        every = max(1, stop // 3)
        command = [sys.executable, "-m", "zoo.testing.killed", self.tiny, str(folder), str(stop), str(every)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if (folder / run_folder.METRICS).is_file() and checkpoints.steps(folder):
            train(self.tiny, out=folder, release=False, quiet=True, resume=True)
            return folder
        last = done.stderr.strip().rpartition("\n")[2]
        raise PluginError(
            f"{self.tiny} cannot be trained in a process of its own (exit status {done.returncode}). {last}"
        )

    @cached_property
    def release(self) -> Release:
        """The release of its tiny run."""
        return read(self.run / "release")

    @cached_property
    def by_onnx(self) -> LoadedModel:
        """The release, in ONNX Runtime on the CPU."""
        return load(self.release.folder, backend="onnx", device="cpu")

    @cached_property
    def by_torch(self) -> LoadedModel:
        """The release, in torch on the CPU."""
        return load(self.release.folder, backend="torch", device="cpu")

    def fault(self, why: str, *subjects: object) -> PluginError:
        """The error for what the plugin does wrong, with the file and line of the first of its functions `subjects`."""
        return registry.fault(self.name, why, *subjects)

    def tensors(self, run: Path) -> dict[str, torch.Tensor]:
        """What the last checkpoint of a run holds: the module's weights, their EMA, the optimisers' states."""
        return dict(checkpoints.read(run).tensors)
