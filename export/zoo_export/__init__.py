"""From a trained run to a release: ONNX graphs over one weights file, the proof, the image and the card.

Writing a release needs torch, onnx and onnxruntime; copying one needs none of them.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from zoo.core import files
from zoo.core.arguments import is_number
from zoo.core.errors import SettingError, installed, missing
from zoo.release import MANIFEST, read, verify
from zoo.release.resolve import find, run_folder
from zoo_export import web_bundle

if TYPE_CHECKING:
    from torch import nn

    from zoo.plugin import Task


def export(
    source: str | Path,
    to: str | Path,
    *,
    checkpoint: str | None = None,
    uint8: bool = False,
    format: Literal["release", "web"] = "release",
    runtime: str | Path | None = None,
    quantize: Literal["fp16", "int8"] | None = None,
    quantize_loss: float | None = None,
    data: str | None = None,
    data_dir: str | Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Path:
    """Write the release of a run folder, or a copy of a release, into the folder `to`, and return that.

    `checkpoint` is "last", "best" or a step, for run folders; without it, what the run itself releases. `uint8` adds
    graphs that take and give images as they lie in files. `quantize` makes the release smaller, in float16 or in 8
    bits, and measures what it lost; `quantize_loss` is the part of itself by which a metric may get worse, that of the
    recipe unless given; `data` and `data_dir` say on what, the model's own data unless given. `format`
    "web" puts a page around it, which runs it with ONNX Runtime for browsers: from `runtime`, the folder of the npm
    package onnxruntime-web, or from a pinned address. The folder appears whole or not at all.
    Raises :class:`ZooError`; :class:`ParityError` means that torch and ONNX Runtime disagree, and nothing was written,
    as where quantising loses more than is allowed.
    """
    if quantize not in (None, "fp16", "int8"):
        raise SettingError(f"quantize = {quantize!r} is not one of fp16, int8.")
    if quantize is None and data is not None:
        raise SettingError(f"data = {data!r} is for quantising alone. Add --quantize int8, or leave --data out.")
    if quantize is None and quantize_loss is not None:
        raise SettingError(
            f"quantize_loss = {quantize_loss} is for quantising alone. Add --quantize int8, or leave it out."
        )
    if quantize_loss is not None and not (is_number(quantize_loss) and 0 <= quantize_loss < math.inf):
        raise SettingError(f"quantize_loss = {quantize_loss!r} is not a number of at least 0, such as 0.1 for a tenth.")
    if format not in ("release", "web"):
        raise SettingError(f"format = {format!r} is not one of release, web.")
    if runtime is not None and format != "web":
        raise SettingError(f"runtime = {str(runtime)!r} is for --format web. Leave it out.")
    target, run = files.expand(to), run_folder(source)
    fill: Callable[[Path], None]
    if run is None:
        if checkpoint is not None:
            raise SettingError(f"{str(source)!r} is a release, which has no checkpoints. Leave --checkpoint out.")
        if uint8:
            check_installed("Adding graphs for uint8")
        fill = partial(copy, source)
    else:
        check_installed("Writing a release")
        from zoo.training.run_folder import described
        from zoo_export.writer import write

        fill = partial(write, run, checkpoint=checkpoint)
        data = data or described(run)["recipe"]["data"]  # a release keeps no private folders
    if quantize is not None:
        check_installed("Quantising")
        fill = partial(_quantize, fill, kind=quantize, bound=quantize_loss, data=data, data_dir=data_dir, quiet=quiet)
    mark = web_bundle.MARK if format == "web" else MANIFEST
    with files.new_folder(target, force, mark) as folder:
        release = folder / web_bundle.MODEL if format == "web" else folder
        release.mkdir(exist_ok=True)
        fill(release)
        if uint8:
            from zoo_export.uint8 import add

            add(release)
        if format == "web":
            web_bundle.write(folder, None if runtime is None else files.expand(runtime))
    return target


def _quantize(
    fill: Callable[[Path], None],
    folder: Path,
    kind: Literal["fp16", "int8"],
    bound: float | None,
    data: str | None,
    data_dir: str | Path | None,
    quiet: bool,
) -> None:
    """Write the quantised release of the one that `fill` writes."""
    from zoo import evaluation
    from zoo_export.quantize import quantize

    evaluation.check_installed()
    with TemporaryDirectory() as plain:
        fill(Path(plain))
        quantize(read(Path(plain)), folder, kind, bound, data, data_dir, quiet)


def check_installed(purpose: str) -> None:
    """Raise :class:`MissingPackageError` for the first package that writing a release needs and that is not there."""
    for package in ("torch", "onnx", "onnxscript", "onnxruntime"):
        if not installed(package):
            raise missing(package, "cpu" if package == "onnxruntime" else "train", purpose)


def copy(source: str | Path, folder: Path) -> None:
    """Copy a release into an empty folder, every file checked against its SHA-256 before and after."""
    release = read(find(source))
    verify(release)
    for name in (*release.files, MANIFEST):
        shutil.copyfile(release.folder / name, folder / name)
    verify(read(folder))


def tracer() -> Callable[[nn.Module, Task, str], object]:
    """What makes the graph of a task with what is installed: ONNX's, or else torch's own program."""
    if installed("onnx") and installed("onnxscript"):
        from zoo_export import onnx_graph

        return onnx_graph.trace
    from zoo.modules import tracing

    return tracing.program
