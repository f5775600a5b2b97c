"""What a release does, in words: signatures and docstrings for ``help``, and rows for ``zoo info`` and ``print``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from html import escape
from inspect import Parameter, Signature

from zoo.contract.generation_plan import Plan
from zoo.contract.metric import Measurement, format_value, from_json
from zoo.contract.options import Option
from zoo.contract.specs import Number, Spec, Text
from zoo.core.text import plain, size
from zoo.media import kinds
from zoo.media.convert import gives, takes
from zoo.release import WEIGHTS, Release, ReleasedTask
from zoo.sampling import generation, latent

ERRORS = [
    "Raises SettingError for an invalid input, DataError for a file that cannot be read, and",
    "ReleaseError for a graph that was altered or does not run. All are ZooErrors with one-line messages.",
]


def describe_task(name: str, task: ReleasedTask, model: str) -> tuple[str, Signature]:
    """The docstring and the signature of a task's method."""
    lines = [f"The task {name} of {model}, on a batch of any size.", ""]
    lines += [f"{key}: {takes(spec)}." for key, spec in task.inputs.items()]
    lines += ["", "A single item needs no batch axis; several files are given as a list.", ""]
    if len(task.outputs) == 1:
        lines += [f"Returns {key}: {gives(spec)}." for key, spec in task.outputs.items()]
    else:
        lines += ["Returns a dict:", *(f"    {key}: {gives(spec)}" for key, spec in task.outputs.items())]
    parameters = [Parameter(f"_{''.join(task.inputs)}", Parameter.POSITIONAL_OR_KEYWORD)]  # `self`: no input has it
    for key, spec in task.inputs.items():
        default = spec.default if isinstance(spec, Number) else Parameter.empty
        # After an input that has a default, one that has none is given by name.
        late = default is Parameter.empty and any(one.default is not Parameter.empty for one in parameters)
        kind = Parameter.KEYWORD_ONLY if late else Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(Parameter(key, kind, default=default))
    parameters.sort(key=lambda one: one.kind)
    return "\n".join([*lines, "", *ERRORS]), Signature(parameters)


def describe_generate(model: str, plan: Plan | None) -> tuple[str, Signature]:
    """The docstring and the signature of ``generate``."""
    fixed = [
        Parameter("_self", Parameter.POSITIONAL_OR_KEYWORD),  # no input has this name
        Parameter("n", Parameter.POSITIONAL_OR_KEYWORD, default=None),
        Parameter("seed", Parameter.KEYWORD_ONLY, default=0),
        Parameter("first", Parameter.KEYWORD_ONLY, default=0),
    ]
    if plan is None:
        return f"{model} does not generate.", Signature(fixed)
    lines = [
        f"Generate samples of {model}.",
        "",
        "n: how many; by default as many as are given or listed, or 1.",
        "seed, first: the samples first … first + n − 1 of the seed; each depends only on these and on what is asked.",
    ]
    lines += [f"{name}: {describe_option(option)}." for name, option in plan.options.items()]
    if generation.fits(plan):
        lines.append("fit: 'crop' or 'pad' cuts or pads given images and videos of another size, and resizes them.")
        fixed.append(Parameter("fit", Parameter.KEYWORD_ONLY, default=""))
    lines += ["", f"Returns {gives(plan.gives)}.", "", *ERRORS]
    return "\n".join(lines), inspect.Signature([*fixed, *map(_parameter, plan.options.values())])


def describe_option(option: Option) -> str:
    """An option of generation in words."""
    if option.what == "label":
        assert option.spec is not None
        return f"{takes(option.spec)}; one, or one a sample; by default the sample's index modulo the classes"
    if option.what == "given":
        assert option.spec is not None
        if isinstance(option.spec, Text):
            known = f"of the {option.spec.classes} that it knows"
            return f"text of at most {option.spec.length} characters, {known}; one, or one a sample"
        return f"{takes(option.spec)}; one, or one a sample"
    if option.what == "number":
        assert option.spec is not None
        said = takes(option.spec) if option.each else gives(option.spec)
    elif option.what == "integer":
        said = f"an integer of at least {option.least}" + (f" and at most {option.most}" if option.most else "")
    else:
        return option.help
    return f"{option.help}: {said}" if option.help else said


def _parameter(option: Option) -> Parameter:
    default = Parameter.empty if option.what == "given" else option.default
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default)


FILES = {
    "image": "image.png", "video": "video.gif", "audio": "clip.wav", "log-mel": "clip.wav", "array": "rows.csv",
}  # fmt: skip
"""The name of a file in an example of use, by the kind of sample in it."""


def example_of_given(plan: Plan | None) -> tuple[str, str]:
    """What an example of use gives to ``generate`` beside the seed: in Python, and in the shell."""
    python, shell = "", ""
    for name, spec in plan.inputs("given").items() if plan is not None else ():
        value = '"…"' if isinstance(spec, Text) else f'"{FILES.get(spec.kind, f"{name}.npy")}"'
        python += f"{name}={value}, "
        shell += f" --{name.replace('_', '-')} {value}"
    return python, shell


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
