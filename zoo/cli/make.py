"""The commands that need torch: demo, train and export."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Literal

import click

from zoo.cli.arguments import (
    DIR,
    complete_data,
    complete_device,
    complete_name,
    complete_setting,
    complete_source,
    data_dir,
    table,
)
from zoo.cli.prepare import prepare


@click.command("demo", epilog="Example:  zoo demo --to demo")
@click.option("--to", default="demo", show_default=True, type=DIR, metavar="DIR", help="Where.")
@click.option("--force", is_flag=True, help="Replace an earlier demo there.")
def demo_command(to: Path, force: bool) -> None:
    """Train vae.digits, prove its release, and sample from it in a process without torch. Takes about a minute."""
    prepare()
    from zoo.demo import demo

    demo(to, force)


@click.command("train", epilog="Example:  zoo train vae.digits --set steps=500 --set latent=4 --out runs/small")
@click.argument("name", shell_complete=complete_name)
@click.option(
    "--data",
    metavar="SET",
    shell_complete=complete_data,
    help="A data set (zoo data list), folder:DIR, text:FILE or audio:DIR.",
)
@data_dir
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", shell_complete=complete_setting,
    help="Change a recipe field; may be repeated. zoo info NAME shows them.",
)  # fmt: skip
@click.option(
    "--from", "start", metavar="SOURCE", shell_complete=complete_source,
    help="Start from the weights of a released name, a run folder or a release folder.",
)  # fmt: skip
@click.option("--out", type=DIR, metavar="DIR", help="The run folder.  [default: runs/NAME]")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in that folder, exactly where it stopped; start it if there is none.",
)
@click.option("--force", is_flag=True, help="Replace the run in that folder.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    shell_complete=complete_device,
    help="auto, cpu, cuda, cuda:N or mps.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "tf32", "bf16"]),
    help="Overrides the recipe's; auto is bf16 where the device computes in it.",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile each phase with torch.compile.")
@click.option("--cuda-graphs", is_flag=True, help="Compile, and replay each phase as one launch (CUDA).")
@click.option("--deterministic", is_flag=True, help="Only kernels that give the same bits each time (CUDA; slower).")
@click.option("--shard", is_flag=True, help="Under torchrun: split the weights among the processes (FSDP2).")
@click.option("--checkpoint-every", type=int, metavar="STEPS", help="Default: a tenth of the run, or as it began.")
@click.option("--tensorboard", is_flag=True, help="Write RUN/tensorboard too.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors and warnings alone.")
@click.option("--no-release", is_flag=True, help="Train only; write no release at the end.")
def train_command(
    name: str,
    data: str | None,
    data_dir: Path | None,
    assignments: tuple[str, ...],
    start: str | None,
    out: Path | None,
    resume: bool,
    force: bool,
    device: str,
    precision: str | None,
    compiled: bool,
    cuda_graphs: bool,
    deterministic: bool,
    shard: bool,
    checkpoint_every: int | None,
    tensorboard: bool,
    quiet: bool,
    no_release: bool,
) -> None:
    """Train model.recipe, such as vae.mnist, and write its release into the run folder.

    Ctrl-C and SIGTERM write a checkpoint; --resume goes on from it, exactly.

    On several devices or machines:  torchrun --nproc-per-node N -m zoo train NAME …
    """
    prepare()
    from zoo import registry, settings
    from zoo.training.trainer import train

    model, recipe = registry.load_recipe(name)
    run = train(
        name,
        data=data,
        data_dir=data_dir,
        set=settings.parse(type(recipe), assignments),
        start=start,
        out=out,
        resume=resume,
        force=force,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        compile=compiled,
        cuda_graphs=cuda_graphs,
        deterministic=deterministic,
        shard=shard,
        checkpoint_every=checkpoint_every,
        release=not no_release,
        tensorboard=tensorboard,
        quiet=quiet,
    )
    from zoo.training.distributed import rank

    if rank():  # one of several processes, and not the one that writes
        sys.stderr.flush()
        os._exit(0)  # at a usual exit, threads of torch's that still end have been seen to abort a run that is complete
    if quiet:
        return
    click.echo(f"Trained {name} in {run.seconds:.0f} s ({run.steps} steps).")
    from zoo.evaluation.figures import cells

    if run.figures:
        table([("MEASURE", "VALUE", "UNIT", "BASELINE"), *map(cells, run.figures)], "  ")
    click.echo(f"  run:     {run.folder}  (metrics.jsonl, measures.json, curves.png, samples/, checkpoints/)")
    if run.release is not None:
        click.echo(f"  release: {run.release}")
        alone = len(run.folder.parts) == 1  # a bare word would be taken for a model's name
        folder = shlex.quote(f"./{run.folder}" if alone else str(run.folder))
        look = "evaluate" if model.generate is None else "generate"
        click.echo(f"Next:  zoo {look} {folder}   zoo verify {folder}   zoo info {folder}")


@click.command("export", epilog="Example:  zoo export runs/vae.digits --to releases/vae.digits --checkpoint best")
@click.argument("source", shell_complete=complete_source)
@click.option("--to", required=True, type=DIR, metavar="DIR", help="The release folder to write.")
@click.option(
    "--checkpoint",
    metavar="WHICH",
    help="last, best or a step of a run.  [default: what it releases]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["release", "web"]),
    default="release",
    show_default=True,
    help="web: a static folder with a page that runs the model in a browser.",
)
@click.option(
    "--runtime",
    type=DIR,
    metavar="DIR",
    help="For web: the npm package onnxruntime-web.  [default: a pinned address, by its hashes]",
)
@click.option("--uint8", is_flag=True, help="Add graphs that take and give pictures as bytes, for any client.")
@click.option(
    "--quantize", type=click.Choice(["fp16", "int8"]), help="A smaller release; what it loses is measured and bounded."
)
@click.option(
    "--quantize-loss", type=float, metavar="X",
    help="For --quantize: the part of itself by which a metric may get worse.  [default: the recipe's, a tenth]",
)  # fmt: skip
@click.option(
    "--data", metavar="SET", shell_complete=complete_data,
    help="For --quantize: what to calibrate and measure on.  [default: the model's own data]",
)  # fmt: skip
@data_dir
@click.option("--force", is_flag=True, help="Replace the release that is there, with all that it had.")
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
    """Write the release of a run, proven to give the same in torch and ONNX Runtime; or copy a release.

    A mismatch is an error, and then nothing is written. So is a quantised release that loses more than --quantize-loss
    or its recipe allows. docs/export.md says what each option makes.
    """
    if quantize:
        prepare()
    import zoo
    from zoo.evaluation.figures import loss_words
    from zoo.release import QUANTIZED, read

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
            (loss["name"], f"{loss['float']:.4g}", f"{loss['quantized']:.4g}", loss_words(loss), loss["unit"])
            for loss in made["losses"]
        ]
        table([("MEASURE", "FLOAT", made["kind"].upper(), "WORSE", "UNIT"), *rows])
        click.echo(f"Graphs and weights: {made['bytes']['quantized']:,} bytes in place of {made['bytes']['float']:,}.")
    if kind == "web":
        click.echo(
            f"{folder} written. Next:  python -m http.server --directory {place}   and open http://localhost:8000"
        )
        return
    look = "info" if release.generation is None else "generate"
    click.echo(f"{folder} written. Next:  zoo verify {place}   zoo {look} {place}")
