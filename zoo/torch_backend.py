"""The backend that runs a release, or a module in memory, by eager torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo import registry
from zoo.devices import torch_device
from zoo.errors import PluginError
from zoo.release import Release

if TYPE_CHECKING:
    from torch import nn

    from zoo.plugin import Task
    from zoo.runtime import Device

Array = NDArray[Any]


class TorchBackend:
    """Runs a release's tasks by calling the plugin's methods in eager torch."""

    def __init__(self, release: Release, device: Device = "auto", threads: int | None = None) -> None:
        from zoo.modules import of_release

        module = of_release(release)
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self._init(module, registry.load(registry.split(release.name)[0]).tasks(module), torch_device(device))

    @classmethod
    def of_module(cls, module: nn.Module, tasks: Mapping[str, Task]) -> TorchBackend:
        """The backend for a module in memory, left on its device and put into eval mode."""
        backend = cls.__new__(cls)
        parameter = next(module.parameters())
        backend._init(module, tasks, parameter.device)
        return backend

    def _init(self, module: nn.Module, tasks: Mapping[str, Task], device: Any) -> None:
        self._module = module.eval().to(device)
        self._tasks = tasks
        self._device = device
        self.providers = [f"torch:{device}"]

    def prepare(self, task: str) -> None:
        """Nothing is left to do: the module is there."""

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs."""
        import torch

        declared = self._tasks[task]
        with torch.inference_mode():
            tensors = [
                torch.from_numpy(np.ascontiguousarray(inputs[name])).to(self._device) for name in declared.inputs
            ]
            outputs = declared.method(*tensors)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(outputs) != len(declared.outputs) or not all(isinstance(out, torch.Tensor) for out in outputs):
            names = ", ".join(declared.outputs)
            raise PluginError(f"Task {task!r} must return a tensor, or a tuple with one tensor for each of: {names}.")
        return {name: out.cpu().numpy() for name, out in zip(declared.outputs, outputs, strict=True)}

    def close(self) -> None:
        """Free the module."""
        del self._module, self._tasks
