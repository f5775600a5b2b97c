"""The command ``zoo registry``: index the user's models and their released weights."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.arguments import FILE, as_json, as_one, complete_name, print_json, table


@click.group("registry", epilog="Example:  zoo registry build")
def registry_command() -> None:
    """Index your models and their released weights, so that zoo list and zoo.load need not import them."""


@registry_command.command(
    "build", short_help="Write registry.yaml.", epilog="Example:  zoo registry build --distribution genzoo --check"
)
@click.option(
    "--distribution", metavar="NAME", help="The package of the models.  [default: the project in this folder]"
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="The file to write.  [default: its registry.yaml]")
@click.option("--check", is_flag=True, help="Write nothing; the exit status is 1 if the file is out of date.")
@click.option("--hub", metavar="ORG", help="Pin the weights to ORG/MODEL.RECIPE on the Hub, as they are there now.")
@click.option(
    "--signer", type=FILE, metavar="PUB", help="With --hub: they must be signed by this key.  [default: the pinned one]"
)
def build_command(
    distribution: str | None, output: Path | None, check: bool, hub: str | None, signer: Path | None
) -> None:
    """Write registry.yaml from the installed code and the released weights.

    Weights that are pinned to the Hub stay so while their manifest is the same, also where their folder is gone from
    the package: they are downloaded then.
    """
    from zoo.core.errors import SettingError, ZooError
    from zoo.pipeline import registry_build, registry_pins

    if signer is not None and hub is None:
        raise SettingError("--signer is for weights on the Hub. Give --hub ORG too.")
    distribution = distribution or project_here()
    try:
        before = registry_pins.pinned(distribution)
        path, stale = registry_build.write(distribution, output, check, hub, signer)
    except ZooError as error:
        raise as_one(error) from error
    for name in sorted(before.keys() - registry_pins.pinned(distribution).keys()):
        text = f"{name} has other weights than {before[name]}, so it is not pinned any more."
        click.echo(f"{text} Publish it, then run: zoo registry build --hub ORG", err=True)
    if check and stale:
        click.echo(f"{path} is stale. Run: zoo registry build", err=True)
        click.get_current_context().exit(1)
    click.echo(f"{path} {'written' if stale else 'is up to date'}")


@registry_command.command(
    "refresh", short_help="Export the graphs of released weights again.", epilog="Example:  zoo registry refresh"
)
@click.argument("names", nargs=-1, metavar="[NAME]…", shell_complete=complete_name)
@click.option(
    "--distribution", metavar="NAME", help="The package of the weights.  [default: the project in this folder]"
)
@click.pass_context
def refresh_command(ctx: click.Context, names: tuple[str, ...], distribution: str | None) -> None:
    """Export the graphs of released weights again, in place, and build registry.yaml.

    For maintainers, after a change of the exporter or of how a task computes. The weights, their metrics and the
    samples of each seed must stay the same. If one of them would change, that release is kept and the command fails.
    """
    from zoo.core.errors import NotFoundError, suggest
    from zoo.pipeline import registry_build
    from zoo_export import check_installed

    distribution = distribution or project_here()
    check_installed("Exporting graphs")
    from zoo_export.refresh import refresh

    models, _ = registry_build.plugins_of(distribution)
    folders = {folder.name: folder for folder in registry_build.release_folders(models)}
    for name in names:
        if name not in folders:
            raise NotFoundError(f"{distribution} has no released weights {name!r}.{suggest(name, folders)}")
    for name in names or folders:
        changed = refresh(folders[name])
        click.echo(f"{name}: {f'written, {len(changed)} files changed' if changed else 'is up to date'}")
    ctx.invoke(build_command, distribution=distribution, output=None, check=False, hub=None, signer=None)


@registry_command.command(
    "community", short_help="Check the reviewed releases of others.", epilog="Example:  zoo registry community"
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@as_json
@click.pass_context
def community_command(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Check the reviewed releases of third parties on the Hub; the exit status is 1 if one is wrong.

    For maintainers. The manifest at the commit must have the hash of the list and say what the list says, and the
    repository must have every file that it names. Weights are not downloaded.
    """
    from zoo.core.errors import NotFoundError
    from zoo.hub import community, community_check

    entries = community.releases()
    for name in names:
        if not any(entry.name == name for entry in entries):
            raise NotFoundError(f"The list of reviewed releases has no {name!r}. Run: zoo registry community")
    problems = {entry: community_check.problem_of(entry) for entry in entries if entry.name in names or not names}
    if as_json:
        print_json(
            [{"name": entry.name, "source": str(entry.source), "problem": why} for entry, why in problems.items()]
        )
    elif problems:
        table(
            [("NAME", "SOURCE", ""), *((entry.name, str(entry.source), why or "ok") for entry, why in problems.items())]
        )
    else:
        click.echo("The list has no release.")
    ctx.exit(1 if any(problems.values()) else 0)


def project_here() -> str:
    """Return the project name in ./pyproject.toml."""
    import tomllib

    from zoo.core.errors import NotFoundError

    path = Path("pyproject.toml")
    try:
        return str(tomllib.loads(path.read_text("utf-8"))["project"]["name"])
    except (OSError, ValueError, KeyError) as error:
        raise NotFoundError(
            "This folder has no pyproject.toml with a project name. Change to the project's folder, or give "
            "--distribution NAME."
        ) from error
