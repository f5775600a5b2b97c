"""Export the graphs of a release again from its weights, after a change of the exporter or of a task's computation."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import load_file

from zoo import registry
from zoo.core import files
from zoo.core.errors import ExportError, ParityError
from zoo.modules import of_release
from zoo.release import FORMAT, MANIFEST, WEIGHTS, Release, ReleasedTask, given, read
from zoo.runtime import OnnxBackend
from zoo.runtime.derived import ATOL, RTOL
from zoo.runtime.example_inputs import SEED, example_asked
from zoo.sampling import generation
from zoo.training import run_folder
from zoo_export import onnx_graph, parity, uint8, writer

MADE_ANEW = ("sha256", "files", "tied", "left_out", "parity", "samples", "uint8")
"""The manifest's fields about its files. All others stay, such as the recipe, the metrics and the provenance."""


def refresh(folder: Path) -> list[str]:
    """Replace a release by a new export of the same weights; return the names of the changed files.

    Every weight stays bit-identical. The new graphs are checked against torch and against the old graphs, so every seed
    gives the same samples. Nothing is written if no graph has changed and the format is the newest. Raises
    :class:`ExportError` or :class:`ParityError` if weights or results would change, and :class:`ReleaseError` if the
    installed plugin does not fit the release.
    """
    old = read(folder)
    with TemporaryDirectory() as place:
        new = _export(old, Path(place))
        _check_weights(old, new)
        _check_results(old, new)
        graphs = [name for name in {*old.files, *new.files} if name.endswith(".onnx") or name == WEIGHTS]
        same_format = json.loads((folder / MANIFEST).read_text("utf-8"))["format"] == FORMAT
        if same_format and all(old.files.get(name) == new.files.get(name) for name in graphs):
            return []
        with files.new_folder(folder, force=True) as beside:
            for path in new.folder.iterdir():
                shutil.copyfile(path, beside / path.name)
    changed = {name for name in {*old.files, *new.files} if old.files.get(name) != new.files.get(name)}
    return sorted(changed) or [MANIFEST]


def _export(old: Release, folder: Path) -> Release:
    """Export a release again into an empty folder."""
    model = registry.load(registry.split(old.name)[0])
    module = of_release(old)
    tasks = dict(model.tasks(module))
    about = {key: value for key, value in old.manifest.items() if key not in MADE_ANEW}
    about["tasks"] = writer.declared(tasks)
    if given.FILE in old.files:
        files.write(folder / given.FILE, old.content(given.FILE))
    about["provenance"] = old.manifest["provenance"] | writer.versions()
    writer.assemble(folder, module, model, tasks, old.sample, about)
    if old.uint8:
        uint8.add(folder)
    for name in ({run_folder.METRICS} | writer.SAMPLE_FILES) & old.files.keys():
        shutil.copyfile(old.path(name), folder / name)  # another processor may round a pixel differently
    writer.finish(
        folder, {**read(folder).manifest, **{key: old.manifest[key] for key in ("samples",) if key in old.manifest}}
    )
    return read(folder)


def _check_weights(old: Release, new: Release) -> None:
    """Raise :class:`ExportError` unless both releases have the same weights; other constants may differ."""
    before, after = (
        {name: array for name, array in load_file(release.path(WEIGHTS)).items() if _is_weight(name)}
        for release in (old, new)
    )
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after or before[name].tobytes() != after[name].tobytes():
            raise ExportError(
                f"{old.name}: the weight {name!r} would change, and released weights must not. Train the model again."
            )


def _is_weight(name: str) -> bool:
    return not name.startswith(onnx_graph.RESERVED)


def _check_results(old: Release, new: Release) -> None:
    """Raise :class:`ParityError` unless both releases compute the same.

    A task may give way to another one, as long as the samples stay what they are.
    """
    before, after = OnnxBackend(old, "cpu"), OnnxBackend(new, "cpu")
    same = {name: task for name, task in old.tasks.items() if _form(task) == _form(new.tasks.get(name))}
    changed = old.generation != new.generation or (old.plan is not None and not {*old.plan.uses} <= same.keys())
    try:
        parity.compare(replace(old, tasks=same, generation=None if changed else old.generation), before, after, (3,))
        if changed:
            _check_samples(old, new, before, after)
    except ParityError as error:
        raise ParityError(f"{old.name}: the new graphs differ from the old ones. {error}") from error
    finally:
        before.close()
        after.close()


def _form(task: ReleasedTask | None) -> object:
    return None if task is None else (list(task.inputs.items()), list(task.outputs.items()))


def _check_samples(old: Release, new: Release, before: OnnxBackend, after: OnnxBackend) -> None:
    """Raise :class:`ParityError` unless both releases, which generate in another way, give the same samples."""
    if old.plan is None or new.plan is None:
        raise ParityError("One of them generates, and the other does not.")
    indices = np.arange(3)
    made = []
    for release, backend in ((old, before), (new, after)):
        assert release.plan is not None
        asked = example_asked(release.plan, indices, numbers=False)  # a default may have been fixed before
        made.append(generation.sample(backend.run, release.plan, indices, SEED, asked, generation.Request()))
    if made[0].shape != made[1].shape or not np.allclose(made[0], made[1], RTOL, ATOL):
        raise ParityError(f"Their samples of seed {SEED} differ.")
