"""The command ``zoo``. Each command's code is imported when it is called, so ``zoo --help`` is quick."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

import click

COMMANDS = {
    "demo": ("zoo.cli.demo", "Train a small model and use it without torch, in a minute."),
    "list": ("zoo.cli.list", "List models and their recipes."),
    "info": ("zoo.cli.info", "Show a model, a recipe, or a release."),
    "train": ("zoo.cli.train", "Train a model and write its release."),
    "evaluate": ("zoo.cli.evaluate", "Measure a model, each figure with its protocol and its interval."),
    "bench": ("zoo.cli.bench", "Measure how fast releases are, in torch and in ONNX Runtime."),
    "export": ("zoo.cli.export", "Write the release of a run."),
    "gallery": ("zoo.cli.gallery", "Write a page that shows every released model."),
    "generate": ("zoo.cli.generate", "Generate samples, without torch."),
    "run": ("zoo.cli.run", "Run any task of a model on files, without torch."),
    "interpolate": ("zoo.cli.latent", "From one sample or file to another, through the latents."),
    "traverse": ("zoo.cli.latent", "Change one number of a latent, and show what that does."),
    "inpaint": ("zoo.cli.latent", "Fill in what is missing of an image or an audio clip."),
    "verify": ("zoo.cli.verify", "Check a release: hashes, graphs, samples."),
    "data": ("zoo.cli.data", "List, get and look at data sets."),
    "doctor": ("zoo.cli.doctor", "Check this installation and every plugin."),
    "catalogue": ("zoo.cli.catalogue", "Describe your models, and release their weights."),
    "completion": ("zoo.cli.completion", "Print the shell completion script."),
}


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # `list` is the module of that command, once it is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from zoo.core.errors import suggest

            ctx.fail(f"No command {args[0]!r}.{suggest(args[0], COMMANDS)} Run: zoo --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nStart with:  zoo demo\nThen:        zoo list,  zoo train vae.digits,  zoo generate runs/vae.digits",
)
@click.version_option(package_name="genzoo", prog_name="zoo", message="%(prog)s %(version)s")
def cli() -> None:
    """A zoo of generative models: train them, and run the same weights in PyTorch and ONNX Runtime.

    A model with a recipe has a name such as vae.mnist. SOURCE is a released name, a run folder or a release folder.
    """


def main() -> None:
    """Run the command line: errors that a person can mend are one line, and only a bug shows a traceback."""
    from zoo.core.errors import ZooError

    _print_anything()
    try:
        cli(prog_name="zoo", standalone_mode=False)
    except ZooError as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        _fail(str(error), getattr(error, "exit_code", 1))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        context = getattr(error, "ctx", None)
        hint = f" Run: {context.command_path} --help" if context is not None and "Run:" not in message else ""
        _fail(message + hint, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("Interrupted.", 130)
    except MemoryError:
        _fail("There is not enough memory for that. Ask for fewer samples at once, or use a smaller model.", 1)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a full disk, a file that may not be read
        _fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}.", 1)


def _print_anything() -> None:
    """Have output that its encoding lacks, such as ``→`` on a Windows pipe or a file name that is no UTF-8, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None under pythonw, and anything where a program replaced it
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int) -> None:
    rank = os.environ.get("RANK", "0")  # of several processes that torchrun started, each says its own
    where = "" if rank == "0" else f"(process {rank}) "
    click.echo(click.style("Error: ", fg="red", bold=True) + where + " ".join(message.splitlines()), err=True)
    sys.exit(code)
