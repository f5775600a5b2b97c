"""What a loaded model is and does, as rows: for ``zoo info``, ``print``, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from zoo.contract.metric import Measurement, format_value, from_json
from zoo.contract.specs import Spec
from zoo.core.text import plain, size
from zoo.media import kinds
from zoo.media.convert import gives
from zoo.release import WEIGHTS, Release
from zoo.sampling import latent

METRICS = 4
"""Metrics that :func:`rows` lists."""

Rows = dict[str, str | dict[str, str]]
"""What is said of a release, by label; a group of rows is a dict."""


def card_rows(release: Release) -> dict[str, str]:
    """The title, the summary and the paper of a release."""
    card = release.manifest.get("card")
    if card is None:  # a module in memory
        return {}
    return {"title": card["title"], "summary": card["summary"], "paper": f"{card['citation']}, {card['paper']}"}


def measurements(release: Release) -> list[Measurement]:
    """The metrics of a release."""
    return [from_json(entry) for entry in release.manifest.get("metrics", [])]


def rows(release: Release) -> Rows:
    """What a loaded model is and does, for people: each method with its inputs and outputs."""
    found: Rows = {"name": release.name, **card_rows(release), "methods": methods(release)}
    metrics = measurements(release)
    if metrics:
        found["metrics"] = {one.name: f"{format_value(one)} {one.unit}" for one in metrics[:METRICS]}
    data = release.manifest.get("provenance", {}).get("data")
    if data:
        found["data"] = f"{data['name']}: {data['source']} ({data['licence']})"
    if WEIGHTS in release.files:
        found["weights"] = size(release.sizes[WEIGHTS])
    return found


def methods(release: Release) -> dict[str, str]:
    """The methods of a loaded model, each with its inputs and outputs."""
    found, plan = {}, release.plan
    if plan is not None:
        found["generate"] = f"{', '.join(['n', 'seed', *plan.options])} → {gives(plan.gives)}"
    for name, task in release.tasks.items():
        states = plan.states() if plan is not None and plan.loop is not None and plan.loop.task == name else {}
        also = f", {len(states)} state{'s'[: len(states) > 1]}" if states else ""
        inputs = {key: spec for key, spec in task.inputs.items() if key not in states}
        outputs = {key: spec for key, spec in task.outputs.items() if key.removeprefix("next_") not in states}
        found[name] = f"{_forms(inputs)}{also} → {_forms(outputs)}{also}"
    found |= latent.verbs(release)
    if release.codec is not None:
        what = kinds.of_sample(release.sample.x).unit
        found |= {"compress": f"{what} → bytes", "decompress": f"bytes → {what}"}
    return found


def _forms(specs: Mapping[str, Spec]) -> str:
    """Inputs or outputs with their forms: ``"image 8×8, label below 10"``."""
    said = []
    for name, spec in specs.items():
        form = kinds.of(spec).describe(spec)
        said.append(form if form == name or form.startswith(f"{name} ") else f"{name} ({form})")
    return ", ".join(said)


def as_text(rows: Rows) -> str:
    """Rows as lines of plain text."""
    lines, width = [], max(map(len, rows))
    for label, value in rows.items():
        if isinstance(value, str):
            lines.append(f"{label.ljust(width)}  {plain(value)}")
            continue
        inner = max((len(plain(key)) for key in value), default=0)
        lines += [label, *(f"  {plain(key).ljust(inner)}  {plain(text)}" for key, text in value.items())]
    return "\n".join(lines)


def as_html(rows: Rows) -> str:
    """Rows as a table in HTML, without colours. Everything in it is escaped: a manifest is written by others."""
    lines = []
    for label, value in rows.items():
        if isinstance(value, str):
            lines.append(_row(f"<b>{escape(label)}</b>", _linked(plain(value)), ' colspan="2"'))
            continue
        for index, (key, text) in enumerate(value.items()):
            head = f"<b>{escape(label)}</b>" if index == 0 else ""
            lines.append(_row(head, f"<code>{escape(plain(key))}</code>", "", escape(plain(text))))
    return f"<table>{''.join(lines)}</table>"


def _row(head: str, first: str, span: str, *rest: str) -> str:
    left = 'style="text-align: left; vertical-align: top"'
    cells = "".join(f"<td {left}>{cell}</td>" for cell in rest)
    return f"<tr><td {left}>{head}</td><td {left}{span}>{first}</td>{cells}</tr>"


def _linked(text: str) -> str:
    """A text, escaped, with a web address at its end as a link."""
    before, _, last = text.rpartition(" ")
    if not last.startswith("https://"):
        return escape(text)
    return f'{escape(before)} <a href="{escape(last)}">{escape(last)}</a>'
