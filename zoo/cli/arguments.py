"""Arguments that several commands share, with their shell completion."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from zoo.core import files
from zoo.core.errors import ZooError
from zoo.core.text import plain

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class UserPath(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """The type of every path option: the path of a ``"file"`` or a ``"dir"``, with a leading ``~`` expanded."""

    name = "path"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return files.expand(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]


class ClassLabel(click.ParamType):  # type: ignore[type-arg]
    """The type of every option that takes a class: its number, or its name, which the model knows."""

    name = "class"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        return int(value) if str(value).removeprefix("-").isdecimal() else str(value)


CLASS = ClassLabel()

NARROWEST = 20
"""The narrowest column, in characters, into which text is wrapped."""

BELOW = 4
"""The indent, in characters, of text that has no room beside its label."""

FILE, DIR = UserPath("file"), UserPath("dir")


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names ``model.recipe``."""
    from zoo import registry

    rows = registry.rows()
    return [CompletionItem(row.name, help=row.title or row.note) for row in rows if row.name.startswith(incomplete)]


def complete_source(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete released names and folders."""
    from zoo import registry
    from zoo.hub import community

    released = [row.name for row in registry.rows(pretrained=True)] + [entry.name for entry in community.releases()]
    names = [name for name in released if name.startswith(incomplete)]
    return [*(CompletionItem(name) for name in names), CompletionItem(incomplete, type="dir")]


def complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``KEY=`` for every recipe field of the model in the command line, and ``data.OPTION=``."""
    import dataclasses

    from zoo import registry
    from zoo.plugin import Recipe

    known = {field.name: field.metadata["help"] for field in dataclasses.fields(Recipe)}
    words = os.environ.get("COMP_WORDS", "").split()  # click has not parsed NAME yet while an option lacks its value
    models = [registry.split(word)[0] for word in words if registry.split(word)[0] in registry.plugins()]
    try:
        plugin = registry.find(models[0])
        described = registry.read_file(plugin.distribution).models.get(plugin.name, {})
        known |= {key: entry["help"] for key, entry in described.get("settings", {}).items()}
        recipe = next(registry.split(word)[1] for word in words if registry.split(word)[0] == models[0])
        known |= {key: text for key, (_, text) in registry.data_options(described["recipes"][recipe]).items()}
    except Exception:
        pass
    return [CompletionItem(f"{key}=", help=text) for key, text in known.items() if key.startswith(incomplete)]


def complete_data(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of data sets, and the prefixes of the user's own data."""
    from zoo import registry

    helps = {f"{row.name}:"[: None if row.place else -1]: row.entry.get("title", "") for row in registry.data_rows()}
    return [CompletionItem(name, help=text) for name, text in helps.items() if name.startswith(incomplete)]


def complete_named_data(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of data sets."""
    from zoo import registry

    rows = [row for row in registry.data_rows() if not row.place and row.name.startswith(incomplete)]
    return [CompletionItem(row.name, help=row.entry.get("title", "")) for row in rows]


def complete_device(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of devices."""
    return [CompletionItem(name) for name in ("auto", "cpu", "cuda", "mps") if name.startswith(incomplete)]


def complete_logger(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of loggers."""
    from zoo import registry

    return [CompletionItem(name) for name in registry.plugins(registry.LOGGERS) if name.startswith(incomplete)]


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the tasks of the SOURCE in the command line."""
    from zoo.hub.resolve import find
    from zoo.release import read

    try:
        release = read(find(ctx.params.get("source") or "", network=False))
    except Exception:
        return []
    return [CompletionItem(name) for name in release.tasks if name.startswith(incomplete)]


def source(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SOURCE: a released name, a run folder or a release folder."""
    return click.argument("source", shell_complete=complete_source)(function)


class _Aliased(click.Option):
    """An option that also accepts older spellings, which the help does not show."""

    def __init__(self, *args: Any, aliases: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._aliases = aliases

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        shown, self.opts = self.opts, [*self.opts, *self._aliases]
        super().add_to_parser(parser, ctx)
        self.opts = shown


def output_folder(name: str, help: str, alias: str, **options: Any) -> Decorator:
    """Add ``-o DIR`` as the parameter `name` of a command; `alias` is an older spelling of the option."""
    return click.option(
        "-o", "--output", name, cls=_Aliased, aliases=[alias], type=DIR, metavar="DIR", help=help, **options
    )


def output(help: str) -> Decorator:
    """Add ``-o FILE`` and ``--force``."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--force", is_flag=True, help="Replace existing files.")(function)
        return click.option("-o", "--output", type=FILE, metavar="FILE", help=help)(function)

    return add


def backend(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--backend`` and ``--device`` to a command that runs a model."""
    function = click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="DEVICE",
        shell_complete=complete_device,
        help="auto, cpu or cuda; cuda fails rather than falling back to the CPU.",
    )(function)
    return click.option(
        "--backend",
        type=click.Choice(["onnx", "torch"]),
        default="onnx",
        show_default=True,
        help="Run the model in ONNX Runtime (onnx) or in torch.",
    )(function)


data_dir = click.option(
    "--data-dir",
    type=DIR,
    envvar="ZOO_DATA_DIR",
    show_envvar=True,
    metavar="DIR",
    help="The folder of named data sets.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output, in ASCII, which every encoding contains."""
    import json

    click.echo(json.dumps(value, indent=2))


def table(rows: Sequence[tuple[str, ...]], indent: str = "") -> None:
    """Print rows in aligned columns. The first row holds the headings; on a terminal the last column is wrapped."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = hanging(indent + "".join(f"{cell}  " for cell in cells[:-1]), cells[-1].rstrip()).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def hanging(label: str, text: str) -> str:
    """Join a label and its text. On a terminal the text is wrapped beside the label, or below it without room."""
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or len(label) + len(text) <= width:
        return label + text
    beside = width - len(label) >= NARROWEST
    indent = len(label) if beside else BELOW
    lines = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False)
    return (label if beside else label.rstrip() + f"\n{' ' * indent}") + f"\n{' ' * indent}".join(lines)


def say_written(paths: list[Path]) -> None:
    """Print the files that were written, one a line."""
    for path in paths:
        click.echo(f"{path} written")


def as_one(error: ZooError) -> ZooError:
    """The error to raise for one that may have several problems: these are printed, one a line."""
    problems = getattr(error, "problems", ())
    if len(problems) < 2:
        return error
    for problem in problems:
        click.echo(f"- {plain(problem)}", err=True)
    return ZooError(f"There are {len(problems)} problems. Nothing was changed.")
