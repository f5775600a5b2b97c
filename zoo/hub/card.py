"""The metadata of a release for the Hub, from its manifest alone, and the card that carries it as YAML front matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from zoo.contract.generation import generation_from_json
from zoo.contract.generation_plan import Plan
from zoo.contract.metric import from_json
from zoo.contract.spec_json import sample_from_json, spec_from_json
from zoo.contract.specs import Audio, Image, LogMel, Spec, Text, Video
from zoo.hub import licences, reasons
from zoo.hub.source import MAIN, PREFIX
from zoo.media import kinds
from zoo.release import QUANTIZED, ReleasedTask

LIBRARY = "genzoo"
"""The name of this library on the Hub, by which releases are found there."""

OTHER = "other"

FIELDS = (
    "library_name",
    "pipeline_tag",
    "license",
    "license_name",
    "tags",
    "datasets",
    "thumbnail",
    "model-index",
)
"""Every field that :func:`metadata` may give."""

_BLOCK = re.compile(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|$)", re.DOTALL | re.MULTILINE)
_GENERATED_FROM = {
    Image: {"text": "text-to-image", "image": "image-to-image", "": "unconditional-image-generation"},
    Text: {"image": "image-to-text", "": "text-generation"},
    Video: {"text": "text-to-video", "image": "image-to-video"},
    Audio: {"text": "text-to-audio", "audio": "audio-to-audio"},
    LogMel: {"text": "text-to-audio", "audio": "audio-to-audio"},
}
"""The Hub's tasks (https://huggingface.co/tasks) by what is generated, and the kind of what it is generated from."""


def metadata(
    manifest: Mapping[str, Any], *, licence: str = "", repository: str = "", revision: str = MAIN
) -> dict[str, Any]:
    """The Hub's metadata of a release: the fields of its card.

    `licence` is used in place of that of the manifest. The thumbnail is the image of samples in `repository`, which
    needs its full address. There is none without `repository`, nor on a Hub of one's own, whose address stays private.
    """
    samples = "samples.png"
    tag = pipeline_tag(manifest)
    data = [name for name in _data_names(manifest) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)]
    has_thumbnail = repository and samples in manifest.get("files", {}) and reasons.endpoint() == reasons.PUBLIC
    thumbnail = f"{reasons.PUBLIC}/{repository}/resolve/{revision}/{samples}"
    return {
        "library_name": LIBRARY,
        "pipeline_tag": tag,
        **licences.on_the_hub(licence or licences.of_manifest(manifest)),
        "tags": tags(manifest),
        **({"datasets": data} if data else {}),
        **({"thumbnail": thumbnail} if has_thumbnail else {}),
        **({"model-index": [_results(manifest, tag)]} if manifest["metrics"] else {}),
    }


def pipeline_tag(manifest: Mapping[str, Any]) -> str:
    """What the Hub calls what a release does: the task of its generation, else of the first task that fits."""
    x = _spec(manifest["sample"]["x"])
    if (plan := plan_of(manifest)) is not None:
        table = _GENERATED_FROM.get(type(x), {})
        given = {"audio" if isinstance(spec, LogMel) else spec.kind for spec in plan.inputs("given").values()}
        return next((table[kind] for kind in (*sorted(given, reverse=True), "") if kind in table), OTHER)
    takes_and_gives = [
        (
            {_spec(spec).kind for spec in task["inputs"].values()},
            {_spec(spec).kind for spec in task["outputs"].values()},
        )
        for task in manifest["tasks"].values()
    ]
    if not isinstance(x, Image):
        return OTHER
    if "classify" in manifest["tasks"]:
        return "image-classification"
    if any(Image.kind in takes and Image.kind in gives for takes, gives in takes_and_gives):
        return "image-to-image"
    return "image-feature-extraction"


