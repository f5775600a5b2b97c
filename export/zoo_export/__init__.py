"""From a trained run to a release: ONNX graphs over one weights file, the proof, the picture and the card.

Writing a release needs torch, onnx and onnxruntime; copying one needs none of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zoo import files
from zoo.errors import SettingError, installed, missing
from zoo.release import MANIFEST, read, verify
from zoo.sources import RECIPE, find, is_path


def export(source: str | Path, to: str | Path, *, checkpoint: str | None = None, force: bool = False) -> Path:
    """Write the release of a run folder, or a copy of a release, into the folder `to`, and return that.

    `checkpoint` is "last", "best" or a step, for run folders; without it, what the run itself releases. The release
    appears whole or not at all.
    Raises :class:`ZooError`; :class:`ParityError` means that torch and ONNX Runtime disagree, and nothing was written.
    """
    run = os.path.expanduser(source)
    if not (is_path(source) and os.path.isfile(os.path.join(run, RECIPE))):
        if checkpoint is not None:
            raise SettingError(f"{str(source)!r} is a release, which has no checkpoints. Leave --checkpoint out.")
        return copy(source, Path(to), force)
    check_installed("Writing a release")
    from zoo_export.writer import write

    return write(Path(run), Path(to), checkpoint, force)


def check_installed(purpose: str) -> None:
    """Raise :class:`MissingPackageError` for the first package that writing a release needs and that is not there."""
    for package, extra in (("torch", "train"), ("onnx", "train"), ("onnxscript", "train"), ("onnxruntime", "cpu")):
        if not installed(package):
            raise missing(package, extra, purpose)


def copy(source: str | Path, to: Path, force: bool) -> Path:
    """Copy a release, every file checked against its SHA-256 before and after."""
    release = read(find(source))
    verify(release)
    with files.new_folder(to, force) as folder:
        for name in (*release.files, MANIFEST):
            shutil.copyfile(release.folder / name, folder / name)
        verify(read(folder))
    return to
