"""The commands that use a release, without torch: generate, run, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from zoo import files
from zoo.cli.arguments import (
    as_json,
    backend,
    complete_task,
    complete_verb_setting,
    output,
    print_json,
    source,
)

if TYPE_CHECKING:
    from zoo.runtime import LoadedModel


@click.command("generate", epilog="Example:  zoo generate runs/vae.digits -n 64 --seed 1 -o samples.png")
@source
@click.option("-n", "count", type=int, default=16, metavar="N", help="How many.  [default: 16; text and sound: 1]")
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
    """Generate samples: pictures as a grid, text on the terminal, sounds as WAV files."""
    import zoo
    from zoo import generation, save

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
            _say(save.save(samples, output, x, force=force, first=first))


@click.command("run", epilog="Example:  zoo run vae.digits interpolate a.png b.png -o between.png")
@source
@click.argument("task", shell_complete=complete_task)
@click.argument("inputs", nargs=-1, metavar="[INPUT]…", type=click.Path())
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_verb_setting,
    help="For what is no task: steps, dimension, low, high, seed, method, label.",
)
@click.option("--fit", type=click.Choice(["crop", "pad"]), help="Cut or pad images of another size, and resize them.")
@output("A .png, .wav, .npy or .json file.  [default: pictures TASK.png, sounds TASK.wav, the rest JSON, printed]")
@backend
def run_command(
    source: str,
    task: str,
    inputs: tuple[str, ...],
    assignments: tuple[str, ...],
    fit: Literal["crop", "pad"] | None,
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    """Run a task on files: pictures, .wav sounds, .npy arrays, or text.

    For a task with one input, all files together are its batch. For a task with several, give one .npy file for each,
    in order.

    \b
    Beside its tasks, a model may have (zoo info SOURCE):
      interpolate A B                 from A to B; a number is a sample of a seed
      traverse [A] --set dimension=D  one number of A's code, from low to high
      inpaint A MASK                  what is white in MASK, filled in, or picked
    """
    import zoo
    from zoo import latent, save
    from zoo.convert import fitted
    from zoo.errors import NotFoundError, SettingError
    from zoo.release import USUAL
    from zoo.specs import Image, Score

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        if task in latent.VERBS:
            if fit:
                raise SettingError(f"--fit is for tasks, and {task} is none. Resize its images first.")
            _run_verb(model, task, inputs, assignments, output, force)
            return
        if task not in model.tasks:
            has = ", ".join((*model.tasks, *latent.verbs(model.release)))
            raise NotFoundError(f"{model.name} has no task {task!r}. It has: {has}.")
        if assignments:
            raise SettingError(f"{task} has no settings. Leave --set {assignments[0]} out.")
        declared = model.release.tasks[task]
        specs = list(declared.inputs.values())
        if fit and not any(isinstance(spec, Image) for spec in specs):
            raise SettingError(f"--fit is for images, and {task} takes none. Leave it out.")
        if not inputs or (len(specs) > 1 and len(inputs) != len(specs)):
            raise SettingError(_takes(task, list(declared.inputs), len(inputs)))
        gives = next(iter(declared.outputs.values())) if len(declared.outputs) == 1 else None
        ending = save.endings(gives)[0]
        if output is None and ending in (".png", ".wav"):
            output = Path(f"{task}{ending}")
        if output is not None:
            save.check(output, gives, force, len(inputs))
        values: list[Any] = [files.expand(name) for name in inputs]
        if fit:
            ground = model.release.background
            values = [
                fitted([value], spec, ground, fit) if isinstance(spec, Image) else value
                for value, spec in zip(values, specs if len(specs) > 1 else specs * len(values), strict=True)
            ]
            values = values if len(specs) > 1 else [value[0] for value in values]
        result = model.run(task, *(values if len(specs) > 1 else [values]))
        threshold = model.threshold if isinstance(gives, Score) else None
    if threshold is not None:
        strange = sum(float(score) > threshold for score in result)
        click.echo(
            f"{strange} of {len(result)} score above {threshold:.4g}, which {USUAL:.0%} of test samples stay below.",
            err=True,
        )
    if output is None:
        click.echo(save.as_json(result))
    else:
        _say(save.save(result, output, gives, force=force))


def _run_verb(
    model: LoadedModel,
    verb: str,
    inputs: tuple[str, ...],
    assignments: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> None:
    """Interpolate, traverse or in-paint, and write the samples."""
    import inspect

    from zoo import save
    from zoo.errors import SettingError
    from zoo.settings import options

    method = getattr(model, verb)
    values: list[Any] = [files.expand(text) for text in inputs]
    for place, text in enumerate(inputs):
        if text.isdecimal() and len(text) < 20 and not values[place].exists():  # the index of a sample
            values[place] = int(text)
    settings = options(method, assignments)
    taken = [one for one in inspect.signature(method).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    if not sum(one.default is one.empty for one in taken) <= len(values) <= len(taken):
        names = [one.name if one.default is one.empty else f"[{one.name}]" for one in taken]
        raise SettingError(_takes(verb, names, len(values)))
    x = model.release.sample.x
    output = output or Path(f"{verb}{save.endings(x)[0]}")
    columns = None if verb == "inpaint" else settings["steps"]
    _say(save.save(method(*values, **settings), output, x, force=force, columns=columns))


def _takes(task: str, names: list[str], given: int) -> str:
    inputs = "1 input" if len(names) == 1 else f"{len(names)} inputs"
    return f"{task} takes {inputs} ({', '.join(names)}); {given} {'was' if given == 1 else 'were'} given."


def _say(paths: list[Path]) -> None:
    for path in paths:
        click.echo(f"{path} written")


@click.command("verify", epilog="Example:  zoo verify runs/vae.digits")
@source
@as_json
def verify_command(source: str, as_json: bool) -> None:
    """Check a release: every hash, every graph at batches 1 and 3, and that the samples are those it came with.

    Where torch and the plugin are installed, parity is proven again too.
    """
    from zoo.errors import ZooError
    from zoo.verify import verify

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
