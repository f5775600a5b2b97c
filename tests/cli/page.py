"""docs/reference/cli.md: what ``zoo COMMAND --help`` says of every command.

python tests/cli/page.py --write  # after a change to a command
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from zoo.cli import COMMANDS, cli

FILE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEAD = """# Commands

What `zoo COMMAND --help` says. SOURCE is a released name such as `vae.mnist`, a run folder or a release folder.
"""


def pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """The name and the help of a command and of those below it."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from pages(found, below, context)


def text() -> str:
    """The whole page."""
    names = cli.context_settings["help_option_names"]
    root = click.Context(cli, info_name="zoo", help_option_names=names)
    parts = [HEAD]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        for path, help in pages(command, name, root):
            parts.append(f"## {path}\n\n```text\n{help.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--write" in sys.argv:
        FILE.write_text(text(), "utf-8")
