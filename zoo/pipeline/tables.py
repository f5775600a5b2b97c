"""What people read of a catalogue: the model table of a README, and ``docs/models.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.contract.metric import baseline_words, from_catalogue, number, protocol_words, value_words
from zoo.core.progress import duration

MARKS = ("<!-- made by zoo catalogue build: models -->", "<!-- end -->")
"""Where the model table stands in the README beside ``pyproject.toml``."""

TINY = "tiny"

COLUMNS = ("fid", "rarest_class", "commonest_class")
"""Measures that have columns of their own in the overview."""
COUNTS = (
    "psnr_denoised",
    "code_accuracy",
    "label_accuracy",
    "iwae_100",
    "prior_nll",
    "nll",
    "mel_error",
    "negative_elbo",
)
"""Which measure counts for a model, the first that it has; of others, the first of all that it has."""
SAMPLING = ("precision", "recall", "kid")
"""Measures that say little more in one line, beside the FID."""


def readme(text: str, content: Mapping[str, Any]) -> str:
    """A README with its model table made anew, between the marks; without marks it is left as it is."""
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
    """``docs/models.md``: every model, its released weights with all figures, and the commands that make them anew."""
    total = sum(entry["bytes"] for entry in content["releases"].values())
    lines = [
        "# Models",
        "",
        "Made by `zoo catalogue build` from the code and the releases. Do not edit.",
        "",
        f"{len(content['models'])} models, {len(content['releases'])} sets of released weights, {_size(total)} in all.",
        "`zoo.load(NAME)` loads them, offline, right after the installation. Every figure has its protocol; what",
        "stands after ± is half of its 95% interval, and [measures.md](measures.md) says how each is taken.",
        "Data sets are looked for under `ZOO_DATA_DIR`. Speed, denoising beside filters, and how well a class that was",
        "left out stands out have scripts of their own: [benchmarks.md](benchmarks.md).",
        "",
        *_overview(content["releases"]),
    ]
    for name, entry in content["models"].items():
        lines += [
            f"## {entry['title']}: `{name}`",
            "",
            f"{entry['summary']} [{entry['citation']}]({entry['paper']}).",
            "",
        ]
        lines += [f"- `{task}`: {what}" for task, what in entry["tasks"].items()]
        lines.append("")
        for recipe in entry["recipes"]:
            if f"{name}.{recipe}" in content["releases"]:
                lines += _release(f"{name}.{recipe}", content["releases"][f"{name}.{recipe}"])
        others = [key for key in entry["recipes"] if key != TINY and f"{name}.{key}" not in content["releases"]]
        if others:
            names = ", ".join(f"`zoo train {name}.{key}`" for key in others)
            lines += [f"Without released weights: {names}.", ""]
    return "\n".join(lines)


def _overview(releases: Mapping[str, Any]) -> list[str]:
    """A line for each set of weights: what counts for it, how far samples are from the data, and classes' shares."""
    lines = [
        "| weights | size | trained in | what counts | FID | of real images | share of each class |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, entry in releases.items():
        figures = {figure.name: figure for figure in map(from_catalogue, entry["measures"])}
        counts = next(
            (figures[key] for key in (*COUNTS, *figures) if key in figures and key not in (*COLUMNS, *SAMPLING)), None
        )
        fid, rarest, commonest = (figures.get(key) for key in COLUMNS)
        cells = (
            f"[`{name}`](#{name.replace('.', '')})",
            _size(entry["bytes"]),
            duration(entry["training"]["seconds"]),
            f"{counts.name} {number(counts.value)} {counts.unit}" if counts else "",
            f"{fid.value:.3g}" if fid else "",
            f"{fid.baseline[1]:.3g}" if fid and fid.baseline else "",
            f"{rarest.value:.1%} to {commonest.value:.1%}" if rarest and commonest else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""] if releases else []


def _release(name: str, entry: Mapping[str, Any]) -> list[str]:
    made, data = entry["training"], entry["data"]
    lines = [
        f"### `{name}`",
        "",
        f"{_size(entry['bytes'])}, {entry['licence']}; data: {data['name']} ({data['licence']}).",
        f"Trained for {made['steps']:,} steps in {duration(made['seconds'])} on {made['device']}, seed {made['seed']},",
        f"at commit {made['commit'][:12] or 'unknown'}.",
        f"torch and ONNX Runtime differ by at most {entry['parity']:.1e}.",
        "",
        "```sh",
        f"zoo train {name}        # makes them anew",
        f"zoo evaluate {name}     # measures them anew",
        "```",
        "",
        "| measure | value | unit | beside | protocol |",
        "| --- | --- | --- | --- | --- |",
    ]
    for figure in map(from_catalogue, entry["measures"]):
        words = (figure.name, value_words(figure), figure.unit, baseline_words(figure), protocol_words(figure))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in words)} |")
    return [*lines, ""]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
