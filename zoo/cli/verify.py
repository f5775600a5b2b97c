"""The command ``zoo verify``: check a release."""

from __future__ import annotations

import click

from zoo.cli.arguments import as_json, print_json, source


@click.command("verify", epilog="Example:  zoo verify runs/vae.digits")
@source
@as_json
def verify_command(source: str, as_json: bool) -> None:
    """Check a release: every hash, every graph at batch sizes 1 and 3, and whether generation reproduces its samples.

    If torch and the plugin are installed, the results of torch and ONNX Runtime are compared again too.
    """
    from zoo.core.errors import ZooError
    from zoo.pipeline.verify import verify

    try:
        lines = verify(source)
    except ZooError as error:
        if as_json:
            print_json({"ok": False, "error": str(error)})
        raise
    if as_json:
        print_json({"ok": True, **lines})
    else:
        for what, text in lines.items():
            click.echo(f"{click.style('ok', fg='green')}  {what}: {text}")
