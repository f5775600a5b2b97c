"""The commands interpolate, traverse and inpaint, which follow from a model's tasks and need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.arguments import Decorator, backend, output, say_written, source
from zoo.core import files

seed = click.option("--seed", type=int, default=0, show_default=True, help="The seed of the samples that are numbers.")
label = click.option("--label", type=int, help="The class, for models with labels.")


def steps(default: int, help: str) -> Decorator:
    """``--steps``."""
    return click.option("--steps", type=int, default=default, show_default=True, help=help)


@click.command("interpolate", epilog="Example:  zoo interpolate vae.digits a.png b.png -o between.png")
@source
@click.argument("a")
@click.argument("b")
@steps(8, "Samples on the way, both ends included.")
@click.option(
    "--method",
    type=click.Choice(["auto", "linear", "spherical"]),
    default="auto",
    show_default=True,
    help="auto is spherical where the decoder takes standard normal noise.",
)
@seed
@label
@output("A .png, .wav, .npy or .txt file.  [default: interpolate and its ending]")
@backend
def interpolate_command(
    source: str, a: str, b: str, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Write samples on the way from A to B: files, or numbers, which are samples of the seed."""
    _run("interpolate", source, (a, b), options, output, force, backend, device)


@click.command("traverse", epilog="Example:  zoo traverse vae.digits a.png --dimension 3")
@source
@click.argument("a", required=False)
@click.option("--dimension", type=int, required=True, metavar="D", help="Which number of the latent, counted from 0.")
@click.option("--low", type=float, help="Where it starts.  [default: -3; uniform noise: 0]")
@click.option("--high", type=float, help="Where it ends.  [default: 3; uniform noise: 1]")
@steps(8, "Samples from low to high.")
@seed
@label
@output("A .png, .wav, .npy or .txt file.  [default: traverse and its ending]")
@backend
def traverse_command(
    source: str, a: str | None, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Write samples of one latent of which one number changes.

    The latent is that of A, a file or the number of a sample of the seed; without A it is that of sample 0.
    """
    _run("traverse", source, () if a is None else (a,), options, output, force, backend, device)


@click.command("inpaint", epilog="Example:  zoo inpaint vae.digits a.png mask.png -o filled.png")
@source
@click.argument("a")
@click.argument("mask")
@steps(32, "Rounds of reconstruction; a model that picks pixels one by one needs none.")
@seed
@label
@output("A .png, .wav or .npy file.  [default: inpaint and its ending]")
@backend
def inpaint_command(
    source: str, a: str, mask: str, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Fill in what is missing of A: where MASK, an image, is white, or MASK, a .npy array, is true."""
    _run("inpaint", source, (a, mask), options, output, force, backend, device)


def _run(
    verb: str,
    source: str,
    inputs: tuple[str, ...],
    options: dict[str, Any],
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    import zoo
    from zoo.media import save

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        values: list[Any] = [files.expand(text) for text in inputs]
        for place, text in enumerate(inputs):
            if text.isdecimal() and len(text) < 20 and not values[place].exists():  # the index of a sample
                values[place] = int(text)
        x = model.release.sample.x
        output = output or Path(f"{verb}{save.endings(x)[0]}")
        columns = None if verb == "inpaint" else options["steps"]
        say_written(save.save(getattr(model, verb)(*values, **options), output, x, force=force, columns=columns))
