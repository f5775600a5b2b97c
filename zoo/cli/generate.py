"""The command ``zoo generate``: generate samples, without torch."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import (
    backend,
    output,
    say_written,
    source,
)


@click.command("generate", epilog="Example:  zoo generate runs/vae.digits -n 64 --seed 1 -o samples.png")
@source
@click.option("-n", "count", type=int, default=16, metavar="N", help="How many.  [default: 16; text and audio: 1]")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same samples everywhere.")
@click.option("--first", type=int, default=0, show_default=True, help="Index of the first sample of the seed.")
@click.option("--label", type=int, help="The class to generate, for models with labels.")
@click.option("--prompt", default="", help="How a text begins.")
@click.option("--length", type=int, help="Characters to write after the prompt.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="0 takes the likeliest token.")
@click.option("--top-k", type=int, default=0, help="Pick from the K likeliest tokens.  [default: all]", metavar="K")
@click.option(
    "--top-p", type=float, default=1.0, help="Pick from the likeliest with probability P.  [default: all]", metavar="P"
)
@click.option("--steps", type=int, help="Steps from noise to a sample.  [default: what it was released with]")
@click.option("--eta", type=float, help="Noise added on the way: 0 none, 1 all of DDPM.  [default: the same]")
@output("A .png grid, a .npy array, .txt, or .wav, numbered if several.  [default: NAME-seedN; text: the terminal]")
@backend
@click.pass_context
def generate_command(
    ctx: click.Context,
    source: str,
    count: int,
    seed: int,
    first: int,
    label: int | None,
    prompt: str,
    length: int | None,
    temperature: float,
    top_k: int,
    top_p: float,
    steps: int | None,
    eta: float | None,
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    """Generate samples: images as a grid, text on the terminal, audio clips as WAV files."""
    import zoo
    from zoo.media import save
    from zoo.sampling import generation

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        x = model.release.sample.x
        ending = save.endings(x)[0]
        if (ending != ".png" or (output and output.suffix == ".wav")) and ctx.get_parameter_source(
            "count"
        ) is click.core.ParameterSource.DEFAULT:
            count = 1
        if output is None and x.kind != "text":
            output = Path(f"{model.name}-seed{seed}{ending}")
        if model.release.plan is not None:
            generation.check_memory(model.release.plan, count)
        if output is not None:
            save.check(output, x, force, count, first)
        samples = model.generate(
            count, seed=seed, first=first, label=label, prompt=prompt, length=length, temperature=temperature,
            top_k=top_k, top_p=top_p, steps=steps, eta=eta,
        )  # fmt: skip
        if output is None:
            click.echo("\n\n".join(samples))
        else:
            say_written(save.save(samples, output, x, force=force, first=first))
