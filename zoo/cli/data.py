"""The command ``zoo data``: list named data sets, download them, and inspect one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.arguments import as_json, complete_named_data, data_dir, output, print_json, table


@click.group("data", epilog="Example:  zoo data list")
def data_command() -> None:
    """List named data sets, download their files, and inspect one."""


@data_command.command("list", epilog="Example:  zoo data list --data-dir ~/data")
@data_dir
@as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List named data sets and where each is on this machine. Reads no data."""
    from zoo.data import NAMED, OWN, data_folder

    folder = data_folder(data_dir)
    rows = [
        {
            "name": known.name,
            "kind": known.kind,
            "title": known.title,
            "train": known.train,
            "test": known.test,
            "shape": list(known.shape),
            "classes": len(known.classes),
            "licence": known.licence,
            "where": known.place(folder),
        }
        for known in NAMED.values()
    ]
    if as_json:
        print_json(rows)
        return
    cells = [("NAME", "KIND", "TRAIN + TEST", "SHAPE", "CLASSES", "LICENCE", "WHERE")]
    for known in NAMED.values():
        licence, where = known.licence.partition(";")[0], known.place(folder) or "not there"
        cells.append((known.name, known.kind, known.size, known.form, str(len(known.classes)), licence, where))
    table(cells)
    own = ", ".join(f"{form} ({what})" for form, _, _, what in OWN.values())
    click.echo(f"\nData folder: {folder}. Your own: {own}.")


@data_command.command(
    "get",
    short_help="Download missing files and check all of them.",
    epilog="Example:  zoo data get mnist fashion-mnist --data-dir ~/data",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…", shell_complete=complete_named_data)
@data_dir
def get_command(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Download the missing files of data sets, and check every file against its SHA-256."""
    from zoo.core.progress import downloads
    from zoo.data import archives, data_folder, download, named

    folder = data_folder(data_dir)
    sets = [named(name) for name in names]
    for known in sets:
        there = known.place(folder) is not None
        files = dict.fromkeys(file for split in known.files for file in known.chosen(split, folder))
        for file in files:
            (archives if file.inside else download).obtain(file, folder, downloads(quiet=False))
        place = known.place(folder)
        if place is None:
            from zoo.core.errors import missing

            raise missing(known.package, "train", f"The data set {known.name!r}")
        checked = f", {len(files)} file{'s'[: len(files) > 1]} checked" if files else ""
        click.echo(f"{known.name}: {place} ({'was there' if there else 'downloaded'}{checked})")


@data_command.command(
    "info",
    short_help="Show the source, licence, form and files of a data set.",
    epilog="Example:  zoo data info mnist -o mnist.png",
)
@click.argument("name", shell_complete=complete_named_data)
@data_dir
@output("Write an image of the first samples to this .png file; of numbers, a .csv file.")
@as_json
def info_command(name: str, data_dir: Path | None, output: Path | None, force: bool, as_json: bool) -> None:
    """Show the source, citation, licence and form of a data set, and its files with their SHA-256."""
    from zoo.data import data_folder, named

    known, folder = named(name), data_folder(data_dir)
    about: dict[str, Any] = {
        "name": known.name,
        "title": known.title,
        "kind": known.kind,
        "source": known.source,
        "citation": known.citation,
        "licence": known.licence,
        "train": known.train,
        "test": known.test,
        "shape": list(known.shape),
        "classes": list(known.classes),
        "split": known.split,
        "loader": "tried on the published files" if known.proven else "tried on small files of the same format",
        "where": known.place(folder),
        "files": [
            {
                "name": file.name,
                "sha256": file.sha256,
                "of": "the unpacked bytes" if file.packed else "the file",
                "listing": file.inside.sha256 if file.inside else None,
                "looked for in": [str(folder / place) for place in file.folders],
                "addresses": list(file.addresses),
            }
            for file in (*known.every_file, *(file for files in known.unpacked.values() for file in files))
        ],
    }
    if output is not None:
        _check_ending(output, known.kind, force)
    if as_json:
        print_json(about)
    else:
        _print(about)
    if output is not None:
        _write_image(known.name, data_dir, output, force)
        click.echo(f"{output} written", err=as_json)


def _print(about: dict[str, Any]) -> None:
    files = about.pop("files")
    about["where"] = about["where"] or "not there"
    for key, value in about.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else "unknown" if value is None else str(value)
        if text:
            click.echo(f"{key + ':':<10}{text}")
    for file in files:
        click.echo(f"file:     {file['name']}")
        click.echo(f"            SHA-256 of {file['of']}: {file['sha256']}")
        if file["listing"]:
            click.echo(f"            SHA-256 of the listing of its files, however they are packed: {file['listing']}")
        click.echo(f"            looked for in {', '.join(file['looked for in'])}")
        click.echo(f"            from {', '.join(file['addresses']) or 'no address: put the file there yourself'}")


def _check_ending(path: Path, kind: str, force: bool) -> None:
    from zoo.core.errors import SettingError
    from zoo.core.files import check_free, check_outside_releases
    from zoo.media import kinds

    check_outside_releases(path)
    check_free(path, force)
    ending = ".png" if kinds.SAMPLES[kind].has_image else ".csv"
    if path.suffix != ending:
        raise SettingError(f"{str(path)!r} ends in {path.suffix or 'nothing'!r}; it must end in {ending}.")


def _write_image(name: str, data_dir: Path | None, path: Path, force: bool) -> None:
    """Draw the first training samples: 64 images, 16 videos, 8 audio clips, or 400 characters; write 16 arrays."""
    from zoo import data
    from zoo.core import files
    from zoo.core.progress import downloads
    from zoo.data.preview import first
    from zoo.media import display, grid, kinds

    loaded = data.load(name, "train", data_dir=data_dir, progress=downloads(quiet=False))
    samples, columns = first(loaded)
    x = loaded.sample.x
    if not kinds.of_sample(x).has_image:
        files.write(path, display.contents(samples, x)[path.suffix], force)
        return
    images = display.images(samples, x, columns, gap=2)
    files.write(path, grid.png(*map(grid.enlarge, images)), force)
