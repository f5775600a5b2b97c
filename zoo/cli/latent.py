"""The commands ``zoo interpolate``, ``traverse`` and ``inpaint``, which combine a model's tasks. They need no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from zoo.cli.arguments import CLASS, Decorator, backend, output, say_written, source
from zoo.core import files

seed = click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the samples that are given by index."
)
fit = click.option(
    "--fit", type=click.Choice(["crop", "pad"]), help="Cut or pad images and videos of another size, and resize them."
)
label = click.option("--label", type=CLASS, help="The class, for models with labels: its number or its name.")


def steps(default: int, help: str) -> Decorator:
    """Add ``--steps``."""
    return click.option("--steps", type=int, default=default, show_default=True, help=help)


@click.command("interpolate", epilog="Example:  zoo interpolate vae.digits a.png b.png -o between.png")
@source
@click.argument("a")
@click.argument("b")
@steps(8, "Number of samples, both ends included.")
@click.option(
    "--method",
    type=click.Choice(["auto", "linear", "spherical"]),
    default="auto",
    show_default=True,
    help="auto is spherical if the decoder takes standard normal noise, else linear.",
)
@fit
@seed
@label
@output("A .png, .gif, .wav, .npy, .csv or .txt file.  [default: interpolate.EXT]")
@backend
def interpolate_command(
    source: str, a: str, b: str, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Interpolate from A to B in latent space and write the samples.

    A and B are files, or indices of samples of the seed.
    """
    _run("interpolate", source, (a, b), options, output, force, backend, device)


@click.command("traverse", epilog="Example:  zoo traverse vae.digits a.png --dimension 3")
@source
@click.argument("a", required=False)
@click.option("--dimension", type=int, required=True, metavar="D", help="The latent dimension to vary, counted from 0.")
@click.option("--low", type=float, help="The first value.  [default: -3; uniform noise: 0]")
@click.option("--high", type=float, help="The last value.  [default: 3; uniform noise: 1]")
@steps(8, "Number of samples from low to high.")
@fit
@seed
@label
@output("A .png, .gif, .wav, .npy, .csv or .txt file.  [default: traverse.EXT]")
@backend
def traverse_command(
    source: str, a: str | None, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Vary one dimension of a latent and write the samples.

    The latent is that of A, which is a file or the index of a sample of the seed. Without A it is that of sample 0.
    """
    _run("traverse", source, () if a is None else (a,), options, output, force, backend, device)


@click.command("inpaint", epilog="Example:  zoo inpaint vae.digits a.png mask.png -o filled.png")
@source
@click.argument("a")
@click.argument("mask")
@steps(32, "Rounds of reconstruction; models that generate pixel by pixel need none.")
@fit
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of pixels that are sampled.")
@label
@output("A .png, .wav or .npy file.  [default: inpaint.EXT]")
@backend
def inpaint_command(
    source: str, a: str, mask: str, output: Path | None, force: bool, backend: str, device: str, **options: Any
) -> None:
    """Fill in the missing part of A: where the image MASK is white, or where the .npy array MASK is true."""
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
    from zoo.contract.specs import Image, Video
    from zoo.core.errors import SettingError
    from zoo.media import save
    from zoo.media.convert import fitted
    from zoo.sampling.inpainting import mask_of

    fit = options.pop("fit")
    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        values: list[Any] = [files.expand(text) for text in inputs]
        for place, text in enumerate(inputs):
            if verb != "inpaint" and text.isdecimal() and len(text) < 20 and not values[place].is_file():
                values[place] = int(text)  # the index of a sample
        x = model.release.sample.x
        if fit is not None:
            if not isinstance(x, (Image, Video)):
                raise SettingError(f"--fit is for images and videos, and {model.name} models {x.kind}. Leave it out.")
            forms = [x, replace(x, channels=1)] if verb == "inpaint" else [x] * len(values)
            grounds = [model.release.background, "black"] if verb == "inpaint" else [model.release.background] * 2
            values = [
                value if isinstance(value, int) else fitted([value], form, ground, fit)
                for value, form, ground in zip(values, forms, grounds, strict=False)
            ]
        if verb == "inpaint" and x.kind != "text" and not mask_of(values[1], x).any():
            raise SettingError(f"The mask {inputs[1]!r} covers nothing. Make it white where values are missing.")
        output = output or Path(f"{verb}{save.endings(x)[0]}")
        columns = None if verb == "inpaint" else options["steps"]
        say_written(save.save(getattr(model, verb)(*values, **options), output, x, force=force, columns=columns))
