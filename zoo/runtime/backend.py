"""What runs the tasks of a release: ONNX Runtime, or torch, which is looked up by its address and not imported."""

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
"""By name. The runtime knows no torch: a backend is imported where it is asked for."""


class Backend(Protocol):
    """Runs the tasks of one release, for any number of threads at once."""

    @property
    def providers(self) -> list[str]:
        """What really computes, most preferred first."""

    def options(self) -> Mapping[str, Any]:
        """What :func:`load` takes beside the source to make it again; :class:`ZooError` where it cannot be."""

    def prepare(self, task: str) -> None:
        """Get ready to run a task; :class:`ReleaseError` where it is not of the form that is declared."""

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs. :class:`ZooError` once closed."""

    def close(self) -> None:
        """Free everything. Doing so twice is fine."""


def open_backend(name: str, release: Release, device: Device, threads: int | None) -> Backend:
    """The backend of a name in `BACKENDS` for a release."""
    module, _, value = BACKENDS[name].partition(":")
    backend: Backend = getattr(import_module(module), value)(release, device, threads)
    return backend
