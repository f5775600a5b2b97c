"""The backend that runs a release's graphs with ONNX Runtime; torch is never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from zoo.core.cgroups import cores
from zoo.core.errors import DeviceError, ReleaseError, SettingError, ZooError, one_line, unusable
from zoo.release import WEIGHTS, Release, graph_check
from zoo.runtime.backend import Device

Array = NDArray[Any]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
IN_MEMORY = "add_external_initializers_from_files_in_memory"
"""The session option that passes weights from memory, for releases whose files are links, such as in a Hub cache.

Several versions of ONNX Runtime reject links that lead out of a graph's folder; versions without this option, before
1.24, accept them.
"""


class OnnxBackend:
    """Runs a release's graphs; thread-safe. A session is opened at the first use of its task."""

    def __init__(self, release: Release, device: Device = "auto", threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise unusable(error, "onnxruntime", "cpu", "Running a release") from error
        self._ort = onnxruntime
        self._release = release
        self._given_threads, self._threads = threads, threads or cores()
        self._sessions: dict[str, Any] = {}
        self._closed = False
        self._lock = Lock()
        self._device = device
        self._asked = self._choose(device)
        self._weights = release.path(WEIGHTS)
        self._tensors: frozenset[tuple[int, int]] | None = None

    def _choose(self, device: Device) -> list[str]:
        if device not in ("auto", "cpu", "cuda"):
            raise SettingError(f"device = {device!r} is not one of auto, cpu, cuda.")
        available = self._ort.get_available_providers()
        if device == "cuda" and CUDA not in available:
            raise DeviceError(
                "CUDA was requested, and the installed onnxruntime has no CUDA. "
                "Run: pip uninstall onnxruntime && pip install 'genzoo[gpu]', or use --device cpu."
            )
        cuda = [CUDA] if CUDA in available and device != "cpu" else []
        return cuda if device == "cuda" else [*cuda, CPU]

    def options(self) -> dict[str, Any]:
        """The arguments of :func:`zoo.load` that recreate it; raises :class:`ZooError` if closed."""
        if self._closed:
            raise self._gone()
        return {"backend": "onnx", "device": self._device, "threads": self._given_threads}

    def _gone(self) -> ZooError:
        return ZooError(f"{self._release.name} was closed. Load it again.")

    @property
    def providers(self) -> list[str]:
        """The execution providers of an open session, which are those that ONNX Runtime can really use.

        ONNX Runtime for CUDA lists CUDA as available even on a machine without a GPU; only a session has the true list.
        So if CUDA is possible and no session is open yet, the first task's session is opened.
        """
        with self._lock:
            if self._closed or self._asked == [CPU]:
                return list(self._asked)
        names = [*self._sessions, *(task.graph for task in self._release.tasks.values())]
        session = self.session(names[0])
        return [str(provider) for provider in session.get_providers()]

    def session(self, graph: str) -> Any:
        """The ONNX Runtime session of a graph, by file name.

        Raises :class:`ReleaseError` for a graph that was altered or does not load.
        """
        with self._lock:
            if self._closed:
                raise self._gone()
            if graph not in self._sessions:
                self._sessions[graph] = self._open(graph)
            return self._sessions[graph]

    def _open(self, graph: str) -> Any:
        path, content = self._release.folder / graph, self._release.content(graph)
        if self._tensors is None:
            self._tensors = frozenset(graph_check.offsets(self._weights).values())
        graph_check.check_file(path, content, self._tensors)
        options = self._ort.SessionOptions()
        taken: Path | bytes = path
        linked = path.is_symlink() or self._weights.is_symlink()
        if linked and hasattr(options, IN_MEMORY):
            weights = self._release.content(WEIGHTS)
            getattr(options, IN_MEMORY)([WEIGHTS], [weights], [len(weights)])
            taken = content
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures raise exceptions; the log would repeat them
        if self._device == "cuda":  # otherwise ONNX Runtime silently falls back to the CPU
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = self._ort.InferenceSession(taken, options, providers=self._asked, enable_fallback=0)
        except Exception as error:
            if self._asked == [CUDA, CPU]:  # "auto" chose CUDA, which does not work here
                self._asked = [CPU]
                return self._open(graph)
            if self._device == "cuda":
                raise DeviceError(
                    f"CUDA was requested and cannot run {path.name}: {_reason(error)}. Use --device cpu."
                ) from error
            real = f" Its files are links; for regular files: zoo export {path.parent} -o DIR" if linked else ""
            raise ReleaseError(f"{path} cannot be loaded by ONNX Runtime: {_reason(error)}.{real}") from error
        if self._device == "cuda" and CUDA not in session.get_providers():
            raise DeviceError("CUDA was requested, and ONNX Runtime cannot use it on this machine. Use --device cpu.")
        for task in self._release.tasks.values():
            if task.graph == graph:
                graph_check.check_form(path, task, session)
        return session

    def prepare(self, task: str) -> None:
        """Open and check a task's graph before inputs of its shapes are allocated."""
        self.session(self._release.tasks[task].graph)

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs."""
        declared = self._release.tasks[task]
        return self.call(declared.graph, inputs, list(declared.outputs))

    def call(self, graph: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run a graph, by file name, and return the outputs named in `outputs`."""
        session = self.session(graph)
        try:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
        except Exception as error:
            path = self._release.folder / graph
            raise ReleaseError(f"{path} does not run: {_reason(error)}. Get the release again.") from error

    def tensor(self, name: str) -> Array:
        """A tensor of the weights file, by its name in the state dict.

        Raises :class:`ReleaseError` for a name that is not in it.
        """
        from safetensors import safe_open

        if self._closed:
            raise self._gone()
        try:
            with safe_open(self._weights, "numpy") as file:
                found: Array = file.get_tensor(self._release.manifest.get("tied", {}).get(name, name))
        except Exception as error:  # includes SafetensorError, whose only base class is Exception
            raise ReleaseError(
                f"{self._weights} has no usable tensor {name[:80]!r}: {_reason(error)}. Get the release again."
            ) from error
        return found

    def close(self) -> None:
        """Close all sessions and their memory-mapped files; a session in use is closed when its thread is done."""
        with self._lock:
            self._closed = True
            self._sessions.clear()


def _reason(error: Exception) -> str:
    return one_line(error)[:200].rstrip(".")
