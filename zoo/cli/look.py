"""The commands that look and change nothing but a catalogue: list, info, doctor, catalogue, completion."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import FILE, as_json, complete_data, complete_name, hanging, print_json, source, table

if TYPE_CHECKING:
    from zoo.evaluation.figures import Figure
    from zoo.release import Release


@click.command("list", epilog="Example:  zoo list 'vae*' --task reconstruct")
@click.argument("pattern", default="*", shell_complete=complete_name)
@click.option("--pretrained", is_flag=True, help="Only names whose weights are released.")
@click.option("--task", metavar="TASK", help="Only models that have this task, such as encode.")
@click.option("--data", metavar="SET", shell_complete=complete_data, help="Only recipes for this data set.")
@as_json
def list_command(pattern: str, pretrained: bool, task: str | None, data: str | None, as_json: bool) -> None:
    """List models and their recipes; PATTERN is a wildcard such as 'vae*' or '*.mnist'."""
    from zoo import registry
    from zoo.errors import NotFoundError

    rows = registry.rows(pattern, pretrained=pretrained, task=task, data=data)
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    if not rows:
        filtered = " and the filters" if pretrained or task or data else ""
        raise NotFoundError(f"No model matches {pattern!r}{filtered}. Run: zoo list")
    cells = [("NAME", "DATA", "WEIGHTS", "TASKS", "MODEL")]
    for row in rows:
        weights = "released" if row.pretrained else "-"
        cells.append((row.name, row.data or "-", weights, " ".join(row.tasks) or "-", row.title or f"({row.note})"))
    table(cells)


@click.command("info", epilog="Example:  zoo info vae.mnist")
@click.argument("name", shell_complete=complete_name)
@as_json
def info_command(name: str, as_json: bool) -> None:
    """Show a model (vae), a recipe (vae.mnist), or a run or release folder."""
    from zoo import sources

    about = _about_release(name) if sources.is_path(name) else _about_name(name)
    if as_json:
        print_json(about)
        return
    width = max(len(key) for key in about)
    for key, value in about.items():
        if isinstance(value, dict) and value:
            click.echo(click.style(key, bold=True))
            inner = max((len(str(part)) for part in value), default=0)
            for part, text in value.items():
                label = f"  {str(part).ljust(inner)}  "
                if isinstance(text, dict) and text.keys() == {"value", "help"}:
                    label, text = f"{label}{_words(text['value']):<12}  ", text["help"]
                click.echo(hanging(label, _words(text)))
        else:
            line = hanging(f"{key.ljust(width)}  ", _words(value))
            click.echo(click.style(line[:width], bold=True) + line[width:])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(part) for part in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _about_name(name: str) -> dict[str, Any]:
    """What the static catalogue says of a model or of one of its recipes."""
    from zoo import registry, settings
    from zoo.plugin import Recipe

    model, recipe = registry.split(name)
    plugin = registry.find(model)
    listed = registry.catalogue(plugin.distribution)
    described = listed.models.get(model)
    origin = f"{plugin.distribution} {plugin.version}"
    if described is None:
        why = listed.problem or "its catalogue does not list it"
        note = f"not indexed: {why}. In its project, run: zoo catalogue build"
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
    if not recipe:
        return about | {"recipes": {f"{model}.{key}": fields for key, fields in described["recipes"].items()}}
    values: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Recipe)}
    helps = {
        field.name: f"{field.metadata['help']} ({settings.describe(Recipe, field.name)})"
        for field in dataclasses.fields(Recipe)
    }
    for key, entry in described["settings"].items():
        values[key], helps[key] = entry["default"], f"{entry['help']} ({entry.get('type', '')})"
    if name in listed.releases:
        about |= _abilities(name)
    return about | {
        "recipe": {
            key: {"value": value, "help": helps.get(key, "")}
            for key, value in (values | described["recipes"][recipe]).items()
        },
        **_about_weights(name, listed.releases.get(name)),
    }


def _about_weights(name: str, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where released weights come from, and what was measured of them."""
    from zoo.evaluation.figures import from_catalogue
    from zoo.progress import duration

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
        "measures": {figure.name: _figure_words(figure) for figure in map(from_catalogue, entry["measures"])},
    }


def _figure_words(figure: Figure) -> str:
    from zoo.evaluation.figures import baseline_words, protocol_words, value_words

    beside = f"; beside {baseline_words(figure)}" if figure.baseline else ""
    return f"{value_words(figure)} {figure.unit}{beside}; {protocol_words(figure)}"


def _abilities(name: str) -> dict[str, Any]:
    """What released weights can do beside their tasks."""
    from zoo.errors import ZooError
    from zoo.release import read
    from zoo.sources import find

    try:
        return _beside(read(find(name)))
    except ZooError:  # loading them says what is wrong
        return {"verbs": {}}


def _beside(release: Release) -> dict[str, Any]:
    """What a release can do beside its tasks: how it generates, and its verbs."""
    from zoo import latent

    return {**({"generates": release.plan.words} if release.plan else {}), "verbs": latent.verbs(release)}


def _about_release(source: str) -> dict[str, Any]:
    """What a release's manifest says."""
    from zoo.evaluation.figures import from_json
    from zoo.release import QUANTIZED, read
    from zoo.sources import find

    release = read(find(source))
    manifest = release.manifest
    return {
        "name": release.name,
        "folder": str(release.folder),
        "title": manifest.get("card", {}).get("title", ""),
        "tasks": {
            name: f"{', '.join(task.inputs)} → {', '.join(task.outputs)}" for name, task in release.tasks.items()
        },
        **_beside(release),
        "measures": {figure.name: _figure_words(figure) for figure in map(from_json, manifest["measures"])},
        **({QUANTIZED: _about_quantized(manifest[QUANTIZED])} if QUANTIZED in manifest else {}),
        "recipe": manifest.get("recipe", {}),
        "files": {name: f"{entry.get('bytes', 0):,} bytes" for name, entry in manifest["files"].items()},
    }


