"""The command ``zoo cache``: what was downloaded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from zoo.cli.arguments import as_json, print_json, table
from zoo.core.text import size

if TYPE_CHECKING:
    from zoo.hub.cache import Cached


@click.group("cache", epilog="Example:  zoo cache list")
def cache_command() -> None:
    """Show and remove downloaded releases."""


@cache_command.command("path", epilog="Example:  du -sh $(zoo cache path)")
def path_command() -> None:
    """Print the folder of the cache: ZOO_CACHE_DIR, or zoo in the user's cache folder or beside that of the Hub."""
    from zoo.hub import cache

    click.echo(cache.folder())


@cache_command.command("list", epilog="Example:  zoo cache list --json")
@as_json
def list_command(as_json: bool) -> None:
    """List downloaded releases with their sizes, the one last used first."""
    from zoo.hub import cache

    found = cache.contents()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "manifest_sha256": one.sha256,
                    "bytes": one.bytes,
                    "downloaded": _date(one.downloaded),
                    "used": _date(one.used),
                    "sources": one.sources,
                    "folder": str(one.folder),
                }
                for one in found
            ]
        )
        return
    if found:
        rows = [("NAME", "SIZE", "DOWNLOADED", "LAST USED", "MANIFEST", "FROM")]
        for one in found:
            dates = _date(one.downloaded), _date(one.used)
            rows.append((one.name or "not whole", size(one.bytes), *dates, one.sha256[:12], ", ".join(one.sources)))
        table(rows)
        click.echo()
    count, total = len(found), sum(one.bytes for one in found)
    click.echo(f"{count} {'release' if count == 1 else 'releases'}, {size(total)}, in {cache.folder()}")


@cache_command.command("prune", epilog="Example:  zoo cache prune --unused-for 30 --dry-run")
@click.argument("manifests", nargs=-1, metavar="[MANIFEST]…")
@click.option("--unused-for", type=click.FloatRange(0), metavar="DAYS", help="Releases not used for so many days.")
@click.option("--all", "every", is_flag=True, help="All releases.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(manifests: tuple[str, ...], unused_for: float | None, every: bool, dry_run: bool) -> None:
    """Remove downloaded releases, and what killed downloads left.

    MANIFEST is the beginning of the SHA-256 that zoo cache list shows, or a name. Without MANIFEST or an option, only
    folders are removed that are not whole.
    """
    from zoo.core.errors import NotFoundError
    from zoo.hub import cache

    found = cache.contents()
    for wanted in manifests:
        if not any(_is(one, wanted) for one in found):
            raise NotFoundError(f"The cache has no release {wanted!r}. Run: zoo cache list")
    old = None if unused_for is None else time.time() - unused_for * 86400
    chosen = [
        one
        for one in found
        if every or not one.name or (old is not None and one.used < old) or any(_is(one, word) for word in manifests)
    ]
    for one in chosen:
        if not dry_run:
            cache.remove(one, lambda text: click.echo(text, err=True))
        click.echo(f"{one.name or 'a folder that is not whole'} ({one.sha256[:12]}, {size(one.bytes)})")
    if not dry_run:
        cache.sweep()
    count, total = len(chosen), sum(one.bytes for one in chosen)
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{count} {'release' if count == 1 else 'releases'} {verb}, {size(total)}")


def _is(one: Cached, wanted: str) -> bool:
    return bool(wanted) and (one.name == wanted or (len(wanted) >= 4 and one.sha256.startswith(wanted)))


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
