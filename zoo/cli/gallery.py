"""The command ``zoo gallery``: write a web page that shows released models."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli.arguments import complete_source, data_dir, output_folder


@click.command("gallery", epilog="Example:  zoo gallery '*.mnist' -o site")
@click.argument("sources", nargs=-1, metavar="[SOURCE]…", shell_complete=complete_source)
@output_folder("to", "The folder to write.", "--to", required=True)
@data_dir
@click.option("--force", is_flag=True, help="Replace an existing gallery.")
def gallery_command(sources: tuple[str, ...], to: Path, data_dir: Path | None, force: bool) -> None:
    """Write a web page of released models: samples, reconstructions, metrics, size and speed. Does not need torch.

    SOURCE is a released name, a wildcard such as '*.mnist', a run folder or a release folder. The default is every
    released model. The folder is static: open its index.html, or put it on any web server.

    Reconstructions need the data set of the model; without it, the page leaves them out. Speed is measured on this
    machine, one model at a time.
    """
    from zoo import gallery

    made = gallery.build(to, sources, data_dir=data_dir, force=force)
    place = shlex.quote(str(to / "index.html"))
    click.echo(
        f"{to} written: {len(made.models)} model{'s' * (len(made.models) != 1)}. Next:  open {place} in a browser"
    )
    if made.without:
        which = ", ".join(f"{name} ({why})" for name, why in made.without.items())
        there = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"
        get = f" Run: zoo data get {' '.join(made.lacking)}{there}, and this again with --force" if made.lacking else ""
        click.echo(f"Without test images: {which}.{get}", err=True)
