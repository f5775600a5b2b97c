"""The command ``zoo generate``: generate samples, without torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import CLASS, FILE, backend, output, say_written, source

if TYPE_CHECKING:
    from zoo.contract.generation_plan import Plan
    from zoo.contract.options import Option
    from zoo.core.errors import ZooError
    from zoo.media.kinds import Fit

OPTIONS = "zoo.generate.options"
"""The key of ``click.Context.meta`` that holds the options of the model in the command line."""

FAULT = "zoo.generate.fault"
"""The key that holds why there is no such model; None if there is one."""


class GenerateCommand(click.Command):
    """A command whose options include those of the model that SOURCE names: see ``zoo generate SOURCE --help``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = self._words(args)
        plan, faults = _plan(words)
        ctx.meta[OPTIONS] = list(_options(plan))
        ctx.meta[FAULT] = fault = next(iter(faults.values()), None)
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            if fault is not None and isinstance(error, click.NoSuchOption):  # an option of a model that is not there
                raise fault from None
            if plan is None:
                raise
            source = shlex.quote(next(word for word in words if word not in faults))  # its help has its own options too
            raise click.UsageError(f"{error.format_message()} Run: {ctx.command_path} {source} --help", ctx) from None
        if not ctx.resilient_parsing and (fault := faults.get(ctx.params["source"])):
            raise fault  # before a Hub that does not answer is asked again
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        return [*params[:-1], *ctx.meta.get(OPTIONS, _options(None)), params[-1]]  # --help stays the last

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if fault := ctx.meta.get(FAULT):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(f"These are the options of many models. {fault}")

    def _words(self, args: Sequence[str]) -> list[str]:
        """The arguments that may be SOURCE: neither options nor the values of this command's own options.

        What may be the value of an unknown option comes last.
        """
        takes = {name for param in self.params for name in param.opts if not getattr(param, "is_flag", False)}
        words = [
            (place > 0 and args[place - 1].startswith("-") and "=" not in args[place - 1], word)
            for place, word in enumerate(args)
            if not word.startswith("-") and (place == 0 or args[place - 1] not in takes)
        ]
        return [word for _, word in sorted(words, key=lambda one: one[0])]


def _plan(words: Sequence[str]) -> tuple[Plan | None, dict[str, ZooError]]:
    """How the first model that the words name generates, and why each word before it names none."""
    from zoo.core.errors import ZooError
    from zoo.hub.resolve import find
    from zoo.release import read

    faults: dict[str, ZooError] = {}
    for word in words:
        try:
            return read(find(word)).plan, faults
        except ZooError as error:
            faults[word] = error
    return None, faults


def _options(plan: Plan | None) -> Iterator[click.Option]:
    """The options of a model, and hidden ones that it does not take, whose use is an error that says so."""
    from zoo.contract.options import LENGTH, PROMPT, STEPS, TOKENS, Option
    from zoo.sampling import generation

    usual = (Option("label", "label", each=True), PROMPT, LENGTH, *TOKENS, STEPS)
    own = dict(plan.options) if plan is not None else {}
    for option in own.values():
        yield _option(option)
    for option in usual:
        if option.name not in own:
            yield _option(option, hidden=plan is not None)
    yield click.Option(
        ["--fit"],
        type=click.Choice(["crop", "pad"]),
        help="Cut or pad given images and videos of another size, and resize them.",
        hidden=plan is not None and not generation.fits(plan),
    )


def _option(option: Option, hidden: bool = False) -> click.Option:
    from zoo.contract.specs import Text

    types: dict[str, Any] = {"label": CLASS, "number": click.FLOAT, "integer": click.INT, "text": click.STRING}
    given, text = option.what == "given", isinstance(option.spec, Text)
    said, bounds = _said(option)
    if option.each:
        said += "; repeat it for one per sample" if option.spec is not None else "; repeatable"
    default = "each in turn" if option.what == "label" else "that of the model" if option.default is None else ""
    if option.default not in (None, ""):
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
    about = "; ".join(filter(None, [f"default: {default}" if default and not given else "", bounds]))
    return click.Option(
        [f"--{option.name.replace('_', '-')}", option.name],
        type=types.get(option.what) or (click.STRING if text else FILE),
        multiple=option.each,
        metavar=("TEXT" if text else "FILE") if given else None,
        help=f"{said[:1].upper()}{said[1:]}.{f'  [{about}]' if about else ''}",
        hidden=hidden,
    )


def _said(option: Option) -> tuple[str, str]:
    """What an option is, and its range, in the words of the command line."""
    from zoo.contract.specs import Label, Number, Text
    from zoo.media import kinds

    spec = option.spec
    if option.what == "label":
        if not isinstance(spec, Label):
            return "the class to generate", ""
        names = f", or its name: {kinds.names_of(spec)}" if kinds.names_of(spec) else ""
        return f"the class to generate{names}", f"0 to {spec.classes - 1}"
    if isinstance(spec, Text):
        return f"text of at most {spec.length} characters", f"characters: {kinds.known_characters(spec)}"
    if isinstance(spec, Number):
        return option.help or f"a number, {option.name}", spec.range
    if option.what == "integer":
        return option.help, f"{option.least} to {option.most}" if option.most else f"at least {option.least}"
    return (option.help, "") if spec is None else (f"{kinds.of(spec).describe(spec)}, in a file", "")


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
    fit: Fit | None,
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
            options = _as_in_python(plan, options)
        if fit:
            options["fit"] = fit
        ending = save.endings(x)[0]
        if count is None:
            alone = output is not None and output.suffix == ".wav"
            given = generation.given_batches(plan, options, model.release.background, fit or "") if plan else {}
            count = generation.listed(plan, given, options) if plan else 0
            count = count or (1 if alone else kinds.of_sample(x).default_count)
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


def _as_in_python(plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    """Options with lists of what was repeated; labels and numbers that were named once are one for all samples."""
    lists = plan.given()
    return {
        name: value if not isinstance(value, tuple) else list(value) if name in lists or len(value) > 1 else value[0]
        for name, value in options.items()
    }
