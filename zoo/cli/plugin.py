"""The command ``zoo plugin``: list installed plugins, write one, and check it."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import DIR, as_json, complete_name, print_json, table


@click.group("plugin", epilog="Example:  zoo plugin new mine")
def plugin_command() -> None:
    """List installed plugins, write your own, and check it."""


@plugin_command.command("list", epilog="Example:  zoo plugin list --json")
@as_json
def list_command(as_json: bool) -> None:
    """List installed models, data sets and loggers, with the version of the contract that each was made for.

    The state of a model also says which data sets and released models its recipes need and do not find. No plugin is
    imported. zoo doctor imports and tries each, in a process of its own.
    """
    import dataclasses

    from zoo.contract.version import CONTRACT
    from zoo.hub.lacking import sentences
    from zoo.registry import GROUPS, MODELS, listing

    found = [
        dataclasses.replace(one, problem=one.problem or "; ".join(sentences(one.name)))
        if one.kind == GROUPS[MODELS].noun
        else one
        for one in listing.listed()
    ]
    if as_json:
        print_json({"contract": CONTRACT, "plugins": [dataclasses.asdict(plugin) for plugin in found]})
        return
    rows = [
        (one.kind, one.name, f"{one.distribution} {one.version}", one.contract or "-", one.problem or "ok")
        for one in found
    ]
    table([("KIND", "NAME", "FROM", "CONTRACT", "STATE"), *rows])
    click.echo(f"This zoo has contract {CONTRACT}. To import and try each plugin: zoo doctor", err=True)


@plugin_command.command(
    "new",
    short_help="Write a distribution with a plugin that works, to change.",
    epilog="Example:  zoo plugin new mine --template diffusion",
)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["model", "dataset", "logger"]),
    default="model",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--template",
    type=click.Choice(["vae", "gan", "autoregressive", "diffusion"]),
    help="The model to start from.  [default: vae]",
)
@click.option("--data", is_flag=True, help="Also write a data set, on which the model trains.")
@click.option("-o", "--output", "folder", type=DIR, metavar="DIR", help="The new project folder.  [default: zoo-NAME]")
@as_json
def new_command(name: str, kind: str, template: str | None, data: bool, folder: Path | None, as_json: bool) -> None:
    """Write the distribution zoo-NAME: a small plugin NAME that works, with tests, to change into your own.

    A model trains on digits, or with --data on images that a formula makes.
    """
    from dataclasses import asdict

    from zoo.tools import new_plugin

    made = new_plugin.write(name, kind=kind, template=template, data=data, folder=folder)
    if as_json:
        print_json({**asdict(made), "folder": str(made.folder)})
        return
    for file in made.files:
        click.echo(f"{made.folder / file} written")
    click.echo("Next:")
    for command in made.next:
        click.echo(f"  {command}")


@plugin_command.command("test", epilog="Example:  zoo plugin test mine --check resume")
@click.argument("name", shell_complete=complete_name)
@click.option("--check", "chosen", multiple=True, metavar="CHECK", help="Run this check only; repeatable.")
@click.option("--list", "names", is_flag=True, help="Say what each check requires, and run none.")
@click.option(
    "--keep",
    type=DIR,
    metavar="DIR",
    help="Write the tiny run and its release into this folder, which must not exist.  [default: a temporary one]",
)
@as_json
def test_command(name: str, chosen: tuple[str, ...], names: bool, keep: Path | None, as_json: bool) -> None:
    """Hold the model NAME to the checks that the built-in models pass; the exit status is 1 if one fails.

    Its recipe tiny is trained, killed, resumed, released, quantised and evaluated, which takes about a minute. For
    pytest, the same checks are in zoo.testing: conformance.
    """
    import contextlib
    import dataclasses
    import tempfile

    from zoo import registry
    from zoo.core import files
    from zoo.core.errors import NotFoundError, SettingError, suggest
    from zoo_export import check_installed

    model, recipe = registry.split(name)
    if recipe:
        raise SettingError(f"{name!r} names a recipe. Give the model: zoo plugin test {model}")
    registry.find(model)
    check_installed("Checking a plugin")
    from zoo.testing import CHECKS, Result, Subject, run

    known = {check.name: check for check in CHECKS}
    if names:
        table([("CHECK", "WHAT MUST HOLD"), *((check.name, check.help) for check in CHECKS)])
        return
    for one in chosen:
        if one not in known:
            raise NotFoundError(f"No check named {one!r}.{suggest(one, known)} There are: {', '.join(known)}.")
    with contextlib.ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = keep
            files.check_free(folder, force=False)
            folder.mkdir(parents=True)
        subject, results = Subject(model, folder), list[Result]()
        for check in CHECKS:
            if chosen and check.name not in chosen:
                continue
            results.append(result := run(check, subject))
            if not as_json:
                mark = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", "yellow")}[result.ok]
                click.echo(f"{click.style(f'{mark[0]:<6}', fg=mark[1])}  {check.name:<13}  {result.text}")
    failed = [result.check for result in results if result.ok is False]
    if as_json:
        print_json({"model": model, "ok": not failed, "checks": [dataclasses.asdict(result) for result in results]})
    else:
        seconds = sum(result.seconds for result in results)
        passed = sum(result.ok is True for result in results)
        click.echo(f"{model}: {passed} passed, {len(failed)} failed, in {seconds:.0f} s")
    if failed:
        click.get_current_context().exit(1)
