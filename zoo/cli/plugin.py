"""The command ``zoo plugin``: write plugins."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import DIR, as_json, print_json


@click.group("plugin", epilog="Example:  zoo plugin new mine")
def plugin_command() -> None:
    """Write a plugin of your own: a model, a data set or a logger."""


@plugin_command.command(
    "new",
    short_help="Write a distribution with a plugin that works, to change.",
    epilog="Example:  zoo plugin new mine --template diffusion",
)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["model", "dataset", "logger"]),
    default="model",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--template",
    type=click.Choice(["vae", "gan", "autoregressive", "diffusion"]),
    help="The model to start from.  [default: vae]",
)
@click.option("--data", is_flag=True, help="Also write a data set, on which the model trains.")
@click.option("-o", "--output", "folder", type=DIR, metavar="DIR", help="The new project folder.  [default: zoo-NAME]")
@as_json
def new_command(name: str, kind: str, template: str | None, data: bool, folder: Path | None, as_json: bool) -> None:
    """Write the distribution zoo-NAME: a small plugin NAME that works, with tests, to change into your own.

    A model trains on digits, or with --data on images that a formula makes.
    """
    from dataclasses import asdict

    from zoo.tools import new_plugin

    made = new_plugin.write(name, kind=kind, template=template, data=data, folder=folder)
    if as_json:
        print_json({**asdict(made), "folder": str(made.folder)})
        return
    for file in made.files:
        click.echo(f"{made.folder / file} written")
    click.echo("Next:")
    for command in made.next:
        click.echo(f"  {command}")
