"""Writes a release folder: weights, graphs, parity check, samples, card and manifest, all or nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.codec import tables
from zoo.contract import codec as codecs
from zoo.contract.codec import Codec
from zoo.contract.generation_plan import Plan
from zoo.contract.own_metrics import OwnMetric, how_many, in_order
from zoo.contract.spec_json import to_json
from zoo.contract.specs import Sample
from zoo.core import files
from zoo.core.errors import ExportError, ParityError, unusable
from zoo.evaluation import Measurement, measurements_file
from zoo.hub import licences
from zoo.media import grid as grids
from zoo.media import kinds
from zoo.modules import build, recorded, remove_parametrizations
from zoo.modules.torch_backend import TorchBackend
from zoo.plugin import Model, SetMetric, Task
from zoo.release import CARD, FORMAT, GENERATE, MANIFEST, WEIGHTS, given, parse, read, seal, verify
from zoo.runtime import LoadedModel, OnnxBackend, samples_of
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

SAMPLES = "samples"
"""The name of the sample files, without their endings."""
IMAGE = f"{SAMPLES}.png"
SAMPLE_FILES = frozenset(f"{SAMPLES}{ending}" for ending in (".png", ".txt", ".wav", ".csv"))
TEXT_LENGTH = 400


def write(run: Path, folder: Path, checkpoint: str | None) -> None:
    """Write the release of a run's checkpoint into an empty folder."""
    about, model, recipe, sample = run_folder.model_of(run)
    held = checkpoints.read(run, checkpoint or run_folder.released(recipe))
    module = build(model, recipe, sample, about["name"], recorded(about.get("needs"), str(run)))
    checkpoints.load_module(checkpoints.weights(held), module)
    # In eval mode: in training mode, reading a spectrally normalised weight changes it.
    module = remove_parametrizations(module.eval())
    tasks = dict(model.tasks(module))
    if not tasks:
        raise ExportError(f"{about['name']} declares no tasks, so there is nothing to release.")
    files.write(folder / run_folder.METRICS, run_folder.metrics(run, held.state.step))
    if (run / given.FILE).is_file():
        files.write(folder / given.FILE, (run / given.FILE).read_bytes())
    assemble(folder, module, model, tasks, sample, _manifest(run, about, model, tasks, held))


def assemble(
    folder: Path,
    module: torch.nn.Module,
    model: Model,
    tasks: Mapping[str, Task],
    sample: Sample,
    about: Mapping[str, Any],
) -> None:
    """Write weights, graphs, samples and card into an empty folder, and check parity.

    `about` is the manifest without the fields that describe these.
    """
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
    if (codec := model.compression(module)) is not None:
        _check_codec(manifest["name"], codec, state, tasks, sample)
        manifest["codec"] = codecs.to_json(codec)
        used.add(names[codec.tables])
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
    files.write(folder / CARD, model_card(manifest, folder))
    finish(folder, manifest)


