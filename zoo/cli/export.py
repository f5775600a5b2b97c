"""The command ``zoo export``: write the release of a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import click

from zoo.cli.arguments import (
    DIR,
    complete_data,
    complete_source,
    data_dir,
    output_folder,
    table,
)
from zoo.cli.cpu_tuning import prepare


@click.command("export", epilog="Example:  zoo export runs/vae.digits -o my-vae --checkpoint best")
@click.argument("source", shell_complete=complete_source)
@output_folder("to", "The release folder to write.", "--to", required=True)
@click.option(
    "--checkpoint",
    metavar="WHICH",
    help="The checkpoint of a run: last, best or a step.  [default: the one that the run releases]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["release", "web"]),
    default="release",
    show_default=True,
    help="release, or web: a static page that runs the model in a browser.",
)
@click.option(
    "--runtime",
    type=DIR,
    metavar="DIR",
    help="For web: the folder of the npm package onnxruntime-web.  [default: a pinned URL, checked by hash]",
)
@click.option("--uint8", is_flag=True, help="Add graphs with uint8 images as inputs and outputs, for any client.")
@click.option(
    "--quantize", type=click.Choice(["fp16", "int8"]),
    help="Write a smaller, low-precision release; its loss of quality is measured and bounded.",
)  # fmt: skip
@click.option(
    "--quantize-loss", type=float, metavar="X",
    help="For --quantize: the largest relative degradation of a metric.  [default: the recipe's quantize_loss]",
)  # fmt: skip
@click.option(
    "--data", metavar="SET", shell_complete=complete_data,
    help="For --quantize: the data set for calibration and metrics.  [default: the model's own data]",
)  # fmt: skip
@data_dir
@click.option("--force", is_flag=True, help="Replace the existing release and all its files.")
def export_command(
    source: str,
    to: Path,
    checkpoint: str | None,
    kind: Literal["release", "web"],
    runtime: Path | None,
    uint8: bool,
    quantize: Literal["fp16", "int8"] | None,
    quantize_loss: float | None,
    data: str | None,
    data_dir: Path | None,
    force: bool,
) -> None:
    """Write the release of a run, or copy a release. Torch and ONNX Runtime must give the same results.

    If they differ, the command fails and writes nothing. It also fails if quantisation degrades a metric by more than
    --quantize-loss or the recipe allows. docs/how-to/export.md describes what each option writes.
    """
    if quantize:
        prepare()
    import zoo
    from zoo.contract.metric import format_loss
    from zoo.release import QUANTIZED, read
    from zoo.runtime.describe import example_of_given

    folder = zoo.export(
        source,
        to,
        checkpoint=checkpoint,
        uint8=uint8,
        quantize=quantize,
        quantize_loss=quantize_loss,
        data=data,
        data_dir=data_dir,
        format=kind,
        runtime=runtime,
        force=force,
    )
    place = shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")
    release = read(folder / "model" if kind == "web" else folder)
    if QUANTIZED in release.manifest:
        made = release.manifest[QUANTIZED]
        rows = [
            (loss["name"], f"{loss['float']:.4g}", f"{loss['quantized']:.4g}", format_loss(loss), loss["unit"])
            for loss in made["losses"]
        ]
        table([("METRIC", "FLOAT", made["kind"].upper(), "WORSE", "UNIT"), *rows])
        click.echo(f"Graphs and weights: {made['bytes']['quantized']:,} bytes in place of {made['bytes']['float']:,}.")
    if kind == "web":
        click.echo(
            f"{folder} written. Next:  python -m http.server --directory {place}   and open http://localhost:8000"
        )
        return
    look = "info" if release.generation is None else "generate"
    click.echo(f"{folder} written. Next:  zoo verify {place}   zoo {look} {place}{example_of_given(release.plan)[1]}")
