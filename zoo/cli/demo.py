"""The command ``zoo demo``: train a small model and use it without torch."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import output_folder
from zoo.cli.cpu_tuning import prepare


@click.command("demo", epilog="Example:  zoo demo -o demo")
@output_folder("to", "The folder for the run and the images.", "--to", default="demo", show_default=True)
@click.option("--force", is_flag=True, help="Replace an earlier demo in that folder.")
def demo_command(to: Path, force: bool) -> None:
    """Train vae.digits, check its release, and sample from it in a process without torch. Takes about a minute."""
    prepare()
    from zoo.tools.demo import demo

    demo(to, force)
