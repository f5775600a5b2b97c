"""The command ``zoo info``: show a model, a recipe or a release."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import as_json, complete_name, hanging, print_json
from zoo.core.text import plain

if TYPE_CHECKING:
    from zoo.contract.metric import Measurement
    from zoo.hub.community import Reviewed
    from zoo.release import Release


@click.command("info", epilog="Example:  zoo info vae.mnist")
@click.argument("name", shell_complete=complete_name)
@as_json
def info_command(name: str, as_json: bool) -> None:
    """Show a model (vae), a recipe (vae.mnist), a run or release folder, or a release on the Hub (hub:ORG/NAME).

    Of a release on the Hub only the manifest is downloaded, not the weights.
    """
    from zoo.hub import resolve, source

    if source.is_hub(name):
        about = _about_hub(name)
    else:
        about = _about_release(name) if resolve.is_path(name) else _about_name(name)
    if as_json:
        print_json(about)
        return
    width = max(len(key) for key in about)
    for key, value in about.items():
        if isinstance(value, dict) and value:
            click.echo(click.style(key, bold=True))
            inner = max((len(plain(part)) for part in value), default=0)
            for part, text in value.items():
                label = f"  {plain(part).ljust(inner)}  "
                if isinstance(text, dict) and text.keys() == {"value", "help"}:
                    label, text = f"{label}{_words(text['value']):<12}  ", text["help"]
                click.echo(hanging(label, _words(text)))
        else:
            line = hanging(f"{key.ljust(width)}  ", _words(value))
            click.echo(click.style(line[:width], bold=True) + line[width:])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{plain(key)} {_words(part)}" for key, part in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(part) for part in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else plain(value)


def _about_name(name: str) -> dict[str, Any]:
    """Return what the static registry says about a model or one of its recipes."""
    from zoo import registry
    from zoo.contract import settings
    from zoo.hub import community
    from zoo.hub.lacking import lacking
    from zoo.plugin import Recipe

    if (reviewed := community.find(name)) is not None:
        return _about_reviewed(reviewed)
    model, recipe = registry.split(name)
    plugin = registry.find(model)
    listed = registry.read_file(plugin.distribution)
    described = listed.models.get(model)
    origin = f"{plugin.distribution} {plugin.version}"
    if described is None:
        why = listed.problem or "its registry.yaml does not list it"
        note = f"not indexed: {why}. In its project, run: zoo registry build"
        return {"name": model, "from": origin, "note": note}
    if recipe and recipe not in described["recipes"]:
        raise registry.no_recipe(model, recipe, described["recipes"])
    about = {
        "name": name,
        "title": described["title"],
        "summary": described["summary"],
        "paper": f"{described['citation']}, {described['paper']}",
        "from": origin,
        "tasks": described["tasks"],
    }
    needs: Mapping[str, Mapping[str, str]] = described.get("needs") or {}
    lacks = lacking(model)
    if not recipe:
        about |= {"recipes": {f"{model}.{key}": fields for key, fields in described["recipes"].items()}}
        about |= {"needs": {f"{model}.{key}": dict(sources) for key, sources in needs.items()}} if needs else {}
        return about | ({"lacking": {f"{model}.{key}": texts for key, texts in lacks.items()}} if lacks else {})
    base = settings.flat(Recipe())
    helps = {
        field.name: f"{field.metadata['help']} ({settings.describe(Recipe, field.name)})"
        for field in dataclasses.fields(Recipe)
    }
    options = registry.data_options(described["recipes"][recipe])
    helps |= {key: text for key, (_, text) in options.items()}
    values: dict[str, Any] = {"data": base.pop("data")}
    values |= {key: default for key, (default, _) in options.items()} | base
    for key, entry in described["settings"].items():
        values[key], helps[key] = entry["default"], f"{entry['help']} ({entry.get('type', '')})"
    if name in listed.releases:
        about |= _abilities(name)
    about |= {"needs": dict(needs[recipe])} if recipe in needs else {}
    about |= {"lacking": lacks[recipe]} if recipe in lacks else {}
    return about | {
        "recipe": {
            key: {"value": value, "help": helps.get(key, "")}
            for key, value in (values | described["recipes"][recipe]).items()
        },
        **_about_weights(name, listed.releases.get(name)),
    }


def _about_reviewed(entry: Reviewed) -> dict[str, Any]:
    """Return what the list of reviewed releases says of one. Nothing is downloaded."""
    return {
        "name": entry.name,
        "title": entry.title,
        "from": f"{entry.source}, reviewed",
        "tasks": list(entry.tasks),
        "data": entry.data,
        "licence": entry.licence,
        "manifest": entry.manifest_sha256,
        "distribution": f"{entry.distribution}, which training it further needs; loading does not",
    }


def _about_weights(name: str, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return where released weights come from, and their metrics."""
    from zoo.contract.metric import from_json
    from zoo.core.progress import duration

    if entry is None:
        return {"weights": f"not released; zoo train {name} makes them"}
    made = entry["training"]
    return {
        "weights": {
            "licence": entry["licence"],
            "bytes": f"{entry['bytes']:,}",
            "data": f"{entry['data']['name']} ({entry['data']['licence']})",
            "trained": f"{made['steps']:,} steps in {duration(made['seconds'])} on {made['device']}",
            "seed": made["seed"],
            "commit": made["commit"],
            "manifest": entry["manifest_sha256"],
            "parity": f"torch and ONNX Runtime differ by at most {entry['parity']:.1e}",
        },
        "metrics": {measurement.name: _format(measurement) for measurement in map(from_json, entry["metrics"])},
    }


