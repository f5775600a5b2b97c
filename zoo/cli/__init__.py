"""The command ``zoo``. The code of a command is imported when that command runs, so ``zoo --help`` is quick."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

import click

MOST_OF_AN_ERROR = 4000
"""Characters of an error that are shown, at most: a manifest of others may hold any number of them."""

COMMANDS = {
    "demo": ("zoo.cli.demo", "Train a small model and run it without torch, in about a minute."),
    "list": ("zoo.cli.list", "List models and their recipes."),
    "info": ("zoo.cli.info", "Show a model, a recipe, or a release."),
    "train": ("zoo.cli.train", "Train a model and write its release."),
    "evaluate": ("zoo.cli.evaluate", "Compute a model's metrics, with protocols and confidence intervals."),
    "reproduce": ("zoo.cli.reproduce", "Train released weights again, and compare every metric."),
    "bench": ("zoo.cli.bench", "Compare the speed of releases in torch and in ONNX Runtime."),
    "export": ("zoo.cli.export", "Write the release of a run."),
    "release": ("zoo.cli.release", "Release the weights of a run with the package of its model."),
    "gallery": ("zoo.cli.gallery", "Write a web page that shows released models."),
    "generate": ("zoo.cli.generate", "Generate samples, without torch."),
    "run": ("zoo.cli.run", "Run a task of a model on files, without torch."),
    "compress": ("zoo.cli.compress", "Compress files by a model with a codec, without torch."),
    "decompress": ("zoo.cli.compress", "Decompress a file of zoo compress."),
    "interpolate": ("zoo.cli.latent", "Interpolate between two samples or files in latent space."),
    "traverse": ("zoo.cli.latent", "Vary one latent dimension and write the samples."),
    "inpaint": ("zoo.cli.latent", "Fill in the missing part of an image or an audio clip."),
    "verify": ("zoo.cli.verify", "Check a release: hashes, graphs and samples."),
    "publish": ("zoo.cli.publish", "Publish a release on the Hugging Face Hub."),
    "pull": ("zoo.cli.pull", "Download a release from the Hugging Face Hub."),
    "cache": ("zoo.cli.cache", "Show and remove downloaded releases."),
    "data": ("zoo.cli.data", "List, download and inspect data sets."),
    "doctor": ("zoo.cli.doctor", "Check this installation and every plugin."),
    "plugin": ("zoo.cli.plugin", "List installed plugins, write your own, and check it."),
    "registry": ("zoo.cli.registry", "Index your models and their released weights."),
    "completion": ("zoo.cli.completion", "Print the shell completion script."),
}


class LazyGroup(click.Group):
    """A click group that lists its commands without importing them."""

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

    NAME is model.recipe, such as vae.mnist. SOURCE is a released name, a run folder, a
    release folder, or hub:ORG/NAME.
    """


def main() -> None:
    """Run the command line. An error that the user can fix is one line; only a bug shows a traceback."""
    from zoo.core.errors import ZooError

    _print_anything()
    try:
        code = cli(prog_name="zoo", standalone_mode=False)
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
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a full disk, a file that may not be read
        _fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}.", 1)
    except SystemExit as error:  # zoo's own commands do not raise it: a plugin does
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1]
        if os.path.dirname(where.filename) == os.path.dirname(click.__file__):  # shell completion ends so
            raise
        ending = f"{where.filename}, line {where.lineno}, ended the program: SystemExit({error.code!r})"
        _fail(f"{ending}. A plugin must raise an error that says what is wrong.", 1)
    if code:
        sys.exit(code)


def _print_anything() -> None:
    """Escape characters that the output encoding lacks: ``→`` on a Windows pipe, or a file name that is not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # it is None under pythonw, and any type where a program replaced it
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int) -> None:
    from zoo.core.text import plain

    if "zoo.core.progress" in sys.modules:
        from zoo.core.progress import stop_bars

        stop_bars()
    rank = os.environ.get("RANK", "0")  # under torchrun, each process reports its own errors
    where = "" if rank == "0" else f"(process {rank}) "
    readable = message.encode("utf-8", "backslashreplace").decode()  # also a file name that is not UTF-8
    text = plain(readable, MOST_OF_AN_ERROR)
    click.echo(click.style("Error: ", fg="red", bold=True) + where + text, err=True)
    sys.exit(code)
