"""The backends that run the tasks of a release: ONNX Runtime or torch, imported by name when needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from zoo.release import Release

Array = NDArray[Any]
Device = Literal["auto", "cpu", "cuda"]

BACKENDS = {
    "onnx": "zoo.runtime.onnx_backend:OnnxBackend",
    "torch": "zoo.modules.torch_backend:TorchBackend",
}
"""Import paths of the backends, by name. The runtime does not import torch: a backend is imported on request."""


class Backend(Protocol):
    """Runs the tasks of one release; thread-safe."""

    @property
    def providers(self) -> list[str]:
        """The execution providers in use, most preferred first."""

    def options(self) -> Mapping[str, Any]:
        """The arguments of :func:`load`, except the source, to recreate it; raise :class:`ZooError` if impossible."""

    def prepare(self, task: str) -> None:
        """Prepare to run a task; raise :class:`ReleaseError` if its graph does not match its declaration."""

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size and return its named outputs; raise :class:`ZooError` if closed."""

    def tensor(self, name: str) -> Array:
        """A tensor of the weights, by its name in the state dict; raise :class:`ReleaseError` if there is none."""

    def close(self) -> None:
        """Free all resources; a second call does nothing."""


def open_backend(name: str, release: Release, device: Device, threads: int | None) -> Backend:
    """Open a release with the backend `name` of `BACKENDS`."""
    module, _, value = BACKENDS[name].partition(":")
    backend: Backend = getattr(import_module(module), value)(release, device, threads)
    return backend
