"""From a trained run to a release: ONNX graphs over one weights file, the proof, the picture and the card.

This package needs torch, onnx and onnxruntime; what it writes needs none but the last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import installed, missing


def export(source: str | Path, to: str | Path, *, checkpoint: str = "last", force: bool = False) -> Path:
    """Write the release of a run folder, or a copy of a release, into the folder `to`, and return that.

    `checkpoint` is "last", "best" or a step, for run folders. The release appears whole or not at all. Raises
    :class:`ZooError`; a :class:`ParityError` means that torch and ONNX Runtime disagree, and nothing was written.
    """
    for package, extra in (("torch", "train"), ("onnx", "train"), ("onnxscript", "train"), ("onnxruntime", "cpu")):
        if not installed(package):
            raise missing(package, extra, "Writing a release")

    from zoo_export.writer import copy, is_run, write

    arguments: dict[str, Any] = {"force": force}
    return (
        write(Path(source), Path(to), checkpoint, **arguments)
        if is_run(source)
        else copy(source, Path(to), **arguments)
    )
