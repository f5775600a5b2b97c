"""Writes a release folder: weights, graphs, proof, image, card and manifest, all or nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.contract.generation_plan import Plan
from zoo.contract.specs import Audio, Image, LogMel, Sample, Text, to_json
from zoo.core import files
from zoo.core.errors import ExportError, ParityError, unusable
from zoo.evaluation import Figure, measurements
from zoo.media import display, wav
from zoo.media import grid as grids
from zoo.modules import build, fold
from zoo.modules.torch_backend import TorchBackend
from zoo.plugin import Model, Task
from zoo.release import FORMAT, GENERATE, MANIFEST, WEIGHTS, parse, read, seal, verify
from zoo.runtime import LoadedModel, OnnxBackend
from zoo.training import checkpoints, run_folder

try:
    import onnx
    import onnxruntime
    import torch
    from safetensors.torch import save
except ImportError as error:
    package = (error.name or "torch").partition(".")[0]
    raise unusable(error, package, "cpu" if package == "onnxruntime" else "train", "Writing a release") from error

from zoo_export import generate_graph, onnx_graph, parity
from zoo_export.card import model_card

IMAGE = "samples.png"
TEXTS = "samples.txt"
SOUNDS = "samples.wav"
TEXT_LENGTH = 400


def write(run: Path, folder: Path, checkpoint: str | None) -> None:
    """Write the release of a run's checkpoint into an empty folder."""
    about, model, recipe, sample = run_folder.model_of(run)
    held = checkpoints.read(run, checkpoint or run_folder.released(recipe))
    module = build(model, recipe, sample, about["name"])
    checkpoints.load_module(checkpoints.weights(held), module)
    module = fold(module.eval())  # in training mode, reading a spectrally normalised weight would change it
    tasks = dict(model.tasks(module))
    if not tasks:
        raise ExportError(f"{about['name']} declares no tasks, so there is nothing to release.")
    files.write(folder / run_folder.METRICS, run_folder.metrics(run, held.state.step))
    assemble(folder, module, model, tasks, sample, _manifest(run, about, model, tasks, held))


def assemble(
    folder: Path,
    module: torch.nn.Module,
    model: Model,
    tasks: Mapping[str, Task],
    sample: Sample,
    about: Mapping[str, Any],
) -> None:
    """Write weights, graphs, proof, samples and card into an empty folder; `about` is the manifest but for those."""
    manifest = dict(about)
    state = module.state_dict(keep_vars=True)
    names = _stored_names(state)
    constants: dict[str, NDArray[Any]] = {}
    graphs: dict[str, onnx.ModelProto] = {}
    used: set[str] = set()
    for name, task in tasks.items():
        try:
            graphs[name] = onnx_graph.trace(module, task, name)
        except ExportError as error:
            raise ExportError(f"{manifest['name']}: {error}") from error
        used.update(onnx_graph.take_out(graphs[name], names, constants))
    generation = model.generation(module)
    manifest["generation"] = None if generation is None else to_json(generation)
    if generation is not None:
        graphs[GENERATE] = generate_graph.of(Plan(generation, tasks, sample), graphs)
        onnx_graph.take_out(graphs[GENERATE], {}, constants)
    tensors = {name: state[name].detach().cpu().contiguous() for name in names.values() if name in used}
    tensors |= {name: torch.from_numpy(np.array(value)) for name, value in constants.items()}

    files.write(folder / WEIGHTS, save(tensors, {"format": "pt"}))
    for name, graph in graphs.items():
        onnx_graph.point(graph, folder / WEIGHTS)
        onnx_graph.write(folder / f"{name}.onnx", graph)
    manifest["tied"] = {name: stored for name, stored in names.items() if name != stored and stored in used}
    manifest["left_out"] = [name for name, stored in names.items() if stored not in used]
    manifest["files"] = hashes(folder)
    release = parse(folder, json.loads(json.dumps(manifest)))
    backend = OnnxBackend(release, "cpu")
    try:
        manifest["parity"] = parity.prove(release, TorchBackend.of_module(module, tasks), backend)
    except ParityError as error:
        raise ParityError(f"{manifest['name']}: {error}") from error
    if release.generation is not None:
        manifest["samples"] = write_samples(folder, LoadedModel(release, backend))
    backend.close()
    files.write(folder / "README.md", model_card(manifest))
    finish(folder, manifest)


