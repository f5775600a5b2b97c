"""The command ``zoo verify``: check a release."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import FILE, as_json, print_json, source
from zoo.core.text import plain


@click.command("verify", epilog="Example:  zoo verify runs/vae.digits")
@source
@click.option(
    "--key", type=FILE, metavar="PUB", help="Check the signature with this public key of the publisher (PEM)."
)
@click.option("--require-signature", is_flag=True, help="Fail without a signature; needs --key.")
@as_json
def verify_command(source: str, key: Path | None, require_signature: bool, as_json: bool) -> None:
    """Check a release: every hash, every graph at batch sizes 1 and 3, and whether generation reproduces its samples.

    If torch and the plugin are installed, the results of torch and ONNX Runtime are compared again too.
    A signature (model.sig) says who published the release, if you got the key from somebody you trust.
    """
    from zoo.core.errors import ZooError
    from zoo.pipeline.verify import Note, verify

    try:
        lines = verify(source, key, require_signature)
    except ZooError as error:
        if as_json:
            print_json({"ok": False, "error": str(error)})
        raise
    if as_json:
        print_json({"ok": True, **lines})
    else:
        for what, text in lines.items():
            mark = click.style("note", fg="yellow") if isinstance(text, Note) else click.style("ok", fg="green")
            click.echo(f"{mark}  {what}: {plain(text)}")
