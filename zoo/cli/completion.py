"""The command ``zoo completion``: the shell's completion script."""

from __future__ import annotations

import click


@click.command("completion", epilog='Example:  eval "$(zoo completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that lets your shell complete commands, names and settings.

    \b
    Add it to the file that your shell reads when it starts:
      ~/.bashrc                    eval "$(zoo completion bash)"
      ~/.zshrc                     eval "$(zoo completion zsh)"
      ~/.config/fish/config.fish   zoo completion fish | source
    """
    from click.shell_completion import get_completion_class

    from zoo.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "zoo", "_ZOO_COMPLETE").source())
