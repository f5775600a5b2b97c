"""Export of a trained run to a release: ONNX graphs over one weights file, the parity check, samples and the card.

Writing a release needs torch, onnx and onnxruntime; copying a release needs none of them.
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
from zoo.hub.resolve import find, run_folder
from zoo.release import CARD, MANIFEST, SIGNATURE, graph_check, read, verify
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
    """Write the release of a run folder, or a copy of a release, into the folder `to`, and return that folder.

    `checkpoint`, for run folders, is "last", "best" or a step; by default the checkpoint that the run releases. `uint8`
    adds graphs that take and return uint8 images. `quantize` quantises the release to float16 or 8 bits, and measures
    the loss; `quantize_loss` is the largest relative degradation of a metric that is allowed (default: that of the
    recipe), and `data` and `data_dir` select the data for calibration and metrics (default: the model's own). `format`
    "web" adds a page that runs the release with ONNX Runtime for browsers: from `runtime`, the folder of the npm
    package onnxruntime-web, or from a pinned address. The folder is written as a whole or not at all. Raises
    :class:`ZooError`; :class:`ParityError` means that torch and ONNX Runtime disagree.
    """
    if quantize not in (None, "fp16", "int8"):
        raise SettingError(f"quantize = {quantize!r} is not one of fp16, int8.")
    if quantize is None and data is not None:
        raise SettingError(f"data = {data!r} is only for quantising. Add --quantize int8, or omit --data.")
    if quantize is None and quantize_loss is not None:
        raise SettingError(f"quantize_loss = {quantize_loss} is only for quantising. Add --quantize int8, or omit it.")
    if quantize_loss is not None and not (is_number(quantize_loss) and 0 <= quantize_loss < math.inf):
        raise SettingError(f"quantize_loss = {quantize_loss!r} is not a number of at least 0, such as 0.1 for a tenth.")
    if format not in ("release", "web"):
        raise SettingError(f"format = {format!r} is not one of release, web.")
    if runtime is not None and format != "web":
        raise SettingError(f"runtime = {str(runtime)!r} is only for --format web. Omit it.")
    target, run = files.expand(to), run_folder(source)
    files.check_utf8(target)
    fill: Callable[[Path], None]
    if run is None:
        if checkpoint is not None:
            raise SettingError(f"{str(source)!r} is a release, which has no checkpoints. Omit --checkpoint.")
        if uint8:
            check_installed("Adding graphs for uint8")
        fill = partial(copy, source)
    else:
        check_installed("Writing a release")
        from zoo.training.run_folder import described
        from zoo_export.writer import write

        fill = partial(write, run, checkpoint=checkpoint)
        data = data or described(run)["recipe"]["data"]["name"]  # a release has only the name of the data
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
    """Write the quantised version of the release that `fill` writes."""
    from zoo import evaluation
    from zoo_export.quantize import quantize

    evaluation.check_installed()
    with TemporaryDirectory() as plain:
        fill(Path(plain))
        quantize(read(Path(plain)), folder, kind, bound, data, data_dir, quiet)


def check_installed(purpose: str) -> None:
    """Raise :class:`MissingPackageError` for the first missing package that writing a release needs."""
    for package in ("torch", "onnx", "onnxscript", "onnxruntime"):
        if not installed(package):
            raise missing(package, "cpu" if package == "onnxruntime" else "train", purpose)


def copy(source: str | Path, folder: Path) -> None:
    """Copy a release into an empty folder; every file is checked against its SHA-256 before and after."""
    release = read(find(source))
    verify(release)
    graph_check.check_release(release)
    beside = [  # they are not checked, and a link may lead elsewhere
        name
        for name in (CARD, SIGNATURE)
        if (release.folder / name).is_file() and not (release.folder / name).is_symlink()
    ]
    for name in (*release.files, MANIFEST, *beside):
        shutil.copyfile(release.folder / name, folder / name)
    verify(read(folder))


def tracer() -> Callable[[nn.Module, Task, str], object]:
    """The function that traces a task: to an ONNX graph if onnx is installed, else to a torch program."""
    if installed("onnx") and installed("onnxscript"):
        from zoo_export import onnx_graph

        return onnx_graph.trace
    from zoo.modules import tracing

    return tracing.program