def finish(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a release whose other files are all there, and check the whole."""
    sealed = seal({**manifest, "files": hashes(folder)})
    files.write(folder / MANIFEST, json.dumps(sealed, indent=2, ensure_ascii=False) + "\n")
    verify(read(folder))


def _stored_names(state: Mapping[str, Any]) -> dict[str, str]:
    """For each name in a state dict, the first name that has the same tensor."""
    first: dict[Any, str] = {}
    return {name: first.setdefault((id(tensor)), name) for name, tensor in state.items()}


def write_samples(folder: Path, model: LoadedModel) -> dict[str, Any]:
    """Write the image of samples with seed 0, by ONNX Runtime, and the text or audio; return how they were made."""
    x = model.release.sample.x
    made: dict[str, Any]
    if isinstance(x, Text):
        plan = model.release.plan
        any_length = plan is not None and "length" in plan.options
        texts = model.generate(1, seed=0, length=TEXT_LENGTH if any_length else None)
        files.write(folder / TEXTS, texts[0] + "\n")
        image = display.image(texts, x)
        made = {"file": TEXTS, "seed": 0}
    else:
        layout = {"n": 64, "columns": 8, "gap": 1} if isinstance(x, Image) else {"n": 8, "columns": 2, "gap": 2}
        samples = model.generate(layout["n"], seed=0)
        grid = display.image(samples, x, layout["columns"], layout["gap"])
        image = grids.enlarge(grid)
        made = {"file": IMAGE, "seed": 0, **layout, "scale": len(image) // len(grid)}
        if isinstance(x, (Audio, LogMel)):
            files.write(folder / SOUNDS, wav.write(display.sounds(samples, x).reshape(-1), x.rate))
        if isinstance(x, LogMel):
            made["sound"] = SOUNDS
        if isinstance(x, Audio):
            made = {"file": SOUNDS, "seed": 0, "n": layout["n"]}
    files.write(folder / IMAGE, grids.png(image))
    return made


def hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file but the manifest, by name."""
    return {
        path.name: {"sha256": files.sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }


def _figures(run: Path, about: Mapping[str, Any], model: Model, held: checkpoints.Checkpoint) -> Collection[Figure]:
    """What was measured of this checkpoint, and what was watched as the run went on where nobody has measured it since.

    A metric that has been tried since, and could not be taken, has no value: an older one is none of it.
    """
    split = f"{held.state.split or 'test'} samples of {about['data']['name']}"
    failed = measurements.failed(run, held.state.step)
    watched = {
        measure.name: Figure(
            name=measure.name,
            value=held.state.measures[measure.name],
            unit=measure.unit,
            protocol=f"{measure.protocol}; {held.state.measured:,} {split}",
            better=measure.better,
        )
        for measure in model.measures
        if measure.name in held.state.measures and measure.name not in failed
    }
    return (watched | {figure.name: figure for figure in measurements.read(run, held.state.step)}).values()


def _manifest(
    run: Path, about: Mapping[str, Any], model: Model, tasks: Mapping[str, Task], held: checkpoints.Checkpoint
) -> dict[str, Any]:
    """The manifest but for what is known only once the files are there."""
    return {
        "format": FORMAT,
        "name": about["name"],
        "card": dataclasses.asdict(model.card),
        "plugin": about["plugin"],
        "recipe": about["recipe"] | {"data": about["data"]["name"]},  # a user's own data may name private folders
        "sample": about["sample"],
        "tasks": declared(tasks),
        **({} if model.generate is None else {GENERATE: f"{GENERATE}.onnx"}),
        "measures": [figure.to_json() for figure in _figures(run, about, model, held)],
        "provenance": {
            "data": about["data"],
            "from": about.get("from"),
            "step": held.state.step,
            "seconds": round(held.state.seconds, 1),
            "device": held.state.device,
            "zoo": about["zoo"],
            "commit": about["commit"],
            **versions(),
        },
    }


def declared(tasks: Mapping[str, Task]) -> dict[str, Any]:
    """The manifest's entry of each task: its graph, inputs and outputs."""
    return {
        name: {
            "graph": f"{name}.onnx",
            "inputs": {key: to_json(spec) for key, spec in task.inputs.items()},
            "outputs": {key: to_json(spec) for key, spec in task.outputs.items()},
        }
        for name, task in tasks.items()
    }


def versions() -> dict[str, Any]:
    """What graphs are exported and proven with."""
    return {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": onnx_graph.OPSET,
    }