def _about_quantized(made: Mapping[str, Any]) -> dict[str, Any]:
    """What a quantised release is made of, and what it lost."""
    from zoo.evaluation.figures import loss_words

    return {
        "kind": made["kind"],
        "of": f"the release whose manifest has the SHA-256 {made['of']}",
        "bytes": f"{made['bytes']['quantized']:,} in place of {made['bytes']['float']:,}",
        "losses": {
            loss["name"]: f"{loss['quantized']:.4g} in place of {loss['float']:.4g} {loss['unit']} ({loss_words(loss)})"
            for loss in made["losses"]
        },
    }


@click.command("doctor", epilog="Example:  zoo doctor --json")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60, show_default=True, help="Seconds for a plugin.")
@as_json
def doctor_command(timeout: float, as_json: bool) -> None:
    """Check this installation and every plugin; exits with 1 if something is wrong."""
    from zoo import doctor

    findings = doctor.examine(timeout)
    if as_json:
        print_json(doctor.as_json(findings))
    else:
        for finding in findings:
            mark = click.style("ok   ", fg="green") if finding.ok else click.style("WRONG", fg="red", bold=True)
            click.echo(f"{mark}  {finding.kind:<9}  {finding.name:<14}  {finding.text}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@click.group("catalogue", epilog="Example:  zoo catalogue build")
def catalogue_command() -> None:
    """Describe your models and release their weights: what zoo list and zoo.load read without importing them."""


@catalogue_command.command("build", epilog="Example:  zoo catalogue build --distribution genzoo --check")
@click.option("--distribution", metavar="NAME", help="Whose models (default: the project in this folder).")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Where to write.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file is stale.")
def build_command(distribution: str | None, output: Path | None, check: bool) -> None:
    """Write registry.yaml from the installed code and the released weights."""
    from zoo import catalogue

    path, stale = catalogue.write(distribution or _project_here(), output, check)
    if check and stale:
        click.echo(f"{path} is stale. Run: zoo catalogue build", err=True)
        sys.exit(1)
    click.echo(f"{path} {'written' if stale else 'is up to date'}")


@catalogue_command.command(
    "refresh", short_help="Export the graphs of released weights anew.", epilog="Example:  zoo catalogue refresh"
)
@click.argument("names", nargs=-1, metavar="[NAME]…", shell_complete=complete_name)
@click.option("--distribution", metavar="NAME", help="Whose weights (default: the project in this folder).")
@click.pass_context
def refresh_command(ctx: click.Context, names: tuple[str, ...], distribution: str | None) -> None:
    """Export the graphs of released weights anew, in their place, and build the catalogue again.

    For maintainers, after a change of the exporter or of how a task computes. The weights, their metrics and what every
    seed gives stay; where one of them would change, that release is kept and the command fails.
    """
    from zoo import catalogue
    from zoo.errors import NotFoundError, suggest
    from zoo_export import check_installed

    distribution = distribution or _project_here()
    check_installed("Exporting graphs")
    from zoo_export.refresh import refresh

    folders = {folder.name: folder for folder in catalogue.release_folders(catalogue.models_of(distribution))}
    for name in names:
        if name not in folders:
            raise NotFoundError(f"{distribution} has no released weights {name!r}.{suggest(name, folders)}")
    for name in names or folders:
        changed = refresh(folders[name])
        click.echo(f"{name}: {f'written, {len(changed)} files changed' if changed else 'is up to date'}")
    ctx.invoke(build_command, distribution=distribution, output=None, check=False)


@catalogue_command.command("release", epilog="Example:  zoo catalogue release runs/mine.digits")
@source
@click.option("--checkpoint", metavar="WHICH", help="last, best or a step of a run.  [default: what it releases]")
@click.option("--force", is_flag=True, help="Replace the weights that are released under that name.")
def release_command(source: str, checkpoint: str | None, force: bool) -> None:
    """Release the weights of a run with the package of its model, and write registry.yaml.

    They go to PACKAGE/releases/MODEL.RECIPE: whoever installs the package loads them by that name.
    """
    from zoo import catalogue

    folder, path = catalogue.release(source, checkpoint=checkpoint, force=force)
    click.echo(f"{folder} and {path} written. Commit both. Next:  zoo verify {folder.name}")


def _project_here() -> str:
    """The name in ./pyproject.toml."""
    import tomllib

    from zoo.errors import NotFoundError

    path = Path("pyproject.toml")
    try:
        return str(tomllib.loads(path.read_text("utf-8"))["project"]["name"])
    except (OSError, ValueError, KeyError) as error:
        raise NotFoundError(
            "There is no pyproject.toml with a project name in this folder. Go there, or say --distribution NAME."
        ) from error


@click.command("completion", epilog='Example:  eval "$(zoo completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that completes commands, names and settings in your shell.

    \b
    Add it to the file that your shell reads when it starts:
      ~/.bashrc                    eval "$(zoo completion bash)"
      ~/.zshrc                     eval "$(zoo completion zsh)"
      ~/.config/fish/config.fish   zoo completion fish | source
    """
    from click.shell_completion import get_completion_class

    from zoo.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "zoo", "_ZOO_COMPLETE").source())
