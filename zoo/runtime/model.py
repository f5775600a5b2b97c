"""A released model, ready to use: ``zoo.load``. ONNX Runtime and numpy run it, without importing torch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MethodType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.codec import Coding
from zoo.contract.specs import Number, Spec
from zoo.core import files, memory
from zoo.core.devices import check_threads
from zoo.core.errors import NotFoundError, ReleaseError, SettingError
from zoo.hub.resolve import find
from zoo.media import kinds
from zoo.media.convert import from_batch, join, to_batch
from zoo.release import MANIFEST, THRESHOLD, Release, read
from zoo.runtime import summary
from zoo.runtime.backend import BACKENDS, Backend, Device, open_backend
from zoo.runtime.describe import describe_generate, describe_task
from zoo.sampling import generation, inpainting, latent
from zoo.sampling.generation import Labels

Array = NDArray[Any]


class LoadedModel:
    """A released model. Each task that it declares is a method: ``encode``, ``decode``, ``reconstruct``, …

    ``help(model.encode)`` describes its inputs and outputs. Create a model with :func:`zoo.load`; ``with zoo.load(NAME)
    as model:`` frees its resources at the end. ``print(model)`` lists what it does; a notebook shows the same as a
    table. A model is thread-safe: a result does not depend on other threads. A large batch is run in chunks that fit in
    memory. A pickle or copy of a model holds the path of the release: unpickling loads and checks the release again.
    """

    def __init__(self, release: Release, backend: Backend) -> None:
        self.release = release
        self.backend = backend
        self._described: dict[str, tuple[str, inspect.Signature]] = {}
        self._coding: Coding | None = None

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.tasks)}>"

    def __str__(self) -> str:
        return summary.as_text(summary.rows(self.release))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return summary.as_html(summary.rows(self.release))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tasks]

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., LoadedModel], tuple[Any, ...]]:
        folder = self.release.folder.absolute()
        if not (folder / MANIFEST).is_file():
            raise NotFoundError(f"{self.name} is pickled by its path, and {folder} is gone. Keep the release.")
        return _again, (str(folder), self.release.manifest["sha256"], dict(self.backend.options()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "release" not in self.__dict__:
            raise AttributeError(name)
        if name in self.release.tasks:
            return self._method(name)
        raise AttributeError(f"{self.name} has no task {name!r}. It has: {', '.join(self.tasks)}.")

    @property
    def name(self) -> str:
        """``model.recipe``."""
        return self.release.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the model's tasks."""
        return tuple(self.release.tasks)

    @property
    def threshold(self) -> float | None:
        """The anomaly threshold: 99% of the test samples have a lower score (task score); a higher one is anomalous.

        None for a model without the task score, or without this metric in its release.
        """
        measurements = self.release.manifest["metrics"]
        return next(
            (float(measurement["value"]) for measurement in measurements if measurement["name"] == THRESHOLD), None
        )

    @property
    def providers(self) -> list[str]:
        """What really computes, most preferred first: ``["CPUExecutionProvider"]``, or ``["torch:cpu"]`` by torch.

        Of two, ONNX Runtime runs on the first what it can, and on the CPU the rest; after ``device="cuda"`` no node is
        left to the CPU. Whether CUDA works shows when a session is opened, so asking this may open the first task's.
        """
        return self.backend.providers

    def close(self) -> None:
        """Free the model's resources: its sessions and its memory-mapped files.

        Calls running in other threads finish. A later use of the model raises :class:`ZooError`.
        """
        self.backend.close()

    def run(self, task: str, /, *values: Any, **named: Any) -> Any:
        """Run a task on inputs of any batch size, given by position or by name.

        Returns the output, or a dict if there are several. Images are uint8 (n, h, w) or (n, h, w, c), text is a list
        of str, and other outputs are arrays (videos, audio clips: see :meth:`generate`). Raises
        :class:`NotFoundError` for an unknown task and :class:`SettingError` for an invalid input.
        """
        if task not in self.release.tasks:
            raise NotFoundError(f"{self.name} has no task {task!r}. It has: {', '.join(self.tasks)}.")
        declared = self.release.tasks[task]
        feeds = self._feeds(task, declared.inputs, values, named)
        count = len(next(iter(feeds.values())))
        each = sum(math.prod(spec.shape) * (1 if kinds.of(spec).pixels else 4) for spec in declared.outputs.values())
        memory.check(2 * count * each, f"The outputs of {task} for {count:,} items", "Use smaller batches.")
        made: dict[str, list[Any]] = {name: [] for name in declared.outputs}
        for part in self._parts(task, feeds):
            for name, spec in declared.outputs.items():
                made[name].append(from_batch(part[name], spec))
        results = {name: join(parts) for name, parts in made.items()}
        return next(iter(results.values())) if len(results) == 1 else results

    @property
    def generate(self) -> Callable[..., Any]:
        """Generate samples `first` … `first` + `n` − 1 of `seed`: ``model.generate(n=None, *, seed=0, first=0, …)``.

        ``help(model.generate)`` has the options of this model. A sample depends only on the seed, its index and what is
        asked, not on the batch or, up to rounding, on the backend. Without `n` there are as many as are given or
        listed, or 1.
        """
        if "generate" not in self._described:
            self._described["generate"] = describe_generate(self.name, self.release.plan)

        def generate(self: LoadedModel, n: int | None = None, *, seed: int = 0, first: int = 0, **options: Any) -> Any:
            plan = self.release.plan
            if plan is None:
                raise SettingError(f"{self.name} does not generate. It has: {', '.join(self.tasks)}.")
            for task in plan.uses:
                self.backend.prepare(task)
            return generation.generate(
                self.backend.run, plan, n=n, seed=seed, first=first, background=self.release.background, **options
            )

        generate.__qualname__ = "generate"
        generate.__doc__, generate.__signature__ = self._described["generate"]  # type: ignore[attr-defined]
        return MethodType(generate, self)

    def interpolate(
        self,
        a: Any,
        b: Any,
        *,
        steps: int = 8,
        method: Literal["auto", "linear", "spherical"] = "auto",
        seed: int = 0,
        label: Labels | None = None,
    ) -> Any:
        """Interpolate between the latents of `a` and `b`, both ends included, and decode.

        `a` and `b` are inputs of the task encode, or batches of equal size; or two integers, the indices of samples of
        `seed`. Returns samples like :meth:`generate`: `steps` for each pair, pair after pair. `method` "linear" is the
        straight line. "spherical" stays near the sphere on which standard normal noise concentrates (Shoemake 1985,
        https://doi.org/10.1145/325165.325242; White 2016, https://arxiv.org/abs/1609.04468). "auto" is spherical if the
        decoder takes standard normal noise, else linear. `label` is for models with labels: one, or one per pair.
        Without it, samples have the label of their index, which changes half-way; inputs need a label. Raises
        :class:`SettingError` for a model that has neither encode and decode of one latent, nor generation from noise in
        one call.
        """
        self._prepare_drawn()
        return latent.interpolate(self._whole, self.release, a, b, steps=steps, method=method, seed=seed, label=label)

    def traverse(
        self,
        x: Any = None,
        *,
        dimension: int,
        low: float | None = None,
        high: float | None = None,
        steps: int = 8,
        seed: int = 0,
        label: Labels | None = None,
    ) -> Any:
        """Vary one dimension of a latent from `low` to `high`, and decode.

        `low` and `high` are -3 and 3 by default, or 0 and 1 if the dimension is uniform noise. The latent is that of
        `x`, an input of the task encode or a batch; or, if `x` is an integer, that of the sample of this index of
        `seed` (None: index 0). `dimension` counts from 0 through the concatenated inputs of the decoder. Returns
        `steps` samples for each latent, latent after latent. `label` and errors are as in :meth:`interpolate`.
        """
        self._prepare_drawn()
        return latent.traverse(
            self._whole, self.release, x, dimension=dimension, low=low, high=high, steps=steps, seed=seed, label=label
        )

    def inpaint(self, x: Any, mask: Any, *, steps: int = 32, seed: int = 0, label: Labels | None = None) -> Any:
        """Inpaint samples other than text: fill in the masked values by sampling, or by iterated reconstruction.

        `mask` is true, or at least half white, where `x` is missing. For images it is (h, w) or (n, h, w), as an array,
        a PIL image or a file, and for videos the same with frames before h; for audio and arrays it is an array of the
        shape of a sample.

        A model that samples the pixels of an image in order feeds the known pixels and samples the missing ones. Image
        i has the random numbers of sample i of `seed`, and the class `label` (default: i modulo classes). A mask of the
        lower half completes an image.

        All other models start with the mean of the known values. Then, `steps` times, everything is reconstructed and
        the known values are restored (Rezende, Mohamed & Wierstra 2014, section 5, https://arxiv.org/abs/1401.4082,
        with the means of the model's distributions instead of samples), given the `label` if the model takes one.
        Raises :class:`SettingError` for a model that can do neither; to complete a text, use
        ``generate(prompt=…)``.
        """
        return inpainting.inpaint(self._whole, self.release, x, mask, steps=steps, seed=seed, label=label)

    def compress(self, x: Any, *, progress: Callable[[int, int], None] | None = None) -> bytes:
        """Compress samples to one stream (docs/how-to/compress.md).

        `x` is what the model's encoding task takes: one or a batch.

        The same symbols give the same bytes on every machine and backend. `progress` is called with the number of
        samples that are encoded, and of all. Raises :class:`SettingError` for a model without a codec.
        """
        coding = self._open_codec()
        task = self.release.tasks[coding.codec.encode]
        feeds = self._feeds(coding.codec.encode, task.inputs, (x,), {})
        count, symbols = len(next(iter(feeds.values()))), next(iter(task.outputs))
        coding.check(count)
        return coding.compress((part[symbols] for part in self._parts(coding.codec.encode, feeds)), count, progress)

    def decompress(self, data: bytes | str | Path, *, progress: Callable[[int, int], None] | None = None) -> Any:
        """The samples of a stream of :meth:`compress`, or of the file of that name, in the form of :meth:`generate`.

        `progress` is called with the number of samples whose symbols are decoded, and of all. Raises
        :class:`DataError` for a stream that is damaged, cut short, or of another release.
        """
        coding = self._open_codec()
        made = self.run(coding.codec.decode, coding.symbols(data, progress))
        return next(iter(made.values())) if isinstance(made, dict) else made

    def save(self, value: Any, path: str | Path, *, force: bool = False, columns: int | None = None) -> list[Path]:
        """Write outputs of this model, or a slice of them, to a file, and return the path (or paths).

        Images: .png, one grid of all images, `columns` wide (default: nearly square), or .npy. Videos: .png or .gif, an
        animated grid, or .npy. Audio clips: .wav, one file per clip, numbered if there are several; .png; or .npy.
        Text: .txt. Arrays of data: .npy, .csv, one row a sample, or .json. Anything else: .npy or .json. Raises
        :class:`SettingError` for another ending, and :class:`ExistsError` for an existing file, unless `force`.
        """
        from zoo.media import save

        specs = [spec for task in self.release.tasks.values() for spec in task.outputs.values()]
        value, spec = save.as_samples(value, [self.release.sample.x, *specs])
        return save.save(value, files.expand(path), spec, force=force, columns=columns)

    def _open_codec(self) -> Coding:
        """The codec with its tables, which are read and checked at its first use."""
        if self._coding is None:
            self._coding = Coding.of(self.release, self.backend.tensor)
        return self._coding

    def _prepare_drawn(self) -> None:
        """Open and check the graph that decodes noise, if there is one, before noise of its declared shape is drawn."""
        if latent.drawn(self.release) is not None and self.release.plan is not None:
            self.backend.prepare(self.release.plan.last)

    def _whole(self, task: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run a task on named batches of one size, chunk by chunk, and return its outputs as the graph has them."""
        parts = list(self._parts(task, feeds))
        return {name: join([part[name] for part in parts]) for name in self.release.tasks[task].outputs}

    def _parts(self, task: str, feeds: Mapping[str, Array]) -> Iterator[Mapping[str, Array]]:
        """Run a task on named batches of one size, and yield the outputs of chunks that fit in memory."""
        count = len(next(iter(feeds.values())))
        if any(len(feed) != count for feed in feeds.values()):
            sizes = ", ".join(f"{name}: {len(feed)}" for name, feed in feeds.items())
            raise SettingError(f"{task} takes inputs of one batch size; these have {sizes}.")
        if count == 0:
            raise SettingError(f"{task} was given an empty batch.")
        declared = self.release.tasks[task]
        rows = generation.rows(declared)
        for start in range(0, count, rows):
            yield self.backend.run(task, {name: feed[start : start + rows] for name, feed in feeds.items()})

    def _feeds(
        self, task: str, inputs: Mapping[str, Spec], values: Sequence[Any], named: Mapping[str, Any]
    ) -> dict[str, Array]:
        given = dict(zip(inputs, values, strict=False))
        names = ", ".join(inputs)
        unknown = [name for name in named if name not in inputs or name in given]
        given |= named
        lacking = [name for name, spec in inputs.items() if name not in given and not isinstance(spec, Number)]
        if len(values) > len(inputs) or unknown or lacking:
            raise SettingError(
                f"{task} takes {names}; it was given {len(values)} by position and {sorted(named) or 'none'} by name."
            )
        given = {name: spec.default for name, spec in inputs.items() if isinstance(spec, Number)} | given
        feeds = {name: to_batch(given[name], spec, name, self.release.background) for name, spec in inputs.items()}
        count = max(map(len, feeds.values()))
        return {
            name: np.repeat(feed, count) if isinstance(inputs[name], Number) and len(feed) == 1 else feed
            for name, feed in feeds.items()
        }

    def _method(self, name: str) -> Callable[..., Any]:
        """A task as a method. Only its docstring and signature are cached: a cached method would refer to the model."""

        def method(self: LoadedModel, /, *values: Any, **named: Any) -> Any:
            return self.run(name, *values, **named)

        if name not in self._described:
            self._described[name] = describe_task(name, self.release.tasks[name], self.name)
        method.__name__ = method.__qualname__ = name
        method.__doc__, method.__signature__ = self._described[name]  # type: ignore[attr-defined]
        return MethodType(method, self)  # a bound method is pickled by name


def _again(folder: str, sha256: str, options: Mapping[str, Any]) -> LoadedModel:
    """Load the model of a pickle; raise :class:`ReleaseError` if the release at its path has changed."""
    model = load(Path(folder), **options)
    if model.release.manifest["sha256"] != sha256:
        model.close()
        raise ReleaseError(f"{folder} has changed since the model was pickled. Load it again: zoo.load({folder!r})")
    return model


def load(
    source: str | Path,
    *,
    backend: Literal["onnx", "torch"] = "onnx",
    device: Device = "auto",
    threads: int | None = None,
) -> LoadedModel:
    """Load a released model by its name, or by the path of a run folder or a release folder.

    `backend` "onnx" runs on ONNX Runtime and never imports torch; "torch" has the same methods and runs on torch.
    `device` "auto" uses CUDA if it works; "cuda" fails rather than falling back to the CPU. `threads` is the number of
    threads per task, by default one for each core that the process may use (torch: its own setting). Raises
    :class:`ZooError` if the source is missing, damaged or altered, or the device is not available.
    """
    if backend not in BACKENDS:
        raise SettingError(f"backend = {backend!r} is not one of {', '.join(BACKENDS)}.")
    if threads is not None:
        check_threads(threads)
    release = read(find(source))
    folder = release.folder.absolute()  # a later os.chdir must not matter
    files.check_utf8(folder, "Rename the folder.")
    release = replace(release, folder=folder)
    return LoadedModel(release, open_backend(backend, release, device, threads))
