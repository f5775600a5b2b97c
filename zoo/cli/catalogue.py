"""The command ``zoo catalogue``: describe one's models, and release their weights."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zoo.cli.arguments import FILE, complete_name, source


@click.group("catalogue", epilog="Example:  zoo catalogue build")
def catalogue_command() -> None:
    """Describe your models and release their weights: what zoo list and zoo.load read without importing them."""


@catalogue_command.command("build", epilog="Example:  zoo catalogue build --distribution genzoo --check")
@click.option("--distribution", metavar="NAME", help="Whose models (default: the project in this folder).")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Where to write.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file is stale.")
def build_command(distribution: str | None, output: Path | None, check: bool) -> None:
    """Write registry.yaml from the installed code and the released weights."""
    from zoo.pipeline import catalogue

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
    from zoo.core.errors import NotFoundError, suggest
    from zoo.pipeline import catalogue
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
    from zoo.pipeline import catalogue

    folder, path = catalogue.release(source, checkpoint=checkpoint, force=force)
    click.echo(f"{folder} and {path} written. Commit both. Next:  zoo verify {folder.name}")


def _project_here() -> str:
    """The name in ./pyproject.toml."""
    import tomllib

    from zoo.core.errors import NotFoundError

    path = Path("pyproject.toml")
    try:
        return str(tomllib.loads(path.read_text("utf-8"))["project"]["name"])
    except (OSError, ValueError, KeyError) as error:
        raise NotFoundError(
            "There is no pyproject.toml with a project name in this folder. Go there, or say --distribution NAME."
        ) from error
