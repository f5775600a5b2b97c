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
@output_folder("out", "The run folder.  [default: runs/NAME]", "--out")
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
    from zoo import registry
    from zoo.contract import settings
    from zoo.pipeline.train import train

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
    from zoo.contract.metric import cells

    if run.figures:
        table([("MEASURE", "VALUE", "UNIT", "BASELINE"), *map(cells, run.figures)], "  ")
    click.echo(f"  run:     {run.folder}  (metrics.jsonl, measures.json, curves.png, samples/, checkpoints/)")
    if run.release is not None:
        click.echo(f"  release: {run.release}")
        alone = len(run.folder.parts) == 1  # a bare word would be taken for a model's name
        folder = shlex.quote(f"./{run.folder}" if alone else str(run.folder))
        look = "evaluate" if model.generate is None else "generate"
        click.echo(f"Next:  zoo {look} {folder}   zoo verify {folder}   zoo info {folder}")
