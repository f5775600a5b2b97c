"""A release run by torch: the module itself (``zoo.load_module``), and the backend with the runtime's methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo import registry, settings
from zoo.devices import torch_device
from zoo.errors import NotFoundError, PluginError, ReleaseError, one_line, unusable
from zoo.release import WEIGHTS, Release, read
from zoo.sources import find

if TYPE_CHECKING:
    from torch import nn

    from zoo.plugin import Task
    from zoo.runtime import Device

Array = NDArray[Any]


class TorchBackend:
    """Runs a release's tasks by calling the plugin's methods in eager torch."""

    def __init__(self, release: Release, device: Device = "auto", threads: int | None = None) -> None:
        module = module_of(release)
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


def load_module(source: str | Path) -> nn.Module:
    """The ``torch.nn.Module`` of a release, with its weights, in eval mode on the CPU, for fine-tuning.

    The release's plugin must be installed. Parts that no task uses, such as a GAN's critic, are not in a release
    and come with fresh weights; parametrisations such as spectral norm come folded into plain weights.
    """
    return module_of(read(find(source)))


def module_of(release: Release) -> nn.Module:
    """The module of a release. Raises :class:`ReleaseError` where its weights do not fit the installed plugin."""
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError as error:
        raise unusable(error, "torch", "train", "The torch backend") from error
    name, origin = registry.split(release.name)[0], release.manifest["plugin"]
    if name not in registry.plugins():
        raise NotFoundError(
            f"The plugin of {name!r} is not installed, and torch needs it. It comes with {origin.get('distribution')} "
            f"{origin.get('version')}; ONNX Runtime does without."
        )
    model = registry.load(name)
    recipe = settings.from_json(type(next(iter(model.recipes.values()))), release.manifest["recipe"])
    path = release.path(WEIGHTS)
    try:
        with torch.random.fork_rng():  # the caller's generator stays as it is
            torch.manual_seed(recipe.seed)
            module = fold(model.build(recipe, release.sample).eval())
    except Exception as error:
        raise PluginError(f"Plugin {release.name!r} cannot build its module: {one_line(error)}.") from error
    try:
        tensors = load_file(path)
    except Exception as error:
        raise ReleaseError(f"{path} cannot be read: {one_line(error)}.") from error
    tensors |= {alias: tensors[name] for alias, name in release.manifest.get("tied", {}).items() if name in tensors}
    wanted = module.state_dict()
    left_out = set(release.manifest.get("left_out", ()))
    wrong = [name for name in tensors if not name.startswith("zoo.") and name not in wanted]
    wrong += [name for name in wanted if name not in tensors and name not in left_out]
    wrong += [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    if wrong:
        plugin = release.manifest.get("plugin", {})
        raise ReleaseError(
            f"The weights in {release.folder} do not fit the installed plugin (first: {wrong[0]}): "
            f"they were made by {plugin.get('distribution')} {plugin.get('version')}."
        )
    module.load_state_dict({name: tensor for name, tensor in tensors.items() if name in wanted}, strict=False)
    return module.eval()


def fold(module: nn.Module) -> nn.Module:
    """Turn every parametrised weight, such as a spectrally normalised one, into the plain weight that it stands for."""
    from torch.nn.utils import parametrize

    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    return module
