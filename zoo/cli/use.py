"""The commands that use a release, without torch: generate, run, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.arguments import as_json, backend, complete_task, output, print_json, source


@click.command("generate", epilog="Example:  zoo generate runs/vae.digits -n 64 --seed 1 -o samples.png")
@source
@click.option("-n", "count", type=int, default=16, metavar="N", help="How many.  [default: 16; text and sound: 1]")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same samples everywhere.")
@click.option("--first", type=int, default=0, show_default=True, help="Index of the first sample of the seed.")
@click.option("--label", type=int, help="The class to generate, for models with labels.")
@click.option("--prompt", default="", help="How a text begins.")
@click.option("--length", type=int, help="Characters to write after the prompt.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="0 takes the likeliest character.")
@click.option("--top-k", type=int, default=0, help="Pick from the K likeliest characters.  [default: all]", metavar="K")
@click.option(
    "--top-p", type=float, default=1.0, help="Pick from the likeliest with probability P.  [default: all]", metavar="P"
)
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
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    """Generate samples: pictures as a grid, text on the terminal, sounds as WAV files."""
    import zoo

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        x = model.release.sample.x
        endings = _ENDINGS[x.kind]
        if endings[0] != ".png" and ctx.get_parameter_source("count") is click.core.ParameterSource.DEFAULT:
            count = 1
        if output is None and x.kind != "text":
            output = Path(f"{model.name}-seed{seed}{endings[0]}")
        if output is not None:
            _check_output(output, endings, force, count, first)
        samples = model.generate(
            count, seed=seed, first=first, label=label, prompt=prompt, length=length, temperature=temperature,
            top_k=top_k, top_p=top_p,
        )  # fmt: skip
        if output is None:
            click.echo("\n\n".join(samples))
        else:
            _write(output, samples, x, force, first)


@click.command("run", epilog="Example:  zoo run runs/vae.digits reconstruct a.png b.png -o both.png")
@source
@click.argument("task", shell_complete=complete_task)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…", type=click.Path())
@output("A .png, .wav, .npy or .json file.  [default: pictures TASK.png, sounds TASK.wav, the rest JSON, printed]")
@backend
def run_command(
    source: str, task: str, inputs: tuple[str, ...], output: Path | None, force: bool, backend: str, device: str
) -> None:
    """Run a task on files: pictures, .wav sounds, .npy arrays, or text.

    For a task with one input, all files together are its batch. For a task with several, give one .npy file for each,
    in order.
    """
    import zoo
    from zoo.errors import NotFoundError, SettingError

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        if task not in model.tasks:
            raise NotFoundError(f"{model.name} has no task {task!r}. It has: {', '.join(model.tasks)}.")
        declared = model.release.tasks[task]
        specs = list(declared.inputs.values())
        gives = next(iter(declared.outputs.values())) if len(declared.outputs) == 1 else None
        shown = _ENDINGS.get(gives.kind) if gives is not None and gives.kind != "text" else None
        if output is None and shown:
            output = Path(f"{task}{shown[0]}")
        if output is not None:
            _check_output(output, shown or (".npy", ".json"), force, len(inputs))
        if len(specs) == 1:
            values: list[Any] = [_read_all(inputs, specs[0].kind)]
        elif len(inputs) == len(specs):
            values = [_read_all((name,), spec.kind) for name, spec in zip(inputs, specs, strict=True)]
        else:
            raise SettingError(
                f"{task} takes {len(specs)} inputs ({', '.join(declared.inputs)}); {len(inputs)} were given."
            )
        result = model.run(task, *values)
    if output is None or output.suffix == ".json":
        _print_or_write_json(output, result, force)
    else:
        _write(output, result, gives, force)


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


_ENDINGS = {
    "image": (".png", ".npy"),
    "text": (".txt",),
    "audio": (".wav", ".png", ".npy"),
    "log-mel": (".png", ".npy"),
}
"""How samples of a kind may be written; the first is the default."""


def _numbered(path: Path, count: int, first: int = 0) -> list[Path]:
    """The files that `count` samples are written to: a WAV file holds one sound, the others hold all."""
    if path.suffix != ".wav" or count == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{first + index}") for index in range(count)]


def _check_output(path: Path, allowed: tuple[str, ...], force: bool, count: int = 1, first: int = 0) -> None:
    """Raise unless the path is free, ends as it must, and is not inside a release, which never changes."""
    from zoo.errors import SettingError
    from zoo.files import check_free, check_outside_releases

    check_outside_releases(path)
    for part in _numbered(path, count, first):
        check_free(part, force)
    if path.suffix not in allowed:
        raise SettingError(
            f"{str(path)!r} ends in {path.suffix or 'nothing'!r}; it must end in {' or '.join(allowed)}."
        )


def _read_all(names: tuple[str, ...], kind: str) -> Any:
    """What the files hold: one array, or pictures by their names, or texts."""
    import numpy as np

    from zoo.errors import DataError, SettingError, one_line

    if all(name.endswith(".npy") for name in names):
        arrays = []
        for name in names:
            try:
                arrays.append(np.load(name, allow_pickle=False))
            except FileNotFoundError as error:
                raise DataError(f"{name} does not exist.") from error
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"{name} is no array that can be read: {one_line(error)}.") from error
        try:
            return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        except ValueError as error:
            raise DataError(f"The arrays do not fit together: {one_line(error)}.") from error
    if kind in ("image", "audio", "log-mel"):
        return list(names)
    if kind == "text":
        try:
            return [Path(name).read_text("utf-8") for name in names]
        except (OSError, ValueError) as error:
            raise DataError(f"A text cannot be read: {one_line(error)}.") from error
    raise SettingError(f"This task takes arrays, as .npy files; {names[0]!r} is none.")


def _write(path: Path, value: Any, spec: Any, force: bool, first: int = 0) -> None:
    """Write samples or results of a spec by the ending of the path, and say so."""
    import io

    import numpy as np

    from zoo import files, pictures, show

    if path.suffix == ".wav":
        from zoo.data import wav

        for part, sound in zip(_numbered(path, len(value), first), value, strict=True):
            files.write(part, wav.write(sound, spec.rate), force)
            click.echo(f"{part} written")
        return
    if path.suffix == ".png":
        content: bytes | str = pictures.png(pictures.enlarge(show.picture(value, spec)))
    elif path.suffix == ".txt":
        content = "\n\n".join(value) + "\n"
    else:
        from zoo.errors import SettingError

        if isinstance(value, dict):
            raise SettingError(f"This task gives {', '.join(value)}; write them to a .json file, or leave -o out.")
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        content = buffer.getvalue()
    files.write(path, content, force)
    click.echo(f"{path} written")


def _print_or_write_json(path: Path | None, result: Any, force: bool) -> None:
    import json

    from zoo import files

    text = json.dumps(result, default=lambda array: array.tolist())
    if path is None:
        click.echo(text)
    else:
        files.write(path, text + "\n", force)
        click.echo(f"{path} written")
