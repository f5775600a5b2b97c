"""The command ``zoo generate``: generate samples, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import FILE, backend, output, say_written, source

if TYPE_CHECKING:
    from zoo.contract.generation_plan import Option, Plan

OPTIONS = "zoo.generate.options"
"""The key of ``click.Context.meta`` that holds the options of the model in the command line."""


class GenerateCommand(click.Command):
    """A command whose options include those of the model that SOURCE names: see ``zoo generate SOURCE --help``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[OPTIONS] = list(_options(_plan(self._words(args))))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        return [*params[:-1], *ctx.meta.get(OPTIONS, _options(None)), params[-1]]  # --help stays the last

    def _words(self, args: Sequence[str]) -> Iterator[str]:
        """The arguments that may be SOURCE: neither options nor the values of this command's own options."""
        takes = {name for param in self.params for name in param.opts if not getattr(param, "is_flag", False)}
        for place, word in enumerate(args):
            if not word.startswith("-") and (place == 0 or args[place - 1] not in takes):
                yield word


def _plan(words: Iterator[str]) -> Plan | None:
    """How the first model that the words name generates; None if they name none."""
    from zoo.core.errors import ZooError
    from zoo.release import read
    from zoo.release.resolve import find

    for word in words:
        try:
            return read(find(word)).plan
        except ZooError:
            continue  # the command itself says what is wrong
    return None


def _options(plan: Plan | None) -> Iterator[click.Option]:
    """The options of a model, and hidden ones that it does not take, whose use is an error that says so."""
    from zoo.contract.generation_plan import STEPS, TEXT, TOKENS, Option

    usual = (Option("label", "label"), *TEXT, *TOKENS, STEPS)
    own = dict(plan.options) if plan is not None else {}
    for option in own.values():
        yield _option(option)
    for option in usual:
        if option.name not in own:
            yield _option(option, hidden=plan is not None)


HELP = {
    "label": "the class to generate",
    "prompt": "the start of the text",
    "length": "number of characters to generate after the prompt",
    "temperature": "sampling temperature; 0 always picks the most likely token",
    "top_k": "sample from the K most likely tokens",
    "top_p": "sample from the most likely tokens of total probability P",
    "steps": "number of sampling steps",
}


def _option(option: Option, hidden: bool = False) -> click.Option:
    from zoo.contract.specs import Text
    from zoo.runtime.describe import describe_option

    types: dict[str, Any] = {"label": click.INT, "number": click.FLOAT, "integer": click.INT, "text": click.STRING}
    said = HELP.get(option.name) or option.help or (describe_option(option) if option.spec is not None else "")
    default = {"label": "each in turn", "top_k": "all", "top_p": "all", "steps": "that of the release"}.get(option.name)
    if default is None and option.default not in (None, ""):
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
    many = option.what == "given"
    return click.Option(
        [f"--{option.name.replace('_', '-')}", option.name],
        type=types.get(option.what) or (click.STRING if isinstance(option.spec, Text) else FILE),
        multiple=many,
        metavar=("TEXT" if isinstance(option.spec, Text) else "FILE") if many else None,
        help=f"{said[:1].upper()}{said[1:]}.{f'  [default: {default}]' if default else ''}",
        hidden=hidden,
    )


@click.command(
    "generate", cls=GenerateCommand, epilog="Example:  zoo generate runs/vae.digits -n 64 --seed 1 -o samples.png"
)
@source
@click.option(
    "-n", "count", type=int, metavar="N",
    help="Number of samples.  [default: 16; text and audio: 1; of given inputs: one each]",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same samples everywhere.")
@click.option(
    "--first", type=int, default=0, show_default=True, help="Index of the first sample in the seed's sequence."
)
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad"]),
    help="Cut or pad given images and videos of another size, and resize them.",
)
@output(
    "The file: a .png grid (of videos an animated one, or .gif), a .npy array, .csv, .txt, or .wav (numbered if "
    "several).  "
    "[default: NAME-seedN; text: the terminal]"
)
@backend
def generate_command(
    source: str,
    count: int | None,
    seed: int,
    first: int,
    fit: str | None,
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
    **options: Any,
) -> None:
    """Generate samples: images as a grid, videos as one that moves, text on the terminal, audio clips as WAV files.

    A model may have options of its own, which zoo generate SOURCE --help lists.
    """
    import zoo
    from zoo.media import kinds, save
    from zoo.sampling import generation

    options = {name: value for name, value in options.items() if value not in (None, ())}
    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        plan, x = model.release.plan, model.release.sample.x
        if plan is not None:
            options |= _given(plan, options, fit, model.release.background)
        ending = save.endings(x)[0]
        if count is None:
            alone = output is not None and output.suffix == ".wav"
            given = _items(plan, options, model.release.background) if plan is not None else 0
            count = given or (1 if alone else kinds.of_sample(x).default_count)
        if output is None and x.kind != "text":
            output = Path(f"{model.name}-seed{seed}{ending}")
        if plan is not None:
            generation.check_memory(plan, count)
        if output is not None:
            save.check(output, x, force, count, first)
        samples = model.generate(count, seed=seed, first=first, **options)
        if output is None:
            click.echo("\n\n".join(samples))
        else:
            say_written(save.save(samples, output, x, force=force, first=first))


def _given(plan: Plan, options: dict[str, Any], fit: str | None, background: str) -> dict[str, Any]:
    """The inputs that were given: texts as they are, and files, of images and videos cut or padded if asked."""
    from zoo.core.errors import SettingError
    from zoo.media import kinds
    from zoo.media.convert import fitted

    specs = plan.inputs("given")
    pixels = [name for name, spec in specs.items() if kinds.of(spec).pixels]
    if fit and not pixels:
        raise SettingError(
            "--fit is for models that generate from an image or a video, and this is none. Leave it out."
        )
    found = {name: list(options[name]) for name in specs if name in options}
    fitting = [name for name in found if fit and name in pixels]
    return found | {name: fitted(found[name], specs[name], background, fit) for name in fitting}  # type: ignore[arg-type]


def _items(plan: Plan, options: dict[str, Any], background: str) -> int:
    """How many items are given of the input that has most: a file may hold several. 0 if none is given."""
    from zoo.sampling.generation import given_batch

    given = (plan.options[name] for name in plan.given() if name in options)
    return max((len(given_batch(option, options[option.name], background)) for option in given), default=0)
