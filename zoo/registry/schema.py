"""The schema of ``registry.yaml``, and what is wrong with one: checked when it is written and read, and by zoo doctor.

str, int, …         a value of that type, a number for float; a bool is no number
COMMIT              a full commit: 40 digits of 0-9 and a-f
{"key": form}       a mapping that has these keys; one marked "key?" may be absent; others are left unread
Each(form)          a mapping of any names
Many(form)          a list
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 2
"""The version of the schema; a change that an older zoo would misread adds one."""


@dataclass(frozen=True)
class Each:
    """A mapping of any names to values of one form."""

    form: Any


@dataclass(frozen=True)
class Many:
    """A list of values of one form."""

    form: Any


COMMIT = re.compile(r"[0-9a-f]{40}")

MEASUREMENT = {
    "name": str,
    "value": float,
    "low?": float,
    "high?": float,
    "unit": str,
    "better": str,
    "protocol": str,
    "interval?": str,
    "baseline?": {"name": str, "value": float},
}
"""A measurement with its 95% interval, its protocol and its baseline."""

MODEL = {
    "title": str,
    "summary": str,
    "paper": str,
    "citation": str,
    "tasks": Each(str),
    "settings": Each({"default": object, "help": str}),
    "recipes": Each({"data": str}),
    "needs?": Each(Each(str)),
}
"""A model: its card, each task as "inputs → outputs", its own settings, what each recipe changes, and, of the recipes
that are built with other releases, the SOURCE of each by argument of `build`."""

RELEASE = {
    "package": str,
    "folder": str,
    "hub?": {"repository": str, "revision": COMMIT, "signer?": str},
    "mirror?": str,
    "manifest_sha256": str,
    "bytes": int,
    "licence": str,
    "data": {"name": str, "licence": str, "sha256": str},
    "training": {"steps": int, "seconds": float, "device": str, "seed": int, "commit": str},
    "parity": float,
    "metrics": Many(MEASUREMENT),
}
"""A set of weights: where it is (a folder of an installed package; a Hub repository at a full commit, a mirror), the
SHA-256 of its manifest, which has those of all else, and where the weights come from. `parity` is the largest
difference between torch and ONNX Runtime over all tasks."""

PINNED = ("package", "folder", "manifest_sha256", "hub?")
"""Fields of a set of weights that loading it by name needs."""

INDEXED = {
    "title": str,
    "tasks": Many(str),
    "recipes": Each(str),
    "released": Each({key: RELEASE[key] for key in PINNED}),
    "needs?": Each(Each(str)),
}
"""A model in the index: the data set of each recipe, where the released weights of some are, and what some need."""

KNOWN_FILE = {
    "name": str,
    "sha256": str,
    "of": str,
    "listing?": str,
    "folders": Many(str),
    "addresses": Many(str),
    "candidates": Many(Many(str)),
}
"""A file of a data set: its hash and what of, where it is looked for, from where it is downloaded, and every path below
the data folder where it may be (:attr:`zoo.KnownFile.candidates`)."""

DATA = {
    "title": str,
    "source": str,
    "licence": str,
    "citation": str,
    "split": str,
    "proven": bool,
    "place?": str,
    "package?": str,
    "train?": int,
    "test?": int,
    "fields?": Each({"kind": str, "shape": Many(int), "classes?": int}),
    "classes": Many(str),
    "options": Each({"default": object, "help": str}),
    "files": Each(Many(KNOWN_FILE)),
    "unpacked": Each(Many(KNOWN_FILE)),
}
"""A data set: its card, its counts, the form of its fields with the default options, its options and its files."""

LISTED = ("title", "licence", "place", "package", "train", "test")
INDEXED_DATA = {
    **{key: form for key, form in DATA.items() if key.removesuffix("?") in LISTED},
    "kind?": str,
    "shape?": Many(int),
    "classes": int,
    "files": Each(Many(Many(Many(str)))),
    "unpacked": Each(Many(Many(Many(str)))),
}
"""A data set in the index: what its row in a list says, and where its files may be."""

INDEX, DATA_INDEX = "index", "data_index"
"""The keys of the indices of models and of data sets."""

HEADS = {
    INDEX: {"format": int, INDEX: Each(INDEXED)},
    DATA_INDEX: {"format": int, DATA_INDEX: Each(INDEXED_DATA)},
}
REGISTRY = {"format": int, "contract?": str, "models": Each(MODEL), "releases?": Each(RELEASE), "data?": Each(DATA)}


def problem_of(content: Any) -> str:
    """What is wrong with the content of a ``registry.yaml``, in words that follow its path; or ``""``."""
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        return f"is not a registry of format {FORMAT}"
    problem = _problem(content, REGISTRY, "")
    for key, made in ((INDEX, index_of), (DATA_INDEX, data_index_of)):
        if not problem and content.get(key) not in (None, made(content)):
            return f"has {'an index' if key == INDEX else f'a {key}'} that does not say what the rest says"
    return problem


def problem_of_head(head: Any, key: str = INDEX) -> str:
    """The same for the format and one index alone."""
    if not isinstance(head, Mapping) or head.get("format") != FORMAT:
        return f"is not a registry of format {FORMAT}"
    return _problem(head, HEADS[key], "")


def index_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What lists of models and loading by name need of a whole registry, by model. It is read alone."""
    weights = content.get("releases") or {}
    return {
        model: {
            "title": entry["title"],
            "tasks": list(entry["tasks"]),
            "recipes": {recipe: fields["data"] for recipe, fields in entry["recipes"].items()},
            "released": {
                recipe: _pinned(weights[f"{model}.{recipe}"])
                for recipe in entry["recipes"]
                if f"{model}.{recipe}" in weights
            },
            **({"needs": entry["needs"]} if entry.get("needs") else {}),
        }
        for model, entry in content["models"].items()
    }


