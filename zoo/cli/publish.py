"""The command ``zoo publish``: put a release on the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import FILE, as_json, as_one, complete_source, print_json, table
from zoo.core.text import size

if TYPE_CHECKING:
    from zoo.hub.publish import Published


@click.command("publish", epilog="Example:  zoo publish runs/vae.digits --repo ORG/vae.digits")
@click.argument("source", required=False, shell_complete=complete_source)
@click.option("--repo", metavar="ORG/NAME", help="The repository; it is made where it is missing.")
@click.option("--private", is_flag=True, help="Make the repository private; one that is public is refused.")
@click.option("--revision", metavar="BRANCH", default="main", show_default=True, help="It is made where it is missing.")
@click.option("--tag", metavar="TAG", default="", help="Tag the commit.")
@click.option("--pr", "pull_request", is_flag=True, help="Open a pull request instead of a commit to main.")
@click.option("--message", metavar="TEXT", help="The first line of the commit.")
@click.option("--licence", metavar="NAME", default="", help="That of the weights.  [default: as the release says]")
@click.option("--replace-card", is_flag=True, help="Replace the text of a README.md that was edited on the Hub.")
@click.option(
    "--sign", "key", type=FILE, metavar="KEY", help="Sign with a private key; ZOO_SIGN_PASSWORD has its password."
)
@click.option("--all", "every", is_flag=True, help="Publish all released weights of a package as ORG/MODEL.RECIPE.")
@click.option("--org", metavar="ORG", help="With --all: the organisation or the user.")
@click.option("--distribution", metavar="NAME", help="With --all: the package.  [default: the project in this folder]")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done; nothing is sent that writes.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@as_json
def publish_command(
    source: str | None,
    repo: str | None,
    key: Path | None,
    every: bool,
    org: str | None,
    distribution: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Publish a release on the Hugging Face Hub, in one commit.

    Everything that could go wrong is checked first: the token, the repository, the licence. Then the release is
    verified. The commit has exactly the files of the release, a card, config.json and .gitattributes; files of an older
    release that this one does not have are removed, and files of other people stay. The same content makes no commit.
    """
    from zoo.cli.registry import project_here
    from zoo.core.errors import SettingError, ZooError
    from zoo.core.progress import TransferReport, Transfers
    from zoo.hub.preflight import Target
    from zoo.pipeline.publishing import Key, publish_all, publish_one

    if every and (source or repo or not org):
        raise SettingError("--all takes --org ORG, and no SOURCE and no --repo. Run: zoo publish --all --org ORG")
    if not every and (org or distribution or not source or not repo):
        raise SettingError("zoo publish takes a SOURCE and --repo ORG/NAME, or --all and --org ORG.")
    signer = None if key is None else Key(key, os.environ.get("ZOO_SIGN_PASSWORD"))
    shared: Any = {"key": signer, "dry_run": dry_run}
    try:
        with Transfers("Uploading", quiet) as uploads:
            report = TransferReport(uploads.say, uploads.move, uploads.step)
            if every:
                target = Target("", **options)
                found = publish_all(distribution or project_here(), str(org), target, report, **shared)
                published, collection = found.releases, found.collection
            else:
                target = Target(str(repo), **options)
                published, collection = [publish_one(str(source), target, report, **shared)], ""
    except ZooError as error:
        if as_json:
            problems = getattr(error, "problems", (str(error),))
            print_json({"ok": False, "error": str(error), "problems": problems})
        raise as_one(error) from error
    if as_json:
        entries = [_entry(one, dry_run) for one in published]
        print_json({"ok": True, "collection": collection, "releases": entries} if every else {"ok": True, **entries[0]})
        return
    for one in published:
        _say(one, dry_run)
    if collection:
        click.echo(f"Collection: {collection}")


def _entry(one: Published, dry_run: bool) -> dict[str, Any]:
    changes = one.changes
    return {
        "name": one.name,
        "repository": one.repository,
        "dry_run": dry_run,
        "new": one.is_new,
        "private": one.is_private,
        "commit": one.commit,
        "address": one.address,
        "source": "" if dry_run else one.source,
        "branch": one.branch,
        "tag": one.tag,
        "added": changes.added,
        "replaced": changes.replaced,
        "deleted": changes.deleted,
        "same": changes.same,
    }


def _say(one: Published, dry_run: bool) -> None:
    changes, place = one.changes, f"{one.repository} ({'private' if one.is_private else 'public'})"
    parts = {"added": changes.added, "replaced": changes.replaced, "deleted": changes.deleted}
    if dry_run and one.pull_request:
        click.echo(f"This release is already in the pull request {one.pull_request}: no commit would be made.")
        return
    if dry_run:
        click.echo(f"{place}{' would be made' if one.is_new else ''}: {_summary(parts)}. Nothing was sent.")
        if changes:
            rows = [(verb, name, f"{size:,}") for verb, sizes in parts.items() for name, size in sizes.items()]
            table([("CHANGE", "FILE", "BYTES"), *rows])
        return
    made = f"; the branch {one.branch} was made" if one.is_new_branch else ""
    made += f"; tagged {one.tag}" if one.is_new_tag else ""
    if changes:
        click.echo(f"{place}{' was made' if one.is_new else ''}: {_summary(parts)}{made}.")
    elif one.pull_request:
        click.echo(f"This release is already in the pull request {one.pull_request}: no commit was made.")
    else:
        click.echo(f"{place} has this release already: no commit was made{made}.")
    click.echo(f"Commit:     {one.commit}")
    click.echo(f"Address:    {one.address}")
    click.echo(f'Load it:    zoo.load("{one.source}")')


def _summary(parts: dict[str, Any]) -> str:
    counts = [
        f"{len(sizes)} {'file' if len(sizes) == 1 else 'files'} {verb} ({size(sum(sizes.values()))})"
        for verb, sizes in parts.items()
        if sizes
    ]
    return ", ".join(counts) or "no changes"