def finish(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a release whose other files are complete, and verify the release."""
    sealed = seal({**manifest, "files": hashes(folder)})
    files.write(folder / MANIFEST, json.dumps(sealed, indent=2, ensure_ascii=False) + "\n")
    verify(read(folder))


def _check_codec(
    name: str, codec: Codec, state: Mapping[str, torch.Tensor], tasks: Mapping[str, Task], sample: Sample
) -> None:
    """Raise :class:`ExportError` for a codec that does not fit its tasks, or whose tables are not usable."""
    wrong = codec.problem(tasks, sample)
    if not wrong and codec.tables not in state:
        wrong = f"its codec has tables = {codec.tables!r}, and the module has no such buffer"
    if not wrong:
        array = state[codec.tables].detach().cpu().numpy()
        unusable_tables = tables.problem(array, codec, codec.symbols(tasks))
        wrong = unusable_tables and f"the tables {codec.tables!r} of its codec {unusable_tables}"
    if wrong:
        raise ExportError(f"{name}: {wrong}. Nothing was released.")


def _stored_names(state: Mapping[str, Any]) -> dict[str, str]:
    """Map each name in a state dict to the first name of the same tensor."""
    first: dict[Any, str] = {}
    return {name: first.setdefault((id(tensor)), name) for name, tensor in state.items()}


def write_samples(folder: Path, model: LoadedModel) -> dict[str, Any]:
    """Write ONNX Runtime's samples of seed 0 as an image, text, audio or numbers; return the manifest's ``samples``."""
    x, plan = model.release.sample.x, model.release.plan
    kind = kinds.of_sample(x)
    layout, main, count = kind.layout, x.file, kind.count(x)
    any_length = plan is not None and "length" in plan.of_loop
    length = {"length": TEXT_LENGTH} if any_length else {}
    samples = samples_of(model, count, 0, **length)
    made: dict[str, Any] = {"file": f"{SAMPLES}{main}", "seed": 0}
    if main in (".wav", ".csv"):
        made |= {"n": count}
    if kind.has_image:
        small = kind.images(samples, x, layout.columns, layout.gap)
        large = [kind.enlarged(image) for image in small]
        files.write(folder / IMAGE, grids.png(*large))
        if main == ".png":
            scale = len(large[0]) // len(small[0])
            made |= {"n": count, "columns": layout.columns, "gap": layout.gap, "scale": scale}
    for ending, content in kind.beside(samples, x).items():
        files.write(folder / f"{SAMPLES}{ending}", content)
        if ending != main:
            made["audio"] = f"{SAMPLES}{ending}"
    return made


def hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """The SHA-256 and size of every file except the manifest and the card, by name."""
    return {
        path.name: {"sha256": files.sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name not in (MANIFEST, CARD)
    }


def _measurements(run: Path, about: Mapping[str, Any], model: Model, held: checkpoints.Checkpoint) -> list[Measurement]:
    """The measurements of a checkpoint, the model's own first: from ``evaluation.json``, and else from training.

    A metric that failed in a later evaluation has no value, not even that from training.
    """
    split = f"{held.state.split or 'test'} samples of {about['data']['name']}"
    failed = measurements_file.failed(run, held.state.step)
    watched = {
        metric.name: Measurement(
            name=metric.name,
            value=held.state.metrics[metric.name],
            unit=metric.unit,
            protocol=f"{metric.protocol}; {_samples(metric, held.state.measured)} {split}",
            better=metric.better,
        )
        for metric in model.metrics
        if metric.name in held.state.metrics and metric.name not in failed
    }
    found = watched | {measurement.name: measurement for measurement in measurements_file.read(run, held.state.step)}
    return in_order(found.values(), [metric.name for metric in model.metrics])


def _samples(metric: OwnMetric, available: int) -> str:
    """The number of samples of a metric at a checkpoint."""
    count = f"{how_many(metric, available):,}"
    return f"{count} generated samples (seed 0), {count}" if isinstance(metric, SetMetric) else count


def _licence(distribution: str) -> dict[str, str]:
    """The licence of the weights, which is that of the distribution of their model, where that declares one."""
    found = licences.of_distribution(distribution)
    return {} if found == licences.UNKNOWN else {"licence": found}


def _manifest(
    run: Path, about: Mapping[str, Any], model: Model, tasks: Mapping[str, Task], held: checkpoints.Checkpoint
) -> dict[str, Any]:
    """The manifest without the fields that are known only after the files are written."""
    return {
        "format": FORMAT,
        "name": about["name"],
        "card": dataclasses.asdict(model.card),
        "plugin": about["plugin"],
        **_licence(about["plugin"]["distribution"]),
        "recipe": _recipe(about),
        "sample": about["sample"],
        "tasks": declared(tasks),
        **({} if model.generate is None else {GENERATE: f"{GENERATE}.onnx"}),
        "metrics": [measurement.to_json() for measurement in _measurements(run, about, model, held)],
        "provenance": {
            "data": about["data"],
            **({"further": about["further"]} if "further" in about else {}),
            "from": about.get("from"),
            **({"needs": about["needs"]} if about.get("needs") else {}),
            "step": held.state.step,
            "checkpoint_every": about["checkpoint_every"],
            "seconds": round(held.state.seconds, 1),
            "device": held.state.device,
            "zoo": about["zoo"],
            "commit": about["commit"],
            **versions(),
        },
    }


def _recipe(about: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of a run, in which the user's own data have no path, which may be private."""
    recipe = dict(about["recipe"])
    for field, made in {"data": about["data"], **about.get("further", {})}.items():
        recipe[field] = {**recipe[field], "name": made["name"]}
    return recipe


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
    """The versions of the packages that export and check graphs."""
    return {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": onnx_graph.OPSET,
    }
