"""The command ``zoo pull``: download a release into the cache."""

from __future__ import annotations

import click

from zoo.cli.arguments import as_json, print_json, source


@click.command("pull", epilog="Example:  zoo pull hub:ORG/vae.mnist")
@source
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@as_json
def pull_command(source: str, quiet: bool, as_json: bool) -> None:
    """Download a release into the cache, and print its folder.

    SOURCE is hub:ORG/NAME, hub:ORG/NAME@REVISION (a branch, a tag or a full commit), or a released name. Every file is
    checked against its SHA-256; what is cached is checked again, and repaired. Other commands download what they need
    by themselves.
    """
    from zoo.core.errors import SettingError
    from zoo.hub import cache
    from zoo.hub.resolve import fetched, is_path, on_hub
    from zoo.release import read, verify

    if is_path(source):
        raise SettingError(f"{source!r} is a path. Give hub:ORG/NAME, with hub:, or a released name.")
    folder = fetched(source, ask=True, quiet=quiet)
    release = read(folder)
    sha256 = cache.sha256_of(release)
    if folder != cache.place(sha256):  # it is installed; what is in the cache was checked
        verify(release)
    if as_json:
        origin = on_hub(source)
        print_json(
            {
                "name": release.name,
                "folder": str(folder),
                "manifest_sha256": sha256,
                "source": str(origin) if origin else None,
                "commit": origin.revision if origin else None,
                "bytes": sum(release.sizes.values()),
            }
        )
    else:
        click.echo(folder)
