"""What people read of a registry: the model table of a README, and ``docs/models/index.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mode
from typing import Any

from zoo.contract.metric import Measurement, format_value, from_json, number
from zoo.core.progress import duration

MARKS = ("<!-- made by zoo registry build: models -->", "<!-- end -->")
"""Where the model table is in the README beside ``pyproject.toml``."""

TINY = "tiny"

QUESTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "How close are reconstructions?": (
        "Of test images. In brackets: PCA with as many components as the latent has dimensions.",
        ("mse", "psnr", "ssim"),
    ),
    "How close are samples to the data?": (
        "On features of a small classifier of the same data. In brackets: real test images in place of generated ones.",
        ("fid", "kid", "precision", "recall"),
    ),
    "Is every class generated?": (
        "The fractions of the rarest and the commonest class. In brackets: those of real test images.",
        ("rarest_class", "commonest_class", "label_accuracy", "code_accuracy"),
    ),
    "How likely is the data?": (
        "Upper bounds on −log p(x), and exact values (`exact_nll`, `nll`). Compare only values of the same protocol.",
        ("negative_elbo", "iwae_100", "exact_nll", "nll", "prior_nll"),
    ),
    "How much do latents say about the class?": (
        "Accuracy of a linear and a 5-nearest-neighbour probe, mutual information with clusters. In brackets: PCA.",
        ("linear_probe", "knn", "nmi"),
    ),
}
"""The tables of ``docs/models/index.md``: by the question, what the columns have in common, and their metrics."""

THRESHOLDS = ("score_threshold",)
"""Metrics that are of use to a program, and no sign of quality."""


def readme(text: str, content: Mapping[str, Any]) -> str:
    """A README with its model table written again, between the marks; without marks it is left as it is."""
    before, mark, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        return text
    lines = ["| model | released weights | other recipes | tasks | paper |", "| --- | --- | --- | --- | --- |"]
    for name, entry in content["models"].items():
        names = [f"{name}.{key}" for key in entry["recipes"] if key != TINY]
        released = [key for key in names if key in content["releases"]]
        cells = (
            entry["title"],
            ", ".join(f"`{key}`" for key in released),
            ", ".join(f"`{key}`" for key in names if key not in released),
            ", ".join(entry["tasks"]),
            f"[{entry['citation']}]({entry['paper']})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"{before}{mark}", *lines, f"{end}{after}"])


def models(content: Mapping[str, Any]) -> str:
    """``docs/models/index.md``: every model, its released weights, and a table of metrics for each question."""
    releases = content["releases"]
    total = sum(entry["bytes"] for entry in releases.values())
    lines = [
        "# Models",
        "",
        "Made by `zoo registry build` from the code and the releases. Do not edit.",
        "",
        f"{len(content['models'])} models, {len(releases)} sets of released weights, {_size(total)} in all.",
        "`zoo.load(NAME)` loads them, offline, right after the installation. The value after ± is half of the 95%",
        "interval. [The reference](../reference/metrics.md) defines the metrics. Speed, denoising and anomaly",
        "detection are in [benchmarks](../reference/benchmarks.md).",
        "The other pages of this section explain the models family by family, with equations and figures.",
        "",
        "```sh",
        "zoo info vae.digits         # tasks, settings, and each metric with its protocol and baseline",
        "zoo evaluate vae.digits     # computes the metrics again; the data is in the folder ZOO_DATA_DIR",
        "zoo reproduce vae.digits    # trains the weights again, and compares every metric",
        "zoo gallery -o gallery      # a page with samples and reconstructions of all of them",
        "```",
        "",
        "## Which models are there?",
        "",
        "| model | what it is | tasks | recipes | paper |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, entry in content["models"].items():
        recipes = ", ".join(key for key in entry["recipes"] if key != TINY)
        paper = f"[{entry['citation']}]({entry['paper']})"
        lines.append(_row(f"`{name}`", entry["summary"], ", ".join(entry["tasks"]), recipes, paper))
    if releases:
        lines += ["", "## Which weights are released?", ""]
        lines += [
            "The first metric is the one that chose the checkpoint, where the model has metrics of its own.",
            "",
            "| weights | first metric | data | size | steps | trained in | torch and ONNX Runtime differ by |",
            "|" + " --- |" * 7,
        ]
        lines += [_weights(name, entry) for name, entry in releases.items()]
        found = {
            name: {measurement.name: measurement for measurement in map(from_json, entry["metrics"])}
            for name, entry in releases.items()
        }
        for question, (what, names) in QUESTIONS.items():
            lines += _table(question, what, names, found)
        lines += _others(found)
    return "\n".join([*lines, ""])


def _weights(name: str, entry: Mapping[str, Any]) -> str:
    made, data = entry["training"], entry["data"]
    metrics = [from_json(metric) for metric in entry["metrics"][:1]]
    first = "".join(f"{metric.name}: {format_value(metric)} {metric.unit}" for metric in metrics)
    return _row(
        f"`{name}`", first, f"{data['name']} ({data['licence']})", _size(entry["bytes"]), f"{made['steps']:,}",
        duration(made["seconds"]), f"{entry['parity']:.1e}",
    )  # fmt: skip


def _table(question: str, what: str, names: Sequence[str], found: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    """A row for each set of weights that has one of the metrics."""
    units = {
        name: mode(every) for name in names if (every := [one[name].unit for one in found.values() if name in one])
    }
    names = [name for name in names if name in units]
    rows = [
        _row(f"`{weights}`", *(_cell(one.get(name), units[name]) for name in names))
        for weights, one in found.items()
        if any(name in one for name in names)
    ]
    if not rows:
        return []
    heads = [f"{name}, {units[name]}" for name in names]
    return ["", f"## {question}", "", what, "", _row("weights", *heads), "|" + " --- |" * (1 + len(heads)), *rows]


def _others(found: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    """The metrics that are in no other table, a row each."""
    asked = {name for _, names in QUESTIONS.values() for name in names} | {*THRESHOLDS}
    rows = [
        _row(f"`{weights}`", name, _cell(one, one.unit), one.unit)
        for weights, several in found.items()
        for name, one in several.items()
        if name not in asked
    ]
    head = ["", "## What else was measured?", "", "| weights | metric | value | unit |", "| --- | --- | --- | --- |"]
    return [*head, *rows] if rows else []


def _cell(one: Measurement | None, unit: str) -> str:
    """A value, with its unit where that is another, and the value of its baseline in brackets."""
    if one is None:
        return ""
    other = "" if one.unit == unit else f" {one.unit}"
    return format_value(one) + other + (f" ({number(one.baseline[1])})" if one.baseline else "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