def _format(measurement: Measurement) -> str:
    from zoo.contract.metric import format_baseline, format_protocol, format_value

    baseline = f"; baseline {format_baseline(measurement)}" if measurement.baseline else ""
    return f"{format_value(measurement)} {measurement.unit}{baseline}; {format_protocol(measurement)}"


def _abilities(name: str) -> dict[str, Any]:
    """Return what released weights can do in addition to their tasks."""
    from zoo.core.errors import ZooError
    from zoo.hub.resolve import find
    from zoo.release import read

    try:
        return _beside(read(find(name, network=False)))
    except ZooError:  # loading the weights reports the error
        return {"verbs": {}}


def _beside(release: Release) -> dict[str, Any]:
    """Return what a release can do in addition to its tasks, and the releases that it contains."""
    from zoo.sampling import latent

    codec, needs = release.codec, release.manifest.get("provenance", {}).get("needs") or {}
    return {
        **({"generates": release.plan.description} if release.plan else {}),
        **({"compresses": f"{codec.encode} → {codec.decode}"} if codec else {}),
        **({"needs": {key: f"{one['name']}, manifest {one['sha256']}" for key, one in needs.items()}} if needs else {}),
        "verbs": latent.verbs(release),
    }


def _about_release(source: str) -> dict[str, Any]:
    """Return what the manifest of a release says."""
    from zoo.hub.resolve import find
    from zoo.release import read

    release = read(find(source))
    return {"name": release.name, "folder": str(release.folder), **_manifest(release)}


def _about_hub(source: str) -> dict[str, Any]:
    """Return what the Hub and its manifest say of a release, without downloading its weights."""
    from zoo.hub.preview import preview
    from zoo.hub.source import parse

    seen = preview(parse(source))
    plugin = seen.release.manifest["plugin"]
    return {
        "name": seen.release.name,
        "source": str(seen.source),
        "hub": dict(seen.hub),
        "signature": "none"
        if seen.signature is None
        else {**dataclasses.asdict(seen.signature), "check": f"zoo verify {seen.source} --key PUBLIC.pem"},
        "runs with": "genzoo alone",
        "fine-tuning": {
            **{key: plugin[key] for key in ("distribution", "version")},
            "note": "the package that the release names, which nobody has checked",
        },
        **_manifest(seen.release),
    }


def _manifest(release: Release) -> dict[str, Any]:
    """What the manifest of a release says."""
    from zoo.release import QUANTIZED
    from zoo.runtime.summary import card_rows, measurements

    manifest = release.manifest
    return {
        **card_rows(release),
        "tasks": {
            name: f"{', '.join(task.inputs)} → {', '.join(task.outputs)}" for name, task in release.tasks.items()
        },
        **_beside(release),
        "metrics": {measurement.name: _format(measurement) for measurement in measurements(release)},
        **({QUANTIZED: _about_quantized(manifest[QUANTIZED])} if QUANTIZED in manifest else {}),
        "recipe": manifest["recipe"],
        "provenance": {key: value for key, value in manifest["provenance"].items() if key != "needs"},
        "files": {name: f"{entry.get('bytes', 0):,} bytes" for name, entry in manifest["files"].items()},
    }


def _about_quantized(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source of a quantised release, and how much each metric degraded."""
    from zoo.contract.metric import format_loss

    return {
        "kind": made["kind"],
        "of": f"the release whose manifest has the SHA-256 {made['of']}",
        "bytes": f"{made['bytes']['quantized']:,} in place of {made['bytes']['float']:,}",
        "losses": {
            loss[
                "name"
            ]: f"{loss['quantized']:.4g} in place of {loss['float']:.4g} {loss['unit']} ({format_loss(loss)})"
            for loss in made["losses"]
        },
    }
