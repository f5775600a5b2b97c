"""The model card of a release: its README.md, generated from the manifest and the file of samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.codec import SUFFIX
from zoo.contract.metric import cells, format_loss, format_protocol, from_json
from zoo.contract.spec_json import spec_from_json
from zoo.hub.card import metadata, plan_of, written
from zoo.media import kinds, table
from zoo.release import QUANTIZED
from zoo.runtime.describe import example_of_given


def model_card(manifest: Mapping[str, Any], folder: Path) -> str:
    """The text of README.md for a manifest, with the front matter for the Hugging Face Hub.

    `folder` has the files of samples.
    """
    name, card, provenance = manifest["name"], manifest["card"], manifest["provenance"]
    data, recipe = provenance["data"], manifest["recipe"]
    x = _spec(manifest["sample"]["x"])
    kind = kinds.of_sample(x)
    is_text = kind.display_shape(x) is None
    generates = manifest["generation"] is not None
    given, options = example_of_given(plan_of(manifest))
    sections = [
        f"# {name}",
        "",
        f"{card['summary']} ({card['citation']}, <{card['paper']}>)",
        "",
    ]
    if generates and kind.has_image:
        sections += [f"![Samples of {name}, seed 0](samples.png)", ""]
    elif generates:
        file = manifest["samples"]["file"]
        sections += [f"The first of {manifest['samples']['n']} samples of seed 0 in [{file}]({file}):", ""]
        head, *rows = table.excerpt((folder / file).read_text("utf-8"))
        sections += [f"| {' | '.join(cells)} |" for cells in (head, ["---:"] * len(head), *rows)]
        sections.append("")
    if generates and ".wav" in kind.endings:
        sections += [f"[The same {manifest['samples']['n']} audio clips, one after the other](samples.wav)", ""]
    sections += ["## Run it", "", "```sh", "pip install 'genzoo[cpu]'"]
    if generates:
        file = "" if is_text else f" -n {kind.card_count} -o ../{name}{kind.card_ending}"
        sections.append(f"zoo generate .{options} --seed 0{file}")
    if "codec" in manifest:
        sections.append(f"zoo compress . FILE{kind.endings[0]} -o ../small{SUFFIX}")
    sections += ["```", "", "```python", "import zoo", "", 'model = zoo.load("./")  # ONNX Runtime and numpy, no torch']
    if generates and is_text:
        sections.append(f"print(model.generate(1, {given}seed=0)[0])")
    elif generates:
        sections.append(f"samples = model.generate(16, {given}seed=0)  # {kind.gives(x)}")
    elif not is_text and manifest["tasks"]:
        task, entry = next(iter(manifest["tasks"].items()))
        made = next(iter(entry["outputs"]))
        sections.append(f'{made} = model.run("{task}", samples)  # samples: {kind.gives(x)}')
    sections += ["```", "", "## Tasks", "", "| task | takes | gives |", "| --- | --- | --- |"]
    for task, entry in manifest["tasks"].items():
        sections.append(f"| `{task}` | {_sides(entry['inputs'])} | {_sides(entry['outputs'])} |")
    sections += ["", "## Metrics", ""]
    if manifest["metrics"]:
        sections += ["| metric | value | unit | baseline | protocol |", "| --- | --- | --- | --- | --- |"]
        for entry in manifest["metrics"]:
            measurement = from_json(entry)
            words = (*cells(measurement), format_protocol(measurement))
            sections.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in words)} |")
    else:
        sections.append("None was taken.")
    sections += _quantized(manifest[QUANTIZED]) if QUANTIZED in manifest else []
    sections += [
        "",
        "## Training",
        "",
        f"- Data: {data['name']}. {data['source'].rstrip('.')}. Licence of the data: {data['licence']}.",
        *(
            f"- Built with: {one['name']} (manifest SHA-256 {one['sha256']})."
            for one in (provenance.get("needs") or {}).values()
        ),
        f"- Recipe: {recipe['steps']:,} steps of {recipe['batch']} samples, seed {recipe['seed']}; "
        f"the whole recipe is in manifest.json.",
        f"- Cost: {provenance['seconds']:.0f} s on {provenance['device']}, step {provenance['step']:,}.",
        f"- Made by: {manifest['plugin']['distribution']} {manifest['plugin']['version']}, zoo {provenance['zoo']}, "
        f"torch {provenance['torch']}.",
        "",
        "## Proof",
        "",
        _proof(manifest),
        "",
    ]
    return written(metadata(manifest), "\n".join(sections))


def _proof(manifest: Mapping[str, Any]) -> str:
    again = "`zoo verify .` checks every file against its SHA-256 and samples again."
    if QUANTIZED in manifest:
        return f"The float release that this is made of was proven; this one was measured beside it. {again}"
    parity = manifest["parity"]
    worst = max(gap for rows in parity["tasks"].values() for gap in rows.values())
    return (
        f"Every task was run in torch and in ONNX Runtime {manifest['provenance']['onnxruntime']} at batches "
        f"{', '.join(map(str, parity['batches']))}: the largest difference was {worst:.1e}. {again}"
    )


def _quantized(made: Mapping[str, Any]) -> list[str]:
    """The section on the losses, size and speed of a quantised release."""
    sections = ["", f"## In {made['kind']}", ""]
    sections.append(
        f"Made of the release whose manifest has the SHA-256 `{made['of']}`. Graphs and weights take "
        f"{made['bytes']['quantized']:,} bytes in place of {made['bytes']['float']:,}. It has no weights for torch."
    )
    if made["losses"]:
        sections += ["", "| metric | float | this | worse by |", "| --- | --- | --- | --- |"]
    for loss in made["losses"]:
        values = f"{loss['float']:.4g} | {loss['quantized']:.4g}"
        sections.append(f"| {loss['name']} | {values} | {format_loss(loss)} |")
    sections += ["", "Milliseconds a call on one thread, roughly:", "", "| task | batch | float | this |"]
    sections.append("| --- | --- | --- | --- |")
    for task, batches in made["speed"]["milliseconds"].items():
        for batch, took in batches.items():
            sections.append(f"| `{task}` | {batch} | {took['float']:.3g} | {took['quantized']:.3g} |")
    return sections


def _sides(specs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {kinds.of(_spec(spec)).describe(_spec(spec))}" for name, spec in specs.items())


def _spec(spec: Any) -> Any:
    return spec_from_json(spec, "manifest.json")
