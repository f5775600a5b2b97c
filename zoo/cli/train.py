"""The command ``zoo train``: train a model and write its release."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from zoo.cli.arguments import (
    complete_data,
    complete_device,
    complete_logger,
    complete_name,
    complete_setting,
    complete_source,
    data_dir,
    output_folder,
    table,
)
from zoo.cli.cpu_tuning import prepare


@click.command("train", epilog="Example:  zoo train vae.digits --set steps=500 --set latent=4 -o runs/small")
@click.argument("name", shell_complete=complete_name)
@click.option(
    "--data",
    metavar="SET",
    shell_complete=complete_data,
    help="Another data set: a name (zoo data list), folder:DIR, text:FILE or audio:DIR. It keeps those options of the "
    "recipe's data that it has, too.",
)
@data_dir
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", shell_complete=complete_setting,
    help="Change a recipe field, or an option of the data, as in data.size=32; may be repeated. zoo info NAME lists "
    "both.",
)  # fmt: skip
@click.option(
    "--from", "start", metavar="SOURCE", shell_complete=complete_source,
    help="Start from the weights of a released name, a run folder or a release folder.",
)  # fmt: skip
@output_folder("out", "The run folder.  [default: runs/NAME]", "--out")
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the run in that folder exactly where it stopped; start it if there is none.",
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
    help="Override the recipe's precision; auto is bf16 where the device supports it.",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile each phase with torch.compile.")
@click.option("--cuda-graphs", is_flag=True, help="Compile each phase, and replay it as one CUDA graph.")
@click.option("--deterministic", is_flag=True, help="Use only bitwise reproducible kernels (CUDA; slower).")
@click.option("--shard", is_flag=True, help="Under torchrun: shard the weights over the processes (FSDP2).")
@click.option(
    "--checkpoint-every", type=int, metavar="STEPS",
    help="Steps between checkpoints.  [default: a tenth of the run; with --resume: unchanged]",
)  # fmt: skip
@click.option(
    "--log", "log", multiple=True, metavar="LOGGER", shell_complete=complete_logger,
    help="Also log to tensorboard, mlflow or another installed logger; may be repeated.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Show only errors and warnings.")
@click.option("--no-release", is_flag=True, help="Train without writing a release at the end.")
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
    log: tuple[str, ...],
    quiet: bool,
    no_release: bool,
) -> None:
    """Train the model and recipe NAME, such as vae.mnist, and write its release into the run folder.

    Ctrl-C and SIGTERM write a checkpoint; --resume continues from it exactly.

    On several devices:  torchrun --nproc-per-node N -m zoo train NAME …
    """
    prepare()
    from zoo import registry
    from zoo.data import parse
    from zoo.pipeline.train import train

    model, recipe = registry.load_recipe(name)
    run = train(
        name,
        data_dir=data_dir,
        set=parse(recipe, assignments, data),
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
        log=log,
        quiet=quiet,
    )
    from zoo.training.distributed import rank

    if rank():  # only the process of rank 0 reports
        sys.stderr.flush()
        os._exit(0)  # a normal exit can abort a complete run, because torch's threads are still ending
    if quiet:
        return
    click.echo(f"Trained {name} in {run.seconds:.0f} s ({run.steps} steps).")
    from zoo.contract.metric import cells

    if run.measurements:
        table([("METRIC", "VALUE", "UNIT", "BASELINE"), *map(cells, run.measurements)], "  ")
    click.echo(f"  run:     {run.folder}  (metrics.jsonl, evaluation.json, curves.png, samples/, checkpoints/)")
    if run.release is not None:
        click.echo(f"  release: {run.release}")
        from zoo.release import read
        from zoo.runtime.describe import example_of_given

        alone = len(run.folder.parts) == 1  # a bare word would be read as a model's name
        folder = shlex.quote(f"./{run.folder}" if alone else str(run.folder))
        look = "evaluate" if model.generate is None else "generate"
        given = example_of_given(read(run.release).plan)[1]
        click.echo(f"Next:  zoo {look} {folder}{given}   zoo verify {folder}   zoo info {folder}")