def _pinned(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in (name.removesuffix("?") for name in PINNED) if key in entry}


def data_index_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the list of data sets needs of a whole registry, by name. It is read alone."""
    indexed = {}
    for name, entry in (content.get("data") or {}).items():
        x = (entry.get("fields") or {}).get("x")
        indexed[name] = {
            **{key: entry[key] for key in LISTED if entry.get(key) is not None},
            **({"kind": x["kind"], "shape": x["shape"]} if x else {}),
            "classes": len(entry["classes"]),
            **{
                key: {split: [file["candidates"] for file in files] for split, files in entry[key].items()}
                for key in ("files", "unpacked")
            },
        }
    return indexed


def _problem(value: Any, form: Any, where: str) -> str:
    if isinstance(form, dict):
        if not isinstance(value, Mapping):
            return _wrong(value, "a mapping", where)
        for key, inner in form.items():
            name = key.removesuffix("?")
            if value.get(name) is None:
                if key == name:
                    return f"has no {_path(where, name)}"
            elif problem := _problem(value[name], inner, _path(where, name)):
                return problem
        return ""
    if isinstance(form, Each):
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            return _wrong(value, "a mapping of names", where)
        return next(filter(None, (_problem(item, form.form, _path(where, name)) for name, item in value.items())), "")
    if isinstance(form, Many):
        if not isinstance(value, list):
            return _wrong(value, "a list", where)
        parts = (_problem(item, form.form, _path(where, str(place))) for place, item in enumerate(value))
        return next(filter(None, parts), "")
    if form is COMMIT:
        return "" if isinstance(value, str) and COMMIT.fullmatch(value) else _wrong(value, "a full commit", where)
    kinds = (int, float) if form is float else form
    fits = isinstance(value, kinds) and not (isinstance(value, bool) and form in (int, float))
    return "" if fits else _wrong(value, form.__name__, where)


def _wrong(value: Any, wanted: str, where: str) -> str:
    return f"has {where or 'content'} = {str(value)[:60]!r}, which is not {wanted}"


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
