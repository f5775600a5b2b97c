"""The command ``zoo release``: release the weights of a run with a package."""

from __future__ import annotations

import click

from zoo.cli.arguments import source


@click.command(
    "release",
    short_help="Release the weights of a run.",
    epilog="Example:  zoo release runs/mine.digits --into zoo_mine",
)
@source
@click.option(
    "--into", metavar="PACKAGE", help="The import package of the model, or its folder.  [default: as it is installed]"
)
@click.option("--checkpoint", metavar="WHICH", help="last, best or a step.  [default: the one that the run releases]")
@click.option("--force", is_flag=True, help="Replace the weights already released under that name.")
def release_command(source: str, into: str | None, checkpoint: str | None, force: bool) -> None:
    """Release the weights of a run with the package of its model, and write registry.yaml.

    The weights go to PACKAGE/releases/MODEL.RECIPE. Whoever installs the package can load them by that name. The run
    must be complete, and the package a source tree: install yours with pip install -e.
    """
    from zoo.pipeline import registry_release

    folder, path = registry_release.release(source, into=into, checkpoint=checkpoint, force=force)
    click.echo(f"{folder} and {path} written. Commit both. Next:  zoo verify {folder.name}")
