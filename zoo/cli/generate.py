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
@click.option(
    "-n", "count", type=int, default=16, metavar="N", help="Number of samples.  [default: 16; text and audio: 1]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same samples everywhere.")
@click.option(
    "--first", type=int, default=0, show_default=True, help="Index of the first sample in the seed's sequence."
)
@click.option("--label", type=int, help="The class to generate, for models with labels.")
@click.option("--prompt", default="", help="The start of the text, for models of text.")
@click.option("--length", type=int, help="Number of characters to generate after the prompt.")
@click.option(
    "--temperature", type=float, default=1.0, show_default=True,
    help="Sampling temperature; 0 always picks the most likely token.",
)  # fmt: skip
@click.option("--top-k", type=int, default=0, help="Sample from the K most likely tokens.  [default: all]", metavar="K")
@click.option(
    "--top-p", type=float, default=1.0, metavar="P",
    help="Sample from the most likely tokens of total probability P.  [default: all]",
)  # fmt: skip
@click.option("--steps", type=int, help="Sampling steps of a diffusion model.  [default: that of the release]")
@click.option(
    "--eta", type=float,
    help="Noise added in each sampling step: 0 is none (DDIM), 1 is that of DDPM.  [default: that of the release]",
)  # fmt: skip
@output(
    "The file: a .png grid (of videos an animated one, or .gif), a .npy array, .csv, .txt, or .wav (numbered if "
    "several).  "
    "[default: NAME-seedN; text: the terminal]"
)
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
    """Generate samples: images as a grid, videos as one that moves, text on the terminal, audio clips as WAV files."""
    import zoo
    from zoo.media import kinds, save
    from zoo.sampling import generation

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        x = model.release.sample.x
        ending = save.endings(x)[0]
        if ctx.get_parameter_source("count") is click.core.ParameterSource.DEFAULT:
            count = 1 if output and output.suffix == ".wav" else kinds.of_sample(x).default_count
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
