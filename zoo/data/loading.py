"""Loads one split of a data set: finds or downloads its files, calls its plugin, and checks what that returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.contract import typed
from zoo.contract.data import DataSet, ImageOptions, Loaded, Options, Split
from zoo.contract.spec_json import named
from zoo.contract.specs import Label, Sample
from zoo.contract.use import Use
from zoo.core import files
from zoo.core.errors import PluginError
from zoo.data import fitting, where
from zoo.data.data_split import DataSplit, fingerprint, resized
from zoo.data.known_file import Progress
from zoo.data.stream import Stream
from zoo.data.uses import data_set, options_of
from zoo.data.where import locate
from zoo.media.images import shown


def load_split(use: Use, split: Split, data_dir: Path, progress: Progress | None) -> DataSplit:
    """Load one split of a data set with its options, as :func:`zoo.data.load` says."""
    known, options = data_set(use.name), options_of(use)
    folder = files.expand(use.place) if known.place else data_dir
    _fetch(known, split, data_dir, progress)
    with registry.calling(use.kind, f"the function {typed.name_of(known.load)!r}", known.load, group=registry.DATA):
        result = known.load(split, folder, options)
    loaded = _loaded(use, known, result)
    sample = loaded.sample or form(use.kind, known, options)
    if sample is None:
        raise _fault(use, known, "neither the data set nor its load gives the form of the fields. Give sample=…")
    if loaded.sample is not None and (wrong := fitting.problem_of_names(sample)):
        raise _fault(use, known, wrong)
    if wrong := fitting.problem(sample, loaded.fields) or _wrong_count(known, split, options, len(loaded.fields["x"])):
        raise _fault(use, known, wrong)
    label = sample.fields.get("label")
    classes = loaded.classes or known.classes or (label.names if isinstance(label, Label) else ())
    if classes and len(classes) != sample.classes:
        raise _fault(use, known, f"it names {len(classes)} classes, and the label has {sample.classes}")
    if sample.classes and classes:
        sample = named(sample, {"label": classes})
    fields = {name: fitting.as_held(sample[name], loaded.fields[name]) for name in ("x", *sample.fields)}
    fields = {name: _guarded(use, held) if isinstance(held, Stream) else held for name, held in fields.items()}
    name = f"{use.kind}:{shown(folder.absolute().name)}" if known.place else use.name
    data = DataSplit(
        name=name,
        split=split,
        sample=sample,
        fields=fields,
        source=loaded.source or known.card.source,
        licence=known.card.licence,
        sha256=loaded.sha256 or _fingerprint(use, known, sample, fields),
        classes=classes if sample.classes else (),
        note=loaded.note,
        options=options,
    )
    return resized(data, options) if isinstance(options, ImageOptions) else data


def form(name: str, known: DataSet, options: Options) -> Sample | None:
    """Return the form of the fields as a data set declares it, before zoo resizes; None where only the data says it."""
    if known.sample is None:
        return None
    said = f"the function {typed.name_of(known.sample)!r}, which gives the form of the fields,"
    with registry.calling(name, said, known.sample, group=registry.DATA):
        sample: Any = known.sample(options)
    if not isinstance(sample, Sample):
        why = f"sample gives {typed.shown(sample)}, and should give a zoo.Sample"
        raise registry.fault(name, why, known.sample, group=registry.DATA)
    if wrong := fitting.problem_of_names(sample):
        raise registry.fault(name, wrong, known.sample, group=registry.DATA)
    return sample


def _fetch(known: DataSet, split: Split, data_dir: Path, progress: Progress | None) -> None:
    """Download the missing files of a split."""
    for file in where.chosen(known, split, data_dir):
        if locate(file, data_dir) is None:
            from zoo.data.download import fetched

            fetched(file, data_dir, progress)


def _loaded(use: Use, known: DataSet, result: Any) -> Loaded:
    if isinstance(result, Loaded):
        return result
    if not isinstance(result, Mapping) or not all(isinstance(name, str) for name in result):
        wanted = "and should return the array of each field, {'x': …, 'label': …}, or a zoo.Loaded"
        raise _fault(use, known, f"load returns {typed.shown(result)}, {wanted}")
    return Loaded(fields=result)


def _wrong_count(known: DataSet, split: Split, options: Options, count: int) -> str:
    """Return that a split has not as many samples as declared, or ``""``.

    The declared number is that of the default options: those of :class:`ImageOptions`, which zoo applies, change none.
    """
    declared = known.train if split == "train" else known.test
    default, zoos = type(options)(), {field.name for field in dataclasses.fields(ImageOptions)}
    own = [field.name for field in dataclasses.fields(options) if field.name not in zoos]
    if declared in (None, count) or any(getattr(options, name) != getattr(default, name) for name in own):
        return ""
    said = f"load gives {count:,} samples of the split {split!r}, and the data set declares {split}={declared}"
    return f"{said}. Write {split}={count}, or leave it out"


def _guarded(use: Use, stream: Stream) -> Stream:
    """Return a stream in which an error of the plugin's `decode` is one line with its file and line."""
    return dataclasses.replace(stream, decode=partial(_decode, use.kind, stream.decode))


def _decode(name: str, decode: Any, path: Path, into: Any) -> None:
    said = f"the function {typed.name_of(getattr(decode, 'func', decode))!r}, which reads an image of a stream,"
    with registry.calling(name, said, decode, group=registry.DATA):
        decode(path, into)


def _fingerprint(use: Use, known: DataSet, sample: Sample, fields: Mapping[str, Any]) -> str:
    if any(isinstance(held, Stream) for held in fields.values()):
        raise _fault(use, known, "load gives a stream, whose content is not read, and no sha256. Return a zoo.Loaded")
    label = fields["label"] if sample.classes else None
    others = {name: held for name, held in fields.items() if name != "x" and (name != "label" or label is None)}
    return fingerprint(fields["x"], label, others)


def _fault(use: Use, known: DataSet, why: str) -> PluginError:
    return registry.fault(use.kind, why, known.load, group=registry.DATA)
