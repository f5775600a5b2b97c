"""The model card of a release: its README.md, made from the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.contract.metric import cells, from_json, loss_words, protocol_words
from zoo.release import QUANTIZED

_TAGS = {"image": "image-generation", "text": "text-generation", "audio": "audio", "log-mel": "audio"}
_NOUNS = {"image": "images", "audio": "audio clips", "log-mel": "spectrograms"}
_COMMANDS = {
    "image": "zoo generate . -n 16 --seed 0 -o ../{name}.png",
    "text": "zoo generate . --seed 0",
    "audio": "zoo generate . --seed 0 -o ../{name}.wav",
    "log-mel": "zoo generate . --seed 0 -o ../{name}.wav",
}


def model_card(manifest: Mapping[str, Any]) -> str:
    """The text of README.md for a manifest, with the front matter that the Hugging Face Hub reads."""
    name, card, provenance = manifest["name"], manifest["card"], manifest["provenance"]
    data, recipe = provenance["data"], manifest["recipe"]
    kind = manifest["sample"]["x"]["kind"]
    is_text = kind == "text"
    generates = manifest["generation"] is not None
    sections = [
        "---",
        "library_name: genzoo",
        f"tags: [zoo, onnx{f', {_TAGS[kind]}' if generates else ''}]",
        "---",
        "",
        f"# {name}",
        "",
        f"{card['summary']} ({card['citation']}, <{card['paper']}>)",
        "",
    ]
    if generates:
        sections += [f"![Samples of {name}, seed 0](samples.png)", ""]
    if generates and kind in ("audio", "log-mel"):
        sections += [f"[The same {manifest['samples']['n']} audio clips, one after the other](samples.wav)", ""]
    sections += ["## Run it", "", "```sh", "pip install 'genzoo[cpu]'"]
    if generates:
        sections.append(_COMMANDS[kind].format(name=name))
    sections += ["```", "", "```python", "import zoo", "", 'model = zoo.load("./")  # ONNX Runtime and numpy, no torch']
    if generates and is_text:
        sections.append("print(model.generate(1, seed=0)[0])")
    elif generates:
        sections.append(f"{_NOUNS[kind]} = model.generate(16, seed=0)  # {_batch(manifest['sample']['x'])}")
    elif not is_text and manifest["tasks"]:
        task, entry = next(iter(manifest["tasks"].items()))
        made = next(iter(entry["outputs"]))
        form = _batch(manifest["sample"]["x"])
        sections.append(f'{made} = model.run("{task}", {_NOUNS[kind]})  # {_NOUNS[kind]}: {form}')
    sections += ["```", "", "## Tasks", "", "| task | takes | gives |", "| --- | --- | --- |"]
    for task, entry in manifest["tasks"].items():
        sections.append(f"| `{task}` | {_sides(entry['inputs'])} | {_sides(entry['outputs'])} |")
    sections += ["", "## Measures", ""]
    if manifest["measures"]:
        sections += ["| measure | value | unit | beside | protocol |", "| --- | --- | --- | --- | --- |"]
        for entry in manifest["measures"]:
            figure = from_json(entry)
            words = (*cells(figure), protocol_words(figure))
            sections.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in words)} |")
    else:
        sections.append("None was taken.")
    sections += _quantized(manifest[QUANTIZED]) if QUANTIZED in manifest else []
    sections += [
        "",
        "## Training",
        "",
        f"- Data: {data['name']}. {data['source'].rstrip('.')}. Licence of the data: {data['licence']}.",
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
    return "\n".join(sections)


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
    """What a quantised release lost, and what it gained."""
    sections = ["", f"## In {made['kind']}", ""]
    sections.append(
        f"Made of the release whose manifest has the SHA-256 `{made['of']}`. Graphs and weights take "
        f"{made['bytes']['quantized']:,} bytes in place of {made['bytes']['float']:,}. It has no weights for torch."
    )
    if made["losses"]:
        sections += ["", "| measure | float | this | worse by |", "| --- | --- | --- | --- |"]
    for loss in made["losses"]:
        values = f"{loss['float']:.4g} | {loss['quantized']:.4g}"
        sections.append(f"| {loss['name']} | {values} | {loss_words(loss)} |")
    sections += ["", "Milliseconds a call on one thread, roughly:", "", "| task | batch | float | this |"]
    sections.append("| --- | --- | --- | --- |")
    for task, batches in made["speed"]["milliseconds"].items():
        for batch, took in batches.items():
            sections.append(f"| `{task}` | {batch} | {took['float']:.3g} | {took['quantized']:.3g} |")
    return sections


def _batch(x: Mapping[str, Any]) -> str:
    """What 16 samples are in Python."""
    if x["kind"] == "audio":
        return f"float32 (16, {x['samples']}) in [-1, 1], {x['rate']} Hz"
    if x["kind"] == "log-mel":
        return f"float32 (16, {x['bands']}, {x['samples'] // x['hop']}) in [0, 1]"
    size = f"{x['height']}, {x['width']}"
    return f"uint8 (16, {size}, 3)" if x["channels"] == 3 else f"uint8 (16, {size})"


def _sides(specs: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name}: {_spec(spec)}" for name, spec in specs.items())


def _spec(spec: Mapping[str, Any]) -> str:
    if spec["kind"] == "image":
        return f"image {spec['height']}×{spec['width']}" + (" in colour" if spec["channels"] == 3 else "")
    if spec["kind"] == "text":
        return f"text of {spec['length']} characters"
    if spec["kind"] == "audio":
        return f"audio of {spec['samples'] / spec['rate']:.4g} s at {spec['rate']} Hz"
    if spec["kind"] == "log-mel":
        return f"log-mel spectrogram {spec['bands']}×{spec['samples'] // spec['hop']}"
    if spec["kind"] == "label":
        return f"label below {spec['classes']}"
    shape = "×".join(map(str, spec.get("shape", ())))
    return f"{spec['kind']} {shape}".strip()
