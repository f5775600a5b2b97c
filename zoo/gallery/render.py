"""The page of a gallery: HTML that works without JavaScript, which only adds sorting, filters and copy buttons."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from zoo.benchmark import machine
from zoo.contract.metric import Measurement, format_baseline, format_protocol, format_value, number
from zoo.contract.names import ZOO_METRICS
from zoo.core import files
from zoo.gallery.entry import Entry
from zoo.gallery.media import Back, PlacedImage, Samples, Table

PAGE = Path(__file__).parent / "page"

TITLES = {
    "iwae_100": "IWAE-100", "negative_elbo": "−ELBO", "exact_nll": "Exact NLL", "nll": "NLL", "fid": "FID",
    "kid": "KID", "mse": "MSE", "psnr": "PSNR", "ssim": "SSIM", "auroc": "AUROC", "knn": "k-NN", "nmi": "NMI",
}  # fmt: skip
"""The titles of metrics, zoo's in the order in which they are shown. A model's own come first, in its release's order;
metrics without a title are last, under their own names."""

MORE = frozenset(
    {"precision", "recall", "psnr", "ssim", "linear_probe", "knn", "nmi", "rarest_class", "commonest_class"}
    | {"score_threshold"}
)
"""The metrics that are shown only on demand. Unknown metrics are always shown."""

COLUMNS = {"fid": "FID", "likelihood": "−log p", "mse": "MSE", "accuracy": "Accuracy"}
"""The metrics in the table, by kind, with their headings."""


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """Write ``index.html``, the style and the script into the folder with the images."""
    for path in PAGE.iterdir():
        if path.suffix in (".css", ".js"):
            shutil.copyfile(path, folder / path.name)
    words = {
        "COUNT": f"{len(entries)} model{'s' * (len(entries) != 1)}",
        "BYTES": f"{sum(entry.bytes for entry in entries) / 1e6:.1f} MB",
        "DATA": _options({entry.data for entry in entries}),
        "TASKS": _options({verb for entry in entries for verb in entry.verbs}),
        "TABLE": _table(entries),
        "CARDS": "\n".join(map(_card, entries)),
        "SOURCES": _sources(entries),
        "SPEED": escape(_speed_note(entries)),
        "MADE": escape(f"zoo {version('genzoo')}, {datetime.now(UTC):%Y-%m-%d}"),
    }
    page = (PAGE / "index.html").read_text("utf-8")
    files.write(folder / "index.html", fill(page, words))


def fill(template: str, words: Mapping[str, str]) -> str:
    """Replace each @WORD@ of a template, in one pass: inserted text is not searched for words."""
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], template)


def _options(names: set[str]) -> str:
    return "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in sorted(names))


def _sources(entries: Sequence[Entry]) -> str:
    """Render each data set once, with its origin and its licence."""
    found = sorted({(entry.data, *entry.data_source) for entry in entries})
    return "\n".join(
        f"<dt>{escape(name)}</dt><dd>{escape(source)}{'. ' if source else ''}Licence: {escape(licence)}</dd>"
        for name, source, licence in found
    )


def _table(entries: Sequence[Entry]) -> str:
    """Render one row for each model. A cell that sorts by number has the number in ``data-value``."""
    kinds = {kind: title for kind, title in COLUMNS.items() if any(entry.main(kind) for entry in entries)}
    heads = {"name": "Model", "data": "Data", **kinds, "bytes": "MB", "ms": "ms a call"}
    lines = ["<thead><tr>"]
    for key, title in heads.items():
        number = ' class="number"' if key not in ("name", "data") else ""
        lines.append(f'<th scope="col" data-key="{key}"{number}>{title}</th>')
    lines.append("</tr></thead><tbody>")
    for entry in entries:
        name, card = escape(entry.name), entry.release.manifest["card"]
        lines += [
            f'<tr><th scope="row" data-value="{name}"><a href="#{name}">{name}</a> '
            f'<span class="quiet">{escape(card["title"])}</span></th>',
            f'<td data-value="{escape(entry.data)}">{escape(entry.data)}</td>',
            *(_cell(entry.main(kind), kind) for kind in kinds),
            f'<td class="number" data-value="{entry.bytes}">{entry.bytes / 1e6:.2f}</td>',
            f'<td class="number" data-value="{entry.speed.milliseconds:.6g}">{entry.speed.milliseconds:.3g}</td></tr>',
        ]
    return "\n".join([*lines, "</tbody>"])


def _cell(measurement: Measurement | None, kind: str) -> str:
    if measurement is None:
        return '<td class="number"><span aria-hidden="true">–</span></td>'
    of = measurement.unit.removeprefix("nats ")
    which = f' <span class="quiet">{escape(_title(measurement))} {escape(of)}</span>' if kind == "likelihood" else ""
    return f'<td class="number" data-value="{measurement.value:.9g}">{number(measurement.value)}{which}</td>'


def _card(entry: Entry) -> str:
    """Render everything about one model."""
    name, card = escape(entry.name), entry.release.manifest["card"]
    paper = escape(card["citation"])
    if card["paper"].startswith(("https://", "http://")):
        paper = f'<a href="{escape(card["paper"])}" rel="external">{paper}</a>'
    tasks = escape(" ".join(entry.verbs))
    lines = [
        f'<article id="{name}" aria-labelledby="{name}-title" data-data="{escape(entry.data)}" data-tasks="{tasks}">',
        f'<h3 id="{name}-title"><a href="#{name}">{name}</a></h3>',
        f'<p class="title">{escape(card["title"])}</p>',
        f"<p>{escape(card['summary'])} {paper}</p>",
        *([_samples(entry.samples, entry.name)] if entry.samples else []),
        *(_figure(back, alt="") for back in entry.back),
        *_measurements(entry),
        '<dl class="facts">',
        *(f"<dt>{heading}</dt><dd>{escape(text)}</dd>" for heading, text in entry.facts().items()),
        "</dl>",
        "<h4>How to use it</h4>",
        *(
            f'<div class="use"><pre aria-label="{language}"><code>{escape(code)}</code></pre>'
            f'<button type="button" class="copy" aria-label="Copy {words} of {name}" hidden>Copy</button></div>'
            for (language, words), code in zip(
                (("Python", "the Python"), ("Shell", "the shell line")), entry.use(), strict=True
            )
        ),
        "</article>",
    ]
    return "\n".join(lines)


def _samples(samples: Samples, name: str) -> str:
    parts = []
    if samples.image:
        parts.append(_image(samples.image, samples.image.alt))
    if samples.audio:
        label = escape(f"Audio clips that {name} generated, one after the other")
        parts.append(f'<audio controls preload="none" src="{samples.audio}" aria-label="{label}"></audio>')
    if samples.table:
        parts.append(_numbers(samples.table))
    if samples.text:
        label = escape(f"A text that {name} generated")
        parts.append(f'<pre class="text" tabindex="0" aria-label="{label}">{escape(samples.text)}</pre>')
    return f"<figure>{''.join(parts)}<figcaption>{escape(samples.caption)}</figcaption></figure>"


def _figure(back: Back, alt: str) -> str:
    """Render an image or a table with a caption."""
    content = _image(back.image, alt) if back.image else _numbers(back.table)
    return f"<figure>{content}<figcaption>{escape(back.caption)}</figcaption></figure>"


def _numbers(table: Table) -> str:
    """Render the top of a table of numbers."""
    head, *rows = table
    heads = "".join(f'<th scope="col" class="number">{escape(cell)}</th>' for cell in head)
    lines = ("".join(f'<td class="number">{escape(cell)}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="numbers"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _image(image: PlacedImage, alt: str) -> str:
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{image.path}" {size} alt="{escape(alt)}" loading="lazy" decoding="async">'


def _measurements(entry: Entry) -> list[str]:
    """Render a table of the main measurements, and below it the protocol of every measurement."""
    if not entry.measurements:
        return ['<p class="quiet">No metrics were measured.</p>']
    order = {name: place for place, name in enumerate(TITLES) if name in ZOO_METRICS}
    measurements = sorted(
        entry.measurements,
        key=lambda measurement: order.get(measurement.name, len(order)) if measurement.name in ZOO_METRICS else -1,
    )
    main = [measurement for measurement in measurements if measurement.name not in MORE]
    more = len(measurements) - len(main)
    lines = []
    if main:
        baseline = any(measurement.baseline for measurement in main)
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("Metric", "Value", "Baseline")[: 2 + baseline])
        lines.append(f'<table class="metrics"><thead><tr>{heads}</tr></thead><tbody>')
        lines += [*(_row(measurement, baseline) for measurement in main), "</tbody></table>"]
    count = f", and {more} more" if main and more else ""
    lines += [f"<details><summary>How each was measured{count}</summary><dl>"]
    for measurement in measurements:
        value = escape(f"{format_value(measurement)} {measurement.unit}")
        than = f", baseline {escape(format_baseline(measurement))}" if measurement.baseline else ""
        lines.append(
            f"<dt>{escape(_title(measurement))}: {value}{than}</dt><dd>{escape(format_protocol(measurement))}</dd>"
        )
    return [*lines, "</dl></details>"]


def _row(measurement: Measurement, baseline: bool) -> str:
    sign, words = ("↑", "higher is better") if measurement.better == "higher" else ("↓", "lower is better")
    arrow = f'<span role="img" aria-label="{words}" title="{words}">{sign}</span>'
    value = f'{escape(format_value(measurement))} <span class="quiet">{escape(measurement.unit)}</span>'
    last = escape(format_baseline(measurement)) if measurement.baseline else '<span aria-hidden="true">–</span>'
    return (
        f'<tr><th scope="row">{escape(_title(measurement))}&nbsp;{arrow}</th><td>{value}</td>'
        f"{f'<td>{last}</td>' if baseline else ''}</tr>"
    )


def _title(measurement: Measurement) -> str:
    return TITLES.get(measurement.name, measurement.name.replace("_", " "))


def _speed_note(entries: Sequence[Entry]) -> str:
    """Return a note on the machine on which the times were measured, and on its load."""
    about = machine.describe()
    loads = [entry.speed.others for entry in entries if entry.speed.others is not None]
    others = f" Other work used {sum(loads) / len(loads):.1f} of its {about['cores']} cores meanwhile." if loads else ""
    return (
        "Times are the median of one call at batch 1 in ONNX Runtime with one thread, measured one model after the "
        f"other when this page was made, on {about['processor']}.{others}"
    )
