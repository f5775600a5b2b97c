"""A released model, ready to use: ``zoo.load``. ONNX Runtime and numpy run it; torch is never imported for that."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo import generation, graphs
from zoo.convert import from_batch, to_batch
from zoo.errors import DeviceError, NotFoundError, ReleaseError, SettingError, one_line, unusable
from zoo.release import WEIGHTS, Release, ReleasedTask, read
from zoo.sources import find
from zoo.specs import Spec

Array = NDArray[Any]
Device = Literal["auto", "cpu", "cuda"]


class Backend(Protocol):
    """Runs the tasks of one release."""

    providers: list[str]
    """What really computes, most preferred first."""

    def prepare(self, task: str) -> None:
        """Get ready to run a task; :class:`ReleaseError` where it is not of the form that is declared."""

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs."""

    def close(self) -> None:
        """Free everything."""


class OnnxBackend:
    """Runs a release's graphs with ONNX Runtime; a session is opened when its task is first used."""

    def __init__(self, release: Release, device: Device = "auto", threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise unusable(error, "onnxruntime", "cpu", "Running a release") from error
        self._ort = onnxruntime
        self._release = release
        self._threads = threads or _cores()
        self._sessions: dict[str, Any] = {}
        self._lock = Lock()
        self._device = device
        self.providers = self._choose(device)
        release.path(WEIGHTS)

    def _choose(self, device: Device) -> list[str]:
        if device not in ("auto", "cpu", "cuda"):
            raise SettingError(f"device = {device!r} is not one of auto, cpu, cuda.")
        available = self._ort.get_available_providers()
        if device == "cuda" and "CUDAExecutionProvider" not in available:
            raise DeviceError(
                "CUDA was asked for, and the installed onnxruntime has no CUDA. "
                "Run: pip uninstall onnxruntime && pip install 'genzoo[gpu]', or use --device cpu."
            )
        cuda = ["CUDAExecutionProvider"] if "CUDAExecutionProvider" in available and device != "cpu" else []
        return cuda if device == "cuda" else [*cuda, "CPUExecutionProvider"]

    def session(self, graph: str) -> Any:
        """The ONNX Runtime session of a graph by its file's name.

        Raises :class:`ReleaseError` for one that is altered or does not load.
        """
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = self._open(graph)
                self.providers = self._sessions[graph].get_providers()
            return self._sessions[graph]

    def _open(self, graph: str) -> Any:
        path = self._release.path(graph)
        graphs.check_file(path)
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures come as exceptions; the log would repeat them
        if self._device == "cuda":  # without this ONNX Runtime falls back to the CPU and says nothing
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = self._ort.InferenceSession(str(path), options, providers=self.providers)
        except Exception as error:
            if self._device == "cuda":
                raise DeviceError(
                    f"CUDA was asked for and cannot run {path.name}: {_reason(error)}. Use --device cpu."
                ) from error
            raise ReleaseError(f"{path} cannot be loaded by ONNX Runtime: {_reason(error)}.") from error
        if self._device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
            raise DeviceError("CUDA was asked for, and ONNX Runtime cannot use it on this machine. Use --device cpu.")
        for task in self._release.tasks.values():
            if task.graph == graph:
                graphs.check_form(path, task, session)
        return session

    def prepare(self, task: str) -> None:
        """Open a task's graph, or raise :class:`ReleaseError`, before inputs of its shapes are made."""
        self.session(self._release.tasks[task].graph)

    def run(self, task: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a task on named batches of one size, and return its named outputs."""
        declared = self._release.tasks[task]
        return self.call(declared.graph, inputs, list(declared.outputs))

    def call(self, graph: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run a graph by its file's name on what it takes, and return the outputs that are named."""
        session = self.session(graph)
        try:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
        except Exception as error:
            path = self._release.folder / graph
            raise ReleaseError(f"{path} does not run: {_reason(error)}. Get the release again.") from error

    def close(self) -> None:
        """Close every session."""
        self._sessions.clear()


def _cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reason(error: Exception) -> str:
    return one_line(error)[:200].rstrip(".")


class LoadedModel:
    """A released model. Each task that it declares is a method: ``encode``, ``decode``, ``reconstruct``, …

    Make one with :func:`zoo.load`. ``with zoo.load(NAME) as model:`` frees everything at the end.
    """

    def __init__(self, release: Release, backend: Backend) -> None:
        self.release = release
        self.backend = backend
        for name, task in release.tasks.items():
            if not hasattr(type(self), name):
                setattr(self, name, self._method(name, task))

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.tasks)}; on {', '.join(self.providers)}>"

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "release" not in self.__dict__:
            raise AttributeError(name)
        raise AttributeError(f"{self.name} has no task {name!r}. It has: {', '.join(self.tasks)}.")

    @property
    def name(self) -> str:
        """``model.recipe``."""
        return self.release.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks."""
        return tuple(self.release.tasks)

    @property
    def providers(self) -> list[str]:
        """What really computes: ONNX Runtime's execution providers, or torch's device."""
        return self.backend.providers

    def close(self) -> None:
        """Free everything that the model holds."""
        self.backend.close()

    def run(self, task: str, *values: Any, **named: Any) -> Any:
        """Run a task on its inputs, given in order or by name, of any batch size.

        Returns the output, or a dict of them where there are several. Pictures are uint8 (n, h, w) or (n, h, w, 3),
        text is a list of str, and the rest are arrays (sounds float32, see :meth:`generate`). Raises
        :class:`NotFoundError` for a task that the model does not have and :class:`SettingError` for an input of the
        wrong form.
        """
        if task not in self.release.tasks:
            raise NotFoundError(f"{self.name} has no task {task!r}. It has: {', '.join(self.tasks)}.")
        declared = self.release.tasks[task]
        feeds = self._feeds(task, declared.inputs, values, named)
        count = len(next(iter(feeds.values())))
        if any(len(feed) != count for feed in feeds.values()):
            sizes = ", ".join(f"{name}: {len(feed)}" for name, feed in feeds.items())
            raise SettingError(f"{task} takes inputs of one batch size; these have {sizes}.")
        if count == 0:
            raise SettingError(f"{task} was given an empty batch.")
        parts = [
            self.backend.run(task, {name: feed[start : start + generation.CHUNK] for name, feed in feeds.items()})
            for start in range(0, count, generation.CHUNK)
        ]
        results = {
            name: from_batch(np.concatenate([part[name] for part in parts]), spec)
            for name, spec in declared.outputs.items()
        }
        return next(iter(results.values())) if len(results) == 1 else results

    def generate(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        first: int = 0,
        label: int | Sequence[int] | None = None,
        prompt: str = "",
        length: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Any:
        """The samples `first` … `first` + `n` − 1 of `seed`: the same alone or in a batch, and on every backend.

        Pictures: uint8 (n, h, w), or (n, h, w, 3) in colour. Sounds: float32 (n, samples) in [-1, 1], or spectrograms
        (n, bands, frames) in [0, 1]. Text: a list of n str that begin with `prompt`, followed by `length` characters.
        `label` is for models with labels: one, or one a sample (default: index
        modulo classes). `temperature`, `top_k` and `top_p` are for models that pick tokens
        (:class:`zoo.generation.Picking`). Raises :class:`SettingError` for an option that the model cannot follow.
        """
        value = self.release.generation
        if value is None:
            raise SettingError(f"{self.name} does not generate. It has: {', '.join(self.tasks)}.")
        task = self.release.tasks[value.task]
        self.backend.prepare(value.task)
        return generation.generate(
            self.backend.run, value, task.inputs, task.outputs, self.release.sample,
            n=n, seed=seed, first=first, label=label, prompt=prompt, length=length,
            picking=generation.Picking(temperature, top_k, top_p),
        )  # fmt: skip

    def _feeds(
        self, task: str, inputs: Mapping[str, Spec], values: Sequence[Any], named: Mapping[str, Any]
    ) -> dict[str, Array]:
        given = dict(zip(inputs, values, strict=False))
        names = ", ".join(inputs)
        unknown = [name for name in named if name not in inputs or name in given]
        if len(values) > len(inputs) or unknown or given.keys() | named.keys() != inputs.keys():
            raise SettingError(
                f"{task} takes {names}; it was given {len(values)} in order and {sorted(named) or 'none'} by name."
            )
        given |= named
        return {name: to_batch(given[name], spec, name) for name, spec in inputs.items()}

    def _method(self, name: str, task: ReleasedTask) -> Callable[..., Any]:
        def method(*values: Any, **named: Any) -> Any:
            return self.run(name, *values, **named)

        lines = [f"Run the task {name!r} of {self.name}.", ""]
        lines += [
            f"{side}: {key}: {spec}" for side in ("inputs", "outputs") for key, spec in getattr(task, side).items()
        ]
        method.__name__ = method.__qualname__ = name
        method.__doc__ = "\n".join(lines)
        parameters = [inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD) for key in task.inputs]
        method.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return method


def load(
    source: str | Path,
    *,
    backend: Literal["onnx", "torch"] = "onnx",
    device: Device = "auto",
    threads: int | None = None,
) -> LoadedModel:
    """Load a released model: by its name, or by the path of a run folder or a release folder.

    `backend` "onnx" runs on ONNX Runtime and never imports torch; "torch" gives the same methods, run by torch.
    `device` "auto" takes CUDA where it works. `threads` defaults to the cores that the process may use. Raises
    :class:`ZooError` for a source that is not there, is damaged or altered, or a device that is not there.
    """
    if backend not in ("onnx", "torch"):
        raise SettingError(f"backend = {backend!r} is not one of onnx, torch.")
    release = read(find(source))
    if backend == "torch":
        from zoo.torch_backend import TorchBackend

        return LoadedModel(release, TorchBackend(release, device, threads))
    return LoadedModel(release, OnnxBackend(release, device, threads))