def tags(manifest: Mapping[str, Any]) -> list[str]:
    """Words by which a release is found: the model, its tasks, and the kind of its samples."""
    model = manifest["name"].partition(".")[0]
    kind = kinds.SAMPLES[manifest["sample"]["x"]["kind"]]
    generates = [kind.tag] if manifest.get("generation") is not None else []
    quantised = [manifest[QUANTIZED]["kind"]] if QUANTIZED in manifest else []
    found = ["zoo", "onnx", model, *manifest["tasks"], manifest["sample"]["x"]["kind"], *generates, *quantised]
    return list(dict.fromkeys(found))


def plan_of(manifest: Mapping[str, Any]) -> Plan | None:
    """The generation that a manifest declares, with its tasks; None where it does not generate."""
    if manifest.get("generation") is None:
        return None
    tasks = {
        name: ReleasedTask(
            "", *({key: _spec(spec) for key, spec in entry[side].items()} for side in ("inputs", "outputs"))
        )
        for name, entry in manifest["tasks"].items()
    }
    where = "manifest.json"
    return Plan(generation_from_json(manifest["generation"], where), tasks, sample_from_json(manifest["sample"], where))


def written(fields: Mapping[str, Any], text: str) -> str:
    """A card: fields as YAML front matter, and the text below."""
    import yaml

    head = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{head}---\n\n{text.lstrip()}"


def split(card: str) -> tuple[dict[str, Any], str]:
    """The fields of a card and the text below them. Fields that are no YAML mapping count as none."""
    found = _BLOCK.match(card)
    return ({}, card) if found is None else (_fields(found[1]) or {}, card[found.end() :])


def has_bad_fields(card: str) -> bool:
    """Whether a card has fields that are no YAML mapping."""
    found = _BLOCK.match(card)
    return found is not None and bool(found[1].strip()) and _fields(found[1]) is None


def _fields(block: str) -> dict[str, Any] | None:
    import yaml

    try:
        fields = yaml.safe_load(block)
    except Exception:  # not only YAMLError: ValueError for 2024-13-45, KeyError for !!bool x
        return None
    return fields if isinstance(fields, dict) else None


def for_repository(text: str, repository: str) -> str:
    """The text of a card whose examples name the release's own folder, with examples that name a repository.

    They write into the current folder then, and not beside the release.
    """
    source = f"{PREFIX}{repository}"
    text = text.replace('zoo.load("./")', f'zoo.load("{source}")')
    text = re.sub(r"^(zoo (?:generate|compress) \..* -o )\.\./", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"(?<=\bzoo )(generate|compress|verify|info) \.(?=[ `\n])", rf"\1 {source}", text)


def _results(manifest: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """The metrics of a release as an entry of ``model-index``, each with its unit and its protocol."""
    data, results = _data_names(manifest)[0], []
    for is_of_test, entries in groupby(manifest["metrics"], _is_of_test):
        dataset = {"type": data, "name": data, **({"split": "test"} if is_of_test else {})}
        results.append({"task": {"type": tag}, "dataset": dataset, "metrics": _metrics(entries)})
    return {"name": manifest["name"], "results": results}


def _is_of_test(entry: Mapping[str, Any]) -> bool:
    """Whether a metric is of the test split, as its protocol says; others compare with training samples, or none."""
    return " test " in entry["protocol"]


def _metrics(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    metrics = []
    for entry in entries:
        measured = from_json(entry)
        arguments: dict[str, Any] = {"unit": measured.unit, "protocol": measured.protocol, "better": measured.better}
        if measured.low is not None and measured.high is not None:
            arguments |= {"low": measured.low, "high": measured.high, "interval": measured.interval}
        metrics.append({"type": measured.name, "name": measured.name, "value": measured.value, "args": arguments})
    return metrics


def _data_names(manifest: Mapping[str, Any]) -> list[str]:
    """The names of the data sets of a release; that of the user's own data has a colon."""
    made = manifest["provenance"]
    data = [made.get("data") or {}, *(made.get("further") or {}).values()]
    return list(dict.fromkeys(str(one.get("name", "")) for one in data))


def _spec(spec: Any) -> Spec:
    return spec_from_json(spec, "manifest.json")
