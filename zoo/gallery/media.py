"""The outputs of a model in a gallery: the samples of its release, and reconstructions of test images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import data as datasets
from zoo import registry
from zoo.contract.specs import Image, Label, Sample, Text
from zoo.core import files, philox
from zoo.core.errors import PluginError, ReleaseError, SettingError, one_line
from zoo.data import where
from zoo.data.preview import first
from zoo.media import grid as grids
from zoo.media import kinds, table
from zoo.media.grid import Pixels
from zoo.release import Release, ReleasedTask
from zoo.runtime import LoadedModel
from zoo.sampling import latent

FOLDER = "models"
"""The folder of a gallery that has one folder of files for each model."""

IMAGE, TEXT, AUDIO, TABLE = "samples.png", "samples.txt", "samples.wav", "samples.csv"
"""The file names of samples in a release."""

LONGEST = 1200
"""The largest number of characters of a text that are shown."""

SEED, LEVEL = 0, 0.3
"""The seed and the default level of the noise that is added to test images for denoising models."""

Array = NDArray[Any]
Table = Sequence[Sequence[str]]
"""Cells by row; the first row has the headings."""


@dataclass(frozen=True)
class PlacedImage:
    """An image file in a gallery, with its size in pixels."""

    path: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Samples:
    """The samples of a model: an image, an audio file with its spectrogram image, a text, or the top of a table."""

    caption: str
    image: PlacedImage | None = None
    audio: str = ""
    text: str = ""
    table: Table = ()


@dataclass(frozen=True)
class Back:
    """Test samples and what the model makes of them, in one image or table."""

    caption: str
    image: PlacedImage | None = None
    table: Table = ()


class Tests:
    """The first test samples of named data sets. Each set is read once; missing sets are recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.without: dict[str, str] = {}
        """Why a model has no test samples, by the name of the model."""
        self.lacking: dict[str, None] = {}
        """The named sets that are missing."""
        self._read: dict[tuple[object, ...], tuple[Sample, Array, Array | None]] = {}

    def of(self, release: Release) -> tuple[Array, Array | None] | None:
        """Return test samples in the form of the model's input, (n, …), and their labels, (n,) or None."""
        use = release.data
        name = use.name
        if use.place or name not in registry.plugins(registry.DATA):
            self.without[release.name] = f"its data {name!r} is not a named data set"
            return None
        key = (name, json.dumps(dict(use.options)))
        try:
            if where.located(name, self.folder) is None:
                self.without[release.name] = f"{name} is missing"
                self.lacking[name] = None
                return None
            data = None if key in self._read else datasets.load(use, "test", data_dir=self.folder)
        except (PluginError, SettingError) as error:
            self.without[release.name] = f"{name} cannot be read: {one_line(error)}"
            return None
        if data is not None:
            count, _ = kinds.of_sample(data.sample.x).compared
            labels = None if data.labels is None else data.labels[:count]
            self._read[key] = data.sample, first(data)[0][:count], labels
        sample, x, labels = self._read[key]
        if sample.x != release.sample.x:
            self.without[release.name] = f"{name} has another form now"
            return None
        return x, labels


def samples(release: Release, into: Path) -> Samples | None:
    """Copy the samples of a release into a folder; None for a model that generates nothing."""
    made = release.manifest.get("samples")
    if made is None:
        return None
    caption = f"Samples of seed {made['seed']}"
    if TEXT in release.files:
        try:
            text = release.path(TEXT).read_text("utf-8")
        except ValueError as error:
            raise ReleaseError(f"{release.folder / TEXT} is not UTF-8. Get the release again.") from error
        return Samples(caption, text=text[:LONGEST].rstrip() + ("…" if len(text) > LONGEST else ""))
    if TABLE in release.files:
        try:
            return Samples(caption, table=table.excerpt(release.path(TABLE).read_text("utf-8")))
        except ValueError as error:
            raise ReleaseError(f"{release.folder / TABLE} is not a table. Get the release again.") from error
    image, audio = None, ""
    if IMAGE in release.files:
        content = release.path(IMAGE).read_bytes()
        alt = f"A grid of {made['n']} samples of {release.name}" if "n" in made else f"Samples of {release.name}"
        image = placed(content, into / IMAGE, alt, release.folder / IMAGE)
    if AUDIO in release.files:
        audio = f"{FOLDER}/{into.name}/{AUDIO}"
        files.write(into / AUDIO, release.path(AUDIO).read_bytes())
    return Samples(caption, image, audio)


