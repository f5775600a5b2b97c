"""Reads the manifest of a release, of this format or an older one, and checks that it keeps to the format.

A manifest names a plugin, and never code to import.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.contract import codec as codecs
from zoo.contract import names
from zoo.contract.generation import generation_from_json
from zoo.contract.spec_json import named, sample_from_json, spec_from_json, to_json
from zoo.contract.specs import Label, LogMel, Sample
from zoo.core.errors import NotFoundError, ReleaseError
from zoo.release import given
from zoo.release.folder import CARD, MANIFEST, QUANTIZED, WEIGHTS, Release, ReleasedTask

FORMAT = 3
"""The version of the release format; a change that an older zoo would misread adds one (docs/reference/format.md)."""

LARGEST = 2**24
"""Bytes of a manifest, at most."""

GENERATE = "generate"
"""The key of the graph that generates as a whole."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LAYOUTS = {".png": ("n", "columns", "gap", "scale"), ".wav": ("n",), ".csv": ("n",), ".txt": ()}
"""What is said of the file of samples beside its seed, by ending."""


def read(folder: Path) -> Release:
    """The release in `folder`. Raises :class:`ReleaseError` for one that is damaged or of a newer format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFoundError(f"{folder} is no release: it has no {MANIFEST}.")
    if path.stat().st_size > LARGEST:
        raise ReleaseError(f"{path} is damaged: it has {path.stat().st_size:,} bytes. Get the release again.")
    try:
        manifest = json.loads(path.read_text("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(manifest, ensure_ascii=False).encode()  # half of a surrogate pair is no text, and cannot be shown
    except (ValueError, RecursionError, OSError) as error:
        raise ReleaseError(
            f"{path} is damaged: it is not JSON ({str(error).splitlines()[0]}). Get the release again."
        ) from error
    release = parse(folder, manifest)
    expected, found = manifest.get("sha256"), seal(manifest)["sha256"]
    if expected != found:
        raise ReleaseError(
            f"{path} is damaged or altered: expected SHA-256 {str(expected)[:64]}, found {found}. "
            "Get the release again."
        )
    return release


def _renewed(manifest: Mapping[str, Any], version: int, where: str) -> dict[str, Any]:
    """A manifest of an older format with the keys of this one."""
    manifest = {**manifest, "format": FORMAT}
    if version == 1:
        manifest = {"metrics" if key == "measures" else key: value for key, value in manifest.items()}
        if isinstance(made := manifest.get("samples"), dict):
            manifest["samples"] = {"audio" if key == "sound" else key: value for key, value in made.items()}
    if version <= 2 and isinstance(sample := manifest.get("sample"), dict):
        classes = sample.get("classes", 0)
        if type(classes) is not int or classes < 0:
            raise ReleaseError(f"{where} is damaged: sample has {str(classes)[:40]!r} classes. Get the release again.")
        fields = {"label": to_json(Label(classes))} if classes else {}
        manifest["sample"] = {**{key: value for key, value in sample.items() if key != "classes"}, "fields": fields}
        if isinstance(recipe := manifest.get("recipe"), dict):
            manifest["recipe"] = _recipe(recipe, sample.get("x"))
    if version <= 2 and isinstance(made := manifest.get("generation"), dict):
        if made.get("kind") == "iterative":
            manifest["generation"] = {**made, "kind": "ddim"}
        elif made.get("kind") == "chain":
            manifest["generation"] = {"first" if key == "tokens" else key: value for key, value in made.items()}
    return manifest


_OPTIONS = {
    "image": ("size", "fit", "background", "flip", "crop"),
    "text": ("length",),
    "audio": ("seconds", "bands"),
    "log-mel": ("seconds", "bands"),
}
"""The options of the data sets of formats 1 and 2, by the kind of sample. They were fields of every recipe."""


def _recipe(recipe: Mapping[str, Any], x: Any) -> dict[str, Any]:
    """A recipe of format 1 or 2 with its data set as a name and options; those of other kinds of data are dropped."""
    every = {name for names in _OPTIONS.values() for name in names}
    own = _OPTIONS.get(str(x.get("kind")) if isinstance(x, dict) else "", ())
    options = {name: recipe[name] for name in own if name in recipe}
    kept = {key: value for key, value in recipe.items() if key not in every}
    return kept | {"data": {"name": recipe.get("data", ""), "options": options}}


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key occurs twice, since readers differ in which one they use."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the SHA-256 of its own content: its JSON with sorted keys and no spaces, without `sha256`."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def parse(folder: Path, manifest: Any) -> Release:
    """The release that a manifest declares; :class:`ReleaseError` where it does not keep to the format."""
    where = str(folder / MANIFEST)
    if not isinstance(manifest, dict):
        raise ReleaseError(f"{where} is damaged: it is not a JSON object. Get the release again.")
    version = manifest.get("format")
    if type(version) is int and version > FORMAT:
        raise ReleaseError(
            f"{where} has format {version}, and this zoo reads up to {FORMAT}. Run: pip install --upgrade genzoo"
        )
    if type(version) is not int or version < 1:
        raise ReleaseError(
            f"{where} is damaged: format is {str(version)[:40]!r}, not 1 to {FORMAT}. Get the release again."
        )
    manifest = _renewed(manifest, version, where)
    listed = {
        name: _text(_get(manifest["files"][name], "sha256", str, where), where)
        for name in _file_names(_get(manifest, "files", dict, where), where)
    }
    tasks = {
        name: _task(name, entry, f"{where}: task {name!r}")
        for name, entry in _get(manifest, "tasks", dict, where).items()
    }
    whole, uint8 = _graphs(manifest, tasks, where)
    for name in (WEIGHTS, *(task.graph for task in tasks.values()), *whole, *uint8.values()):
        if name not in listed:
            raise ReleaseError(f"{where} is damaged: {name} is not among its files. Get the release again.")
    _check_details(manifest, where)
    generation = manifest.get("generation")
    sample = _with_classes(sample_from_json(_get(manifest, "sample", dict, where), f"{where}: sample"), manifest)
    tasks = {name: task.named_as(sample) for name, task in tasks.items()}
    x = sample.x
    release = Release(
        folder=folder,
        manifest=manifest,
        name=_model_name(manifest.get("name"), where),
        sample=sample,
        tasks=tasks,
        generation=None if generation is None else generation_from_json(generation, f"{where}: generation"),
        generate=whole[0] if whole else "",
        uint8=uint8,
        files=listed,
        codec=codecs.from_json(manifest["codec"], f"{where}: codec") if "codec" in manifest else None,
    )
    wrong = "" if release.plan is None else release.plan.problem()
    wrong = wrong or ("" if release.codec is None else release.codec.problem(tasks, sample))
    if wrong:
        raise ReleaseError(f"{where} is damaged: {wrong}.")
    if release.plan is not None and release.plan.given() and given.FILE not in listed:
        raise ReleaseError(
            f"{where} is damaged: generation starts from what is given, and {given.FILE} is not among its files. "
            "Get the release again."
        )
    made = manifest.get("samples", {})
    for key, ending in (("file", x.file), ("audio", ".wav" if isinstance(x, LogMel) else None)):
        if key in made and Path(str(made[key])).suffix != ending:
            raise ReleaseError(f"{where}: samples of {x.kind} are in {str(made[key])[:80]!r}, which cannot be.")
    return release


def _with_classes(sample: Sample, manifest: Mapping[str, Any]) -> Sample:
    """The form of a sample with the names of its classes, of which older manifests have only those of the data."""
    label, data = sample.fields.get("label"), manifest["provenance"].get("data")
    classes = data.get("classes") if isinstance(data, dict) else None
    if not isinstance(label, Label) or label.names or not isinstance(classes, list):
        return sample
    fits = len(classes) == sample.classes and all(isinstance(name, str) for name in classes)
    return named(sample, {"label": classes}) if fits else sample


def _graphs(
    manifest: Mapping[str, Any], tasks: Mapping[str, ReleasedTask], where: str
) -> tuple[list[str], dict[str, str]]:
    """The file name of the graph that generates, if there is one, and those of the graphs for uint8 by task."""
    whole = [_get(manifest, GENERATE, str, where)] if GENERATE in manifest else []
    uint8 = _get(manifest, "uint8", dict, where) if "uint8" in manifest else {}
    if (whole and manifest.get("generation") is None) or not uint8.keys() <= {*tasks, *([GENERATE] if whole else ())}:
        raise ReleaseError(f"{where} is damaged: it has graphs for what it has not. Get the release again.")
    return [_graph_name(name, where) for name in whole], {
        task: _graph_name(_text(name, where), where) for task, name in uint8.items()
    }


def _check_details(manifest: Mapping[str, Any], where: str) -> None:
    """Raise :class:`ReleaseError` unless what tools read beside the tasks has the right types."""
    for part, keys in (("card", ("title", "summary", "paper", "citation")), ("plugin", ("distribution", "version"))):
        entry = _get(manifest, part, dict, where)
        for key in keys:
            _get(entry, key, str, f"{where}: {part}")
    if "licence" in manifest:
        _text(manifest["licence"], f"{where}: licence")
    for part in ("recipe", "provenance", "tied"):
        _get(manifest, part, dict, where)
    provenance = manifest["provenance"]
    for part in ("data", "needs"):
        if provenance.get(part) is not None:
            _get(provenance, part, dict, f"{where}: provenance")
    for key in ("name", "source", "licence"):
        if key in (provenance.get("data") or {}):
            _get(provenance["data"], key, str, f"{where}: provenance: data")
    for name, one in (provenance.get("needs") or {}).items():
        for key in ("name", "sha256"):
            _get(one, key, str, f"{where}: provenance: needs: {str(name)[:40]!r}")
    data = _get(manifest["recipe"], "data", dict, f"{where}: recipe")
    _get(data, "name", str, f"{where}: recipe: data")
    _get(data, "options", dict, f"{where}: recipe: data")
    for metric in _get(manifest, "metrics", list, where):
        for key, kind in (("name", str), ("value", (int, float)), ("unit", str), ("protocol", str)):
            _get(metric, key, kind, f"{where}: metrics")
        _check_measurement(metric, f"{where}: metrics")
    for name in (*_get(manifest, "left_out", list, where), *manifest["tied"].values()):
        _text(name, f"{where}: left_out or tied")
    for name, entry in manifest["files"].items():
        _get(entry, "bytes", int, f"{where}: {name}")
    if "parity" in manifest:
        for task, rows in _get(_get(manifest, "parity", dict, where), "tasks", dict, f"{where}: parity").items():
            for batch in _get({task: rows}, task, dict, f"{where}: parity"):
                _get(rows, batch, (int, float), f"{where}: parity: {task}")
    if QUANTIZED in manifest:
        _check_quantized(_get(manifest, QUANTIZED, dict, where), f"{where}: {QUANTIZED}")
    if "samples" in manifest:
        made = _get(manifest, "samples", dict, where)
        ending = Path(_get(made, "file", str, f"{where}: samples")).suffix
        for key in ("seed", *_LAYOUTS.get(ending, ())):
            least = 0 if key in ("seed", "gap") else 1
            if not least <= _get(made, key, int, f"{where}: samples") <= 4096:
                raise ReleaseError(f"{where}: samples has {key} = {made[key]}, which is out of range.")


def _check_quantized(entry: Mapping[str, Any], where: str) -> None:
    """Raise :class:`ReleaseError` unless what tools read of a quantised release has the right types."""
    for key in ("kind", "of"):
        _text(_get(entry, key, str, where), where)
    for loss in _get(entry, "losses", list, where):
        for key, kind in (("name", str), ("unit", str), ("float", (int, float)), ("quantized", (int, float))):
            _get(loss, key, kind, f"{where}: losses")
        _get(loss, "loss", (int, float), f"{where}: losses")
    for side in ("float", "quantized"):
        _get(_get(entry, "bytes", dict, where), side, int, f"{where}: bytes")


def _check_measurement(metric: Mapping[str, Any], where: str) -> None:
    """Raise :class:`ReleaseError` unless what a metric may have beside its value has the right types."""
    for key, kind in (("low", (int, float)), ("high", (int, float)), ("interval", str), ("better", str)):
        if metric.get(key) is not None:
            _get(metric, key, kind, where)
    if metric.get("baseline") is not None:
        _get(metric["baseline"], "name", str, where)
        _get(metric["baseline"], "value", (int, float), where)


def _get(value: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    most = 2**1000 if kind == (int, float) else 2**63  # no float, and no file, is larger
    too_large = isinstance(found, int) and abs(found) > most
    if not isinstance(found, kind) or too_large:
        raise ReleaseError(f"{where} is damaged: {key} is missing or not of the right type. Get the release again.")
    return found


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ReleaseError(f"{where} is {str(value)[:40]!r}, and should be text. Get the release again.")
    return value


def _model_name(name: Any, where: str) -> str:
    if not names.BOTH.fullmatch(_text(name, f"{where}: name")):
        raise ReleaseError(f"{where} has the name {name[:80]!r}, which is not allowed.")
    return str(name)


def _file_names(listed: Mapping[str, Any], where: str) -> list[str]:
    """The files but the card, which older releases list. No two may be one file where case does not count."""
    found: list[str] = []
    taken = {MANIFEST.lower(), CARD.lower()}
    for name in listed:
        if name != CARD:
            found.append(_file_name(name, where))
            if name.lower() in taken:
                raise ReleaseError(
                    f"{where} lists the file name {name!r}, which another file has but for upper and lower case."
                )
            taken.add(name.lower())
    return found


def _file_name(name: str, where: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise ReleaseError(f"{where} lists the file name {name[:80]!r}, which is not allowed.")
    return name


def _graph_name(name: str, where: str) -> str:
    if not name.endswith(".onnx"):  # ONNX Runtime reads files of other endings as other formats
        raise ReleaseError(f"{where} has the graph {name[:80]!r}, which is no .onnx file. Get the release again.")
    return _file_name(name, where)


def _task(name: str, entry: Any, where: str) -> ReleasedTask:
    if problem := names.task_problem(name):
        raise ReleaseError(f"{where} {problem}.")
    specs = {
        side: {
            _text(key, where): spec_from_json(value, f"{where}, {key!r}")
            for key, value in _get(entry, side, dict, where).items()
        }
        for side in ("inputs", "outputs")
    }
    if not specs["inputs"] or not specs["outputs"]:
        raise ReleaseError(f"{where} has no inputs or no outputs. Get the release again.")
    for key in (*specs["inputs"], *specs["outputs"]):
        if problem := names.argument_problem(key):
            raise ReleaseError(f"{where}: the input or output {key[:80]!r} {problem}.")
    return ReleasedTask(_graph_name(_text(entry.get("graph"), where), where), specs["inputs"], specs["outputs"])
