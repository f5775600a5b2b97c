"""Specs and samples as JSON, as manifests have them, and the names that only samples have there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.contract.specs import LARGEST, LONGEST, SPECS, Array, Label, LogMel, Sample, Spec, Text
from zoo.contract.typed import shown
from zoo.core.errors import PluginError, ReleaseError


def to_json(value: Any) -> dict[str, Any]:
    """The JSON object for a spec or a generation, as in a manifest; names are in that of a sample."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.compare}
    return {"kind": value.kind, **{k: to_json(v) if hasattr(v, "kind") else v for k, v in fields.items()}}


def spec_from_json(value: Any, where: str) -> Spec:
    """The spec that a manifest's JSON object declares; a :class:`ReleaseError` that names `where` if it is none."""
    spec: Spec = from_json(value, SPECS, where)
    if any(size < 1 for size in spec.shape) or math.prod(spec.shape) > LARGEST:
        raise ReleaseError(f"{where} has the shape {list(spec.shape)}, which is not usable.")
    if isinstance(spec, Text) and spec.length > LONGEST:
        raise ReleaseError(f"{where} has texts of {spec.length} characters; at most {LONGEST} are usable.")
    if isinstance(spec, Label) and spec.classes > LARGEST:
        raise ReleaseError(f"{where} has labels of {str(spec.classes)[:40]} classes; at most {LARGEST} are usable.")
    if isinstance(spec, LogMel) and not spec.hop <= spec.window <= LARGEST // max(spec.shape):
        raise ReleaseError(f"{where} has windows of {spec.window} and hops of {spec.hop}, which are not usable.")
    return spec


def sample_to_json(sample: Sample) -> dict[str, Any]:
    """The JSON object for the form of a sample, with the names of columns and classes beside the specs.

    Older readers refuse a spec that has a field which they do not know, and ignore a key that is beside it.
    """
    specs = {"x": sample.x, **sample.fields}
    found = {name: list(spec.names) for name, spec in specs.items() if isinstance(spec, (Array, Label)) and spec.names}
    return {
        "x": to_json(sample.x),
        "fields": {name: to_json(spec) for name, spec in sample.fields.items()},
        **({"names": found} if found else {}),
    }


def named(sample: Sample, found: Mapping[str, Sequence[str]]) -> Sample:
    """The form of a sample with names of columns or classes, by field. Raises :class:`PluginError` for a misfit."""
    specs: dict[str, Any] = {"x": sample.x, **sample.fields}
    for name, values in found.items():
        if not isinstance(specs.get(name), (Array, Label)):
            raise PluginError(f"Sample: there are names of {shown(name)}, which is neither an array nor a label.")
        specs[name] = dataclasses.replace(specs[name], names=tuple(values))
    return Sample(specs.pop("x"), specs)


def named_as(spec: Spec, name: str, sample: Sample) -> Spec:
    """An input or an output `name` of a task, with the names of the field of that name, or of x, of the same form."""
    for like in (sample.fields.get(name), sample.x):
        if isinstance(spec, (Array, Label)) and isinstance(like, (Array, Label)) and spec == like:
            return dataclasses.replace(spec, names=spec.names or like.names)
    return spec


def sample_from_json(value: Any, where: str) -> Sample:
    """The form of a sample that a JSON object declares; a :class:`ReleaseError` that names `where` if it is none."""
    fields = value.get("fields", {}) if isinstance(value, dict) else None
    if not isinstance(fields, dict):
        raise ReleaseError(f"{where} is {str(value)[:80]!r}, which is not usable.")
    x = spec_from_json(value.get("x"), where)
    given = value.get("names", {})
    if not isinstance(given, dict) or not all(isinstance(names, list) for names in given.values()):
        raise ReleaseError(f"{where} has the names {str(given)[:80]}, which are not usable.")
    found = {name: spec_from_json(spec, f"{where}: field {name[:80]!r}") for name, spec in fields.items()}
    try:
        return named(Sample(x, found), given)  # type: ignore[arg-type]  # checked by Sample
    except PluginError as error:
        raise ReleaseError(f"{where} is not usable: {error}") from error


def from_json(value: Any, kinds: Mapping[str, Any], where: str) -> Any:
    """The value of one of the `kinds` that a JSON object declares; :class:`ReleaseError` that names `where` if none."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or value["kind"] not in kinds:
        raise ReleaseError(f"{where} is {str(value)[:80]!r}; its kind must be one of {', '.join(kinds)}.")
    cls = kinds[value["kind"]]
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in value.items() if key != "kind"}
    nested: Mapping[str, Any] = getattr(cls, "nested", {})
    given |= {key: from_json(given[key], inner, f"{where}: {key}") for key, inner in nested.items() if key in given}
    fields = {field.name: field for field in dataclasses.fields(cls) if field.compare}
    wanted = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if not wanted <= given.keys() <= fields.keys():
        raise ReleaseError(f"{where} has the fields {sorted(given)}; a {value['kind']} has {sorted(fields)}.")
    try:
        return cls(**given)
    except PluginError as error:
        raise ReleaseError(f"{where} is not usable: {error}") from error
