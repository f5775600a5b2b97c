"""The command ``zoo run``: run a task on files, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from zoo.cli.arguments import (
    backend,
    complete_task,
    output,
    say_written,
    source,
)
from zoo.core import files


@click.command("run", epilog="Example:  zoo run vae.digits reconstruct a.png b.png -o again.png")
@source
@click.argument("task", shell_complete=complete_task)
@click.argument("inputs", nargs=-1, metavar="[INPUT]…", type=click.Path())
@click.option(
    "--fit", type=click.Choice(["crop", "pad"]), help="Cut or pad images and videos of another size, and resize them."
)
@output(
    "A .png, .gif, .wav, .npy, .csv or .json file.  [default: TASK.png for images and videos, TASK.wav for audio, else "
    "printed JSON]"
)
@backend
def run_command(
    source: str,
    task: str,
    inputs: tuple[str, ...],
    fit: Literal["crop", "pad"] | None,
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    """Run a task on files: images, videos or folders of their frames, .wav audio clips, arrays, tables, or text.

    For a task with one input, all files together are one batch. For a task with several inputs, give one .npy file for
    each, in order.
    """
    import zoo
    from zoo.contract.specs import Score
    from zoo.core.errors import NotFoundError, SettingError, suggest
    from zoo.media import kinds, save
    from zoo.media.convert import fitted
    from zoo.release import USUAL
    from zoo.sampling import latent

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        if task in latent.VERBS:
            raise SettingError(f"{task} is a command of its own. Run: zoo {task} {source} …")
        if task not in model.tasks:
            hint = suggest(task, model.tasks)
            raise NotFoundError(f"{model.name} has no task {task!r}.{hint} It has: {', '.join(model.tasks)}.")
        declared = model.release.tasks[task]
        specs = list(declared.inputs.values())
        if fit and not any(kinds.of(spec).pixels for spec in specs):
            raise SettingError(f"--fit is for images and videos, and {task} takes none. Leave it out.")
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
                fitted([value], spec, ground, fit) if kinds.of(spec).pixels else value
                for value, spec in zip(values, specs if len(specs) > 1 else specs * len(values), strict=True)
            ]
            values = values if len(specs) > 1 else [value[0] for value in values]
        result = model.run(task, *(values if len(specs) > 1 else [values]))
        threshold = model.threshold if isinstance(gives, Score) else None
    if threshold is not None:
        anomalous = sum(float(score) > threshold for score in result)
        click.echo(
            f"{anomalous} of {len(result)} score above {threshold:.4g}; {USUAL:.0%} of test samples score below it.",
            err=True,
        )
    if output is None:
        click.echo(kinds.as_json(result))
    else:
        say_written(save.save(result, output, gives, force=force))


def _takes(task: str, names: list[str], given: int) -> str:
    inputs = "1 input" if len(names) == 1 else f"{len(names)} inputs"
    return f"{task} takes {inputs} ({', '.join(names)}); {given} {'was' if given == 1 else 'were'} given."
