"""The command ``zoo run``: run a task on files, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from zoo.cli.arguments import (
    backend,
    complete_task,
    complete_verb_setting,
    output,
    say_written,
    source,
)
from zoo.core import files

if TYPE_CHECKING:
    from zoo.runtime import LoadedModel


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
    from zoo.contract.specs import Image, Score
    from zoo.core.errors import NotFoundError, SettingError
    from zoo.media import save
    from zoo.media.convert import fitted
    from zoo.release import USUAL
    from zoo.sampling import latent

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
        say_written(save.save(result, output, gives, force=force))


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

    from zoo.contract.settings import options
    from zoo.core.errors import SettingError
    from zoo.media import save

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
    say_written(save.save(method(*values, **settings), output, x, force=force, columns=columns))


def _takes(task: str, names: list[str], given: int) -> str:
    inputs = "1 input" if len(names) == 1 else f"{len(names)} inputs"
    return f"{task} takes {inputs} ({', '.join(names)}); {given} {'was' if given == 1 else 'were'} given."
