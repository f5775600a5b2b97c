"""The backend that runs a release, or a module in memory, with eager torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo import registry
from zoo.core.devices import fit_threads, torch_device
from zoo.core.errors import PluginError, ReleaseError, ZooError
from zoo.release import Release

if TYPE_CHECKING:
    from torch import nn

    from zoo.plugin import Task
    from zoo.release import ReleasedTask
    from zoo.runtime.backend import Device

Array = NDArray[Any]


def _form(task: Task | ReleasedTask) -> list[dict[str, tuple[str, str, tuple[int, ...]]]]:
    """The kind, dtype and shape of each input and each output, by name."""
    return [
        {name: (spec.kind, spec.dtype, tuple(spec.shape)) for name, spec in side.items()}
        for side in (task.inputs, task.outputs)
    ]


class TorchBackend:
    """Runs a release's tasks by calling the plugin's methods in eager torch; thread-safe."""

    def __init__(self, release: Release, device: Device = "auto", threads: int | None = None) -> None:
        from zoo.modules import of_release

        module = of_release(release)
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        else:
            fit_threads()
        tasks = registry.load(registry.split(release.name)[0]).tasks(module)
        for name, task in release.tasks.items():
            if name not in tasks or _form(tasks[name]) != _form(task):
                raise ReleaseError(
                    f"The task {name!r} in {release.folder} is not that of the installed plugin. "
                    "Use the backend onnx, which needs no plugin."
                )
        self._init(module, tasks, torch_device(device), release.name, {"device": device, "threads": threads})

    @classmethod
    def of_module(cls, module: nn.Module, tasks: Mapping[str, Task]) -> TorchBackend:
        """The backend for a module in memory, which stays on its device and is set to eval mode."""
        backend = cls.__new__(cls)
        parameter = next(module.parameters())
        backend._init(module, tasks, parameter.device)
        return backend

    def _init(
        self,
        module: nn.Module,
        tasks: Mapping[str, Task],
        device: Any,
        name: str = "The module",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self._options = name, options
        module.eval().to(device)
        self._tasks: Mapping[str, Task] | None = tasks  # their methods hold the module
        self._module: nn.Module | None = module
        self._device = device
        self.providers = [f"torch:{device}"]

    def options(self) -> dict[str, Any]:
        """The arguments of :func:`zoo.load` that recreate it; raise :class:`ZooError` if closed or not of a release."""
        if self._tasks is None:
            raise self._gone()
        if self._options is None:
            raise ZooError("A module in memory has no path, so it cannot be pickled. Write its release, and load that.")
        return {"backend": "torch", **self._options}

    def _gone(self) -> ZooError:
        return ZooError(f"{self._name} was closed. Load it again.")

    def prepare(self, task: str) -> None:
        """Do nothing: the module is already loaded."""

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs."""
        import torch

        tasks = self._tasks
        if tasks is None:
            raise self._gone()
        declared = tasks[task]
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

    def tensor(self, name: str) -> Array:
        """A tensor of the module's state dict; raises :class:`ReleaseError` for a name that is not in it."""
        if self._module is None:
            raise self._gone()
        state = self._module.state_dict()
        if name not in state:
            raise ReleaseError(f"{self._name} has no tensor {name!r}. It has: {', '.join(state)[:200]}.")
        found: Array = state[name].detach().cpu().numpy()
        return found

    def close(self) -> None:
        """Free the module."""
        self._tasks = self._module = None
