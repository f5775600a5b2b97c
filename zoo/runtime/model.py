"""A released model, ready to use: ``zoo.load``. ONNX Runtime and numpy run it; torch is never imported for that."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MethodType
from typing import Any, Literal

from numpy.typing import NDArray

from zoo.contract.specs import Image, Spec
from zoo.core import files, memory
from zoo.core.devices import check_threads
from zoo.core.errors import NotFoundError, ReleaseError, SettingError
from zoo.media.convert import from_batch, gives, join, takes, to_batch
from zoo.release import MANIFEST, THRESHOLD, Release, ReleasedTask, read
from zoo.release.resolve import find
from zoo.runtime.backend import BACKENDS, Backend, Device, open_backend
from zoo.sampling import generation, inpainting, latent
from zoo.sampling.autoregressive import Picking

Array = NDArray[Any]


class LoadedModel:
    """A released model. Each task that it declares is a method: ``encode``, ``decode``, ``reconstruct``, …

    ``help(model.encode)`` says what it takes and gives. Make one with :func:`zoo.load`: ``with zoo.load(NAME) as
    model:`` frees everything at the end. Any number of threads may use a model at once; each gets what it would get
    alone. A batch of any size is run in parts that fit in memory. A pickle, or a copy, is the path of the release: it
    is opened again, and checked again, where that is loaded.
    """

    def __init__(self, release: Release, backend: Backend) -> None:
        self.release = release
        self.backend = backend
        self._described: dict[str, tuple[str, inspect.Signature]] = {}

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.tasks)}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tasks]

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., LoadedModel], tuple[Any, ...]]:
        folder = self.release.folder.absolute()
        if not (folder / MANIFEST).is_file():
            raise NotFoundError(f"{self.name} is opened again by its path, and {folder} is gone. Keep the release.")
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
        """The names of its tasks."""
        return tuple(self.release.tasks)

    @property
    def threshold(self) -> float | None:
        """The score that 99% of its test samples stay below: what scores more, by the task score, is strange.

        None for a model without that task, or one that was not measured.
        """
        figures = self.release.manifest["measures"]
        return next((float(figure["value"]) for figure in figures if figure["name"] == THRESHOLD), None)

    @property
    def providers(self) -> list[str]:
        """What really computes, most preferred first: ``["CPUExecutionProvider"]``, or ``["torch:cpu"]`` by torch.

        Of two, ONNX Runtime runs on the first what it can, and on the CPU the rest; after ``device="cuda"`` no node is
        left to the CPU. Whether CUDA works shows when a session is opened, so asking this may open the first task's.
        """
        return self.backend.providers

    def close(self) -> None:
        """Free everything that the model holds: every session, and every file that it maps.

        What is running in another thread ends well; whoever uses the model from then on gets a :class:`ZooError`.
        """
        self.backend.close()

    def run(self, task: str, /, *values: Any, **named: Any) -> Any:
        """Run a task on its inputs, given in order or by name, of any batch size.

        Returns the output, or a dict of them where there are several. Images are uint8 (n, h, w) or (n, h, w, 3),
        text is a list of str, and the rest are arrays (audio clips float32, see :meth:`generate`). Raises
        :class:`NotFoundError` for a task that the model does not have and :class:`SettingError` for an input of the
        wrong form.
        """
        if task not in self.release.tasks:
            raise NotFoundError(f"{self.name} has no task {task!r}. It has: {', '.join(self.tasks)}.")
        declared = self.release.tasks[task]
        feeds = self._feeds(task, declared.inputs, values, named)
        count = len(next(iter(feeds.values())))
        each = sum(math.prod(spec.shape) * (1 if isinstance(spec, Image) else 4) for spec in declared.outputs.values())
        memory.check(2 * count * each, f"The outputs of {task} for {count:,} items", "Give them in parts.")
        made: dict[str, list[Any]] = {name: [] for name in declared.outputs}
        for part in self._parts(task, feeds):
            for name, spec in declared.outputs.items():
                made[name].append(from_batch(part[name], spec))
        results = {name: join(parts) for name, parts in made.items()}
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
        steps: int | None = None,
        eta: float | None = None,
    ) -> Any:
        """The samples `first` … `first` + `n` − 1 of `seed`: the same alone or in a batch, and on every backend.

        Images: uint8 (n, h, w), or (n, h, w, 3) in colour. Audio: float32 (n, samples) in [-1, 1], or spectrograms
        (n, bands, frames) in [0, 1]. Text: a list of n str that begin with `prompt`, followed by `length` characters.
        `label` is for models with labels: one, or one a sample (default: index modulo classes). `temperature`, `top_k`
        and `top_p` are for models that pick tokens (:class:`zoo.sampling.autoregressive.Picking`); `steps` and `eta`
        for models that turn noise into a sample step by step: how many steps, and how much noise is added on the way,
        0 to 1 (:mod:`zoo.sampling.ddim`; default: what the model was released with).
        Raises :class:`SettingError` for an option that the model cannot follow.
        """
        plan = self.release.plan
        if plan is None:
            raise SettingError(f"{self.name} does not generate. It has: {', '.join(self.tasks)}.")
        for task in plan.uses:
            self.backend.prepare(task)
        return generation.generate(
            self.backend.run, plan, n=n, seed=seed, first=first, label=label, prompt=prompt, length=length,
            picking=Picking(temperature, top_k, top_p), steps=steps, eta=eta,
        )  # fmt: skip

    def interpolate(
        self,
        a: Any,
        b: Any,
        *,
        steps: int = 8,
        method: Literal["auto", "linear", "spherical"] = "auto",
        seed: int = 0,
        label: int | Sequence[int] | None = None,
    ) -> Any:
        """Samples on the way from the code of `a` to that of `b`, both ends included.

        `a` and `b` are inputs of the task encode, or as large batches of them; or two integers, the samples of these
        indices of `seed`. Gives what :meth:`generate` gives: `steps` samples for each pair, pair after pair. `method`
        "linear" is the straight line; "spherical" keeps to the sphere that standard normal noise lies near (Shoemake
        1985, https://doi.org/10.1145/325165.325242; White 2016, https://arxiv.org/abs/1609.04468); "auto" is
        spherical where the decoder takes standard normal noise, and else linear. `label` is for models with labels:
        one, or one for each pair; without it samples have the label of their index, which changes half-way, and
        inputs need one. Raises :class:`SettingError` for a model without encode and decode of one code, and without
        generation from noise in one call.
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
        label: int | Sequence[int] | None = None,
    ) -> Any:
        """Samples of a code of which one number goes from `low` to `high`, and the others stay: a latent traversal.

        `low` and `high` are -3 and 3 unless given, or 0 and 1 where the number is uniform noise. The code is that of
        `x`, an input of the task encode or a batch of them; or where `x` is an integer, that of the sample of that
        index of `seed` (None: index 0): its noise, or what was decoded. `dimension` counts the numbers of a code from
        0, those of several inputs one after the other. Gives `steps` samples for each code, code after code. `label`
        and errors are as in :meth:`interpolate`.
        """
        self._prepare_drawn()
        return latent.traverse(
            self._whole, self.release, x, dimension=dimension, low=low, high=high, steps=steps, seed=seed, label=label
        )

    def inpaint(
        self, x: Any, mask: Any, *, steps: int = 32, seed: int = 0, label: int | Sequence[int] | None = None
    ) -> Any:
        """Images or audio clips with what is missing filled in: by sampling, or by iterated reconstruction.

        `mask` is true, or at least half of white, where `x` is missing: for images (h, w) or (n, h, w), as an array,
        a PIL image or a file; for audio an array of the form of one. A model that picks the pixels of an image one
        after the other gives samples: the known pixels are fed as they are, and the others picked in order, in image
        i as in sample i of `seed`, of the class `label` (default: i modulo classes); so a mask of the lower half
        completes an image. In all other models missing values start as the mean of the known ones; then `steps` times
        all is reconstructed, and the known values are put back (Rezende, Mohamed & Wierstra 2014, section 5,
        https://arxiv.org/abs/1401.4082, with the means of the model's distributions instead of draws from them), given
        the `label` where the model takes one. Raises :class:`SettingError` for a model that does neither with images
        or audio clips; a text is completed by ``generate(prompt=…)``.
        """
        return inpainting.inpaint(self._whole, self.release, x, mask, steps=steps, seed=seed, label=label)

    def save(self, value: Any, path: str | Path, *, force: bool = False, columns: int | None = None) -> list[Path]:
        """Write what this model gave, or a part of it, to a file, and return the path (or paths).

        Images: .png, one grid of all of them, `columns` wide (default: nearly square), or .npy. Audio clips: .wav, one
        file each, numbered where there are several; .png; or .npy. Text: .txt. Anything else: .npy or .json. Raises
        :class:`SettingError` for another ending, and :class:`ExistsError` for a file that is there, unless `force`.
        """
        from zoo.media import save

        specs = [spec for task in self.release.tasks.values() for spec in task.outputs.values()]
        value, spec = save.as_samples(value, [self.release.sample.x, *specs])
        return save.save(value, files.expand(path), spec, force=force, columns=columns)

    def _prepare_drawn(self) -> None:
        """Open the graph that makes samples of noise, if there is one, before noise of its declared shape is drawn."""
        if latent.drawn(self.release) is not None and self.release.generation is not None:
            self.backend.prepare(self.release.generation.task)

    def _whole(self, task: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What a task gives for named batches of one size, in the form that graphs have."""
        parts = list(self._parts(task, feeds))
        return {name: join([part[name] for part in parts]) for name in self.release.tasks[task].outputs}

    def _parts(self, task: str, feeds: Mapping[str, Array]) -> Iterator[Mapping[str, Array]]:
        """The same, part by part, each no larger than what fits in memory."""
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
        if len(values) > len(inputs) or unknown or given.keys() | named.keys() != inputs.keys():
            raise SettingError(
                f"{task} takes {names}; it was given {len(values)} in order and {sorted(named) or 'none'} by name."
            )
        given |= named
        return {name: to_batch(given[name], spec, name, self.release.background) for name, spec in inputs.items()}

    def _method(self, name: str) -> Callable[..., Any]:
        """A task as a function. None is kept, so that nothing refers back to the model; only what is said of it is."""

        def method(self: LoadedModel, /, *values: Any, **named: Any) -> Any:
            return self.run(name, *values, **named)

        if name not in self._described:
            task = self.release.tasks[name]
            names = (f"_{''.join(task.inputs)}", *task.inputs)  # for the model a name that no input has
            parameters = [inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD) for key in names]
            self._described[name] = _help(name, task, self.name), inspect.Signature(parameters)
        method.__name__ = method.__qualname__ = name
        method.__doc__, method.__signature__ = self._described[name]  # type: ignore[attr-defined]
        return MethodType(method, self)  # which, as any bound method, is pickled by its name


def _help(name: str, task: ReleasedTask, model: str) -> str:
    """The docstring of a task's method."""
    lines = [f"The task {name} of {model}, on a batch of any size.", ""]
    lines += [f"{key}: {takes(spec)}." for key, spec in task.inputs.items()]
    lines += ["", "One item may come without its batch axis, and files and the like in a list.", ""]
    if len(task.outputs) == 1:
        lines += [f"Returns {key}: {gives(spec)}." for key, spec in task.outputs.items()]
    else:
        lines += ["Returns a dict:", *(f"    {key}: {gives(spec)}" for key, spec in task.outputs.items())]
    lines += ["", "Raises SettingError for an input of another form, DataError for a file that cannot be read, and"]
    lines += ["ReleaseError for a graph that was altered or does not run. All are ZooErrors, and say so in one line."]
    return "\n".join(lines)


def _again(folder: str, sha256: str, options: Mapping[str, Any]) -> LoadedModel:
    """The model of a pickle; :class:`ReleaseError` where another release is at its path by now."""
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
    """Load a released model: by its name, or by the path of a run folder or a release folder.

    `backend` "onnx" runs on ONNX Runtime and never imports torch; "torch" gives the same methods, run by torch.
    `device` "auto" takes CUDA where it works; "cuda" takes nothing else. `threads` compute one task, by default one a
    core that the process may use (torch: what torch is set to). Raises :class:`ZooError` for a source that is not
    there, is damaged or altered, or a device that is not there.
    """
    if backend not in BACKENDS:
        raise SettingError(f"backend = {backend!r} is not one of {', '.join(BACKENDS)}.")
    if threads is not None:
        check_threads(threads)
    release = read(find(source))
    return LoadedModel(release, open_backend(backend, release, device, threads))