def given_back(model: LoadedModel, tests: Tests, into: Path) -> tuple[Back, ...]:
    """Write test samples as images with their reconstructions, one grid for each of :func:`ways`; arrays as a table."""
    release = model.release
    x = release.sample.x
    found = ways(release)
    if not found or (given := tests.of(release)) is None:
        return ()
    real, labels = given
    kind = kinds.of_sample(x)
    made = []
    for way in found:
        if labels is None and any(_takes_label(release.tasks[task]) for task in way):
            continue
        what = f"{len(real)} test {kind.unit} of {release.manifest['recipe']['data']}"
        rows, seen = [real], real
        if way == ("denoise",):
            seen, words = corrupted(real, release.manifest["recipe"])
            rows.append(seen)
            caption = f"{what}; below each, the same with {words}, and the model's output for it"
        else:
            caption = f"{what}, each above its reconstruction"
        rows.append(_through(model, way, seen, labels))
        if not kind.has_image:
            both = np.stack(rows, 1).reshape(2 * len(real), -1)  # each above its reconstruction
            made.append(Back(caption, table=table.excerpt(table.write(both, getattr(x, "names", ())), rows=len(both))))
            continue
        moments = zip(*(kind.moments(row, x) for row in rows), strict=True)
        grid = [grids.enlarge(grids.stacks(moment, kind.compared[1])) for moment in moments]
        path = into / f"{'-'.join(way)}.png"
        made.append(Back(caption, placed(grids.png(*grid), path, caption, path)))
    return tuple(made)


def ways(release: Release) -> list[tuple[str, ...]]:
    """Return the sequences of tasks that reconstruct a sample but of text, or denoise an image."""
    x, tasks = release.sample.x, release.tasks
    if isinstance(x, Text):
        return []
    found: list[tuple[str, ...]] = [
        (name,)
        for name in ("reconstruct", *(["denoise"] if isinstance(x, Image) else []))
        if name in tasks and _gives_back(tasks[name], release)
    ]
    if not found and latent.coded(release) is not None:
        taken, made = tasks["encode"].inputs, tasks["decode"].outputs
        if list(taken.values()) == [x] and next(iter(made.values())) == x:
            return [("encode", "decode")]
    return found


def corrupted(x: Pixels, recipe: Mapping[str, Any]) -> tuple[Pixels, str]:
    """Add the noise of a recipe (`noise`, `level`) to images, uint8 (n, h, w) or (n, h, w, 3), and describe it.

    The noise is Gaussian, or sets a fraction of the pixels to black, or to black or white (Vincent et al. 2010, section
    3.3, https://jmlr.org/papers/v11/vincent10a.html). The default is Gaussian, of deviation `sigma`, or 0.3.
    """
    kind, level = recipe.get("noise"), recipe.get("level", recipe.get("sigma"))
    level = float(level) if isinstance(level, (int, float)) and 0 < level <= 1 else LEVEL
    indices = np.arange(len(x))
    if kind not in ("masking", "salt-and-pepper"):
        noisy = x / np.float32(255) + np.float32(level) * philox.draw("normal", x.shape[1:], SEED, indices)
        return np.rint(noisy.clip(0, 1) * 255).astype(np.uint8), f"Gaussian noise of deviation {level:g}"
    drawn = philox.draw("uniform", (*x.shape[1:3], *(1,) * (x.ndim - 3)), SEED, indices)
    white = drawn < (level / 2 if kind == "salt-and-pepper" else 0)
    words = "black or white" if kind == "salt-and-pepper" else "black"
    return np.where(drawn < level, np.where(white, np.uint8(255), np.uint8(0)), x), f"{level:.0%} of its pixels {words}"


def _gives_back(task: ReleasedTask, release: Release) -> bool:
    """Return whether a task maps a sample (and optionally its label) to a sample."""
    taken = list(task.inputs.values())
    return taken[0] == release.sample.x == next(iter(task.outputs.values())) and (
        len(taken) == 1 or (len(taken) == 2 and _takes_label(task) and taken[1] == Label(release.sample.classes))
    )


def _takes_label(task: ReleasedTask) -> bool:
    return any(isinstance(spec, Label) and spec.shape == () for spec in task.inputs.values())


def _through(model: LoadedModel, way: tuple[str, ...], x: Array, labels: Array | None) -> Array:
    """Apply tasks to a batch, one after the other."""
    for task in way:
        given = (labels,) if _takes_label(model.release.tasks[task]) else ()
        made = model.run(task, x, *given)
        x = next(iter(made.values())) if isinstance(made, dict) else made
    return x


def placed(content: bytes, path: Path, alt: str, source: Path) -> PlacedImage:
    """Write a PNG file into a gallery. Raises :class:`ReleaseError` about `source` if it is not a readable PNG."""
    import io

    from PIL import Image as PngFile

    try:
        with PngFile.open(io.BytesIO(content), formats=["PNG"]) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, PngFile.DecompressionBombError) as error:
        raise ReleaseError(f"{source} is not a readable PNG image. Get the release again.") from error
    files.write(path, content)
    return PlacedImage(f"{FOLDER}/{path.parent.name}/{path.name}", width, height, alt)
