"""The command ``zoo data``: list named data sets, download them, and inspect one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo.cli.arguments import as_json, complete_data, complete_named_data, data_dir, hanging, output, print_json, table

LOADERS = {True: "tried on the published files", False: "tried on small files of the same format"}
"""What the loader of a data set was tested with, by whether it is proven."""


@click.group("data", epilog="Example:  zoo data list")
def data_command() -> None:
    """List named data sets, download their files, and inspect one."""


@data_command.command("list", epilog="Example:  zoo data list --data-dir ~/data")
@data_dir
@as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the data sets and where each is on this machine. Imports no plugin, and reads no data."""
    from zoo import registry
    from zoo.data import data_folder, where

    folder, found = data_folder(data_dir), registry.data_rows()
    rows = [
        {
            "name": row.name,
            "kind": row.entry.get("kind"),
            "title": row.entry.get("title", ""),
            "train": row.entry.get("train"),
            "test": row.entry.get("test"),
            "shape": row.entry.get("shape"),
            "classes": row.entry.get("classes", 0),
            "licence": row.entry.get("licence", ""),
            "package": row.entry.get("package", ""),
            "where": where.place(row.entry, row.distribution, folder) if row.entry else None,
            "distribution": row.distribution,
            "note": row.note,
        }
        for row in found
        if not row.place
    ]
    if as_json:
        print_json(rows)
        return
    cells = [("NAME", "KIND", "TRAIN + TEST", "SHAPE", "CLASSES", "LICENCE", "WHERE")]
    for row in rows:
        shape, licence = "×".join(map(str, row["shape"] or ())) or "-", row["licence"].partition(";")[0]
        there = row["note"] or row["where"] or "not there"
        cells.append(
            (row["name"], row["kind"] or "-", size(row), shape, str(row["classes"] or "-"), licence or "-", there)
        )
    table(cells)
    click.echo(f"\nData folder: {folder}. Your own: {', '.join(row.form for row in found if row.place)}.")


def size(row: Mapping[str, Any]) -> str:
    """The number of training and test samples, in words."""
    if row["train"] is None or row["test"] is None:
        return f"as in {row['package']}" if row["package"] else "-"
    return f"{row['train']:,} + {row['test']:,}{' characters' if row['kind'] == 'text' else ''}"


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
    from zoo.data import archives, data_folder, download, named, where

    folder = data_folder(data_dir)
    sets = {name: named(name) for name in names}
    for name, known in sets.items():
        there = where.located(name, folder) is not None
        files = dict.fromkeys(file for split in known.files for file in where.chosen(known, split, folder))
        for file in files:
            (archives if file.inside else download).obtain(file, folder, downloads(quiet=False))
        place = where.located(name, folder)
        if place is None:
            from zoo.core.errors import missing

            raise missing(known.package, "train", f"The data set {name!r}")
        checked = f", {len(files)} file{'s'[: len(files) > 1]} checked" if files else ""
        click.echo(f"{name}: {place} ({'was there' if there else 'downloaded'}{checked})")


@data_command.command(
    "info",
    short_help="Show the source, licence, form and files of a data set.",
    epilog="Example:  zoo data info mnist -o mnist.png",
)
@click.argument("name", shell_complete=complete_data)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="data.OPTION=VALUE",
    help="Change an option of the data, as in data.size=32; may be repeated.",
)
@data_dir
@output("Write an image of the first samples to this .png file; of numbers, a .csv file.")
@as_json
def info_command(
    name: str, assignments: tuple[str, ...], data_dir: Path | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Show the source, citation, licence, fields and options of a data set, and its files with their SHA-256.

    With KIND:PATH, such as array:t.csv or folder:photos, read your own data, and show its form, counts and classes.
    """
    options = _options(name, assignments)
    about = _own(name, options, data_dir) if ":" in name else _about(name, data_dir)
    if output is not None:
        _check_ending(output, about.get("fields", {}).get("x", {}).get("kind"), force)
    if as_json:
        print_json(about)
    else:
        _print(about)
    if output is not None:
        _write_image(name, options, data_dir, output, force)
        click.echo(f"{output} written", err=as_json)


def _options(name: str, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of ``data.OPTION=VALUE``."""
    from zoo import data
    from zoo.contract.recipe import Recipe
    from zoo.contract.use import Use
    from zoo.core.errors import SettingError

    for assignment in assignments:
        if not assignment.startswith("data.") or "=" not in assignment:
            raise SettingError(f"{assignment!r} is not data.OPTION=VALUE. Example: --set data.size=64")
    changes = data.parse(Recipe(data=Use(name)), assignments) if assignments else {}
    return {key.removeprefix("data."): value for key, value in changes.items()}


def _own(name: str, options: Mapping[str, Any], data_dir: Path | None) -> dict[str, Any]:
    """Read the user's own data, and return what it is."""
    from zoo import data, registry
    from zoo.contract import settings
    from zoo.contract.use import Use
    from zoo.data.preview import describe

    known, use = data.data_set(name), Use(name, options)
    plugin, chosen = registry.find(use.kind, registry.DATA), data.options_of(use, "data")
    train, test = (data.load(use, split, data_dir=data_dir) for split in data.SPLITS)
    return {
        "name": train.name,
        "title": known.card.title,
        "from": f"{plugin.distribution} {plugin.version}",
        **describe(train, test),
        "split": known.card.split,
        "options": {
            field.name: {
                "default": field.default,
                "value": getattr(chosen, field.name),
                "type": settings.describe(type(chosen), field.name),
                "help": field.metadata["help"],
            }
            for field in dataclasses.fields(chosen)
        },
    }


def _about(name: str, data_dir: Path | None) -> dict[str, Any]:
    """Return what the static registry says about a data set, and where it is."""
    from zoo import registry
    from zoo.core.errors import DataError
    from zoo.data import data_folder, unknown, where

    if name not in registry.plugins(registry.DATA):
        raise DataError(unknown(name))
    plugin, folder = registry.find(name, registry.DATA), data_folder(data_dir)
    listed = registry.read_file(plugin.distribution)
    entry, origin = listed.data.get(name), f"{plugin.distribution} {plugin.version}"
    if entry is None:
        why = listed.problem or "its registry.yaml does not list it"
        return {"name": name, "from": origin, "note": f"not indexed: {why}. In its project, run: zoo registry build"}
    (index,) = (row.entry for row in registry.data_rows() if row.name == name)
    return {
        "name": f"{name}:{entry['place']}" if entry.get("place") else name,
        "title": entry["title"],
        "from": origin,
        "source": entry["source"],
        "citation": entry["citation"],
        "licence": entry["licence"],
        "train": entry.get("train"),
        "test": entry.get("test"),
        "fields": entry.get("fields", {}),
        "classes": entry["classes"],
        "split": entry["split"],
        **({"loader": LOADERS[entry["proven"]]} if entry["files"] or entry.get("package") else {}),
        "options": entry["options"],
        **({} if entry.get("place") else {"where": where.place(index, plugin.distribution, folder)}),
        "files": [
            {
                "name": file["name"],
                "sha256": file["sha256"],
                "of": file["of"],
                "listing": file.get("listing"),
                "looked for in": [str(folder / place) for place in file["folders"]],
                "addresses": file["addresses"],
            }
            for file in _unique(entry)
        ],
    }


def _unique(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files of both splits, each once, and then those that can replace them."""
    found: list[Mapping[str, Any]] = []
    for part in ("files", "unpacked"):
        for files in entry[part].values():
            found += [file for file in files if file not in found]
    return found


def _print(about: dict[str, Any]) -> None:
    files, options, fields, counts = (about.pop(key, None) for key in ("files", "options", "fields", "counts"))
    if counts:
        rows = zip(about["classes"], counts["train"], counts["test"], strict=True)
        about["classes"] = [f"{name} ({train:,} + {test:,})" for name, train, test in rows]
    if unit := about.pop("unit", ""):
        about |= {split: f"{about[split]:,} {unit}" for split in ("train", "test")}
    if "where" in about:
        about["where"] = about["where"] or "not there"
    for key, value in about.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else "unknown" if value is None else str(value)
        if text:
            click.echo(f"{key + ':':<9} {text}")
    for name, form in (fields or {}).items():
        shape = "×".join(map(str, form["shape"])) or str(form.get("classes", ""))
        click.echo(f"field:    {name} ({form['kind']} {shape}{_more(form)})")
    for name, option in (options or {}).items():
        click.echo(
            hanging(
                f"option:   {name} = {option.get('value', option['default'])}  ", f"{option['help']} ({option['type']})"
            )
        )
    for file in files or ():
        click.echo(f"file:     {file['name']}")
        click.echo(f"            SHA-256 of {file['of']}: {file['sha256']}")
        if file["listing"]:
            click.echo(f"            SHA-256 of the listing of its files, however they are packed: {file['listing']}")
        click.echo(f"            looked for in {', '.join(file['looked for in'])}")
        click.echo(f"            from {', '.join(file['addresses']) or 'no address: put the file there yourself'}")


def _more(form: Mapping[str, Any]) -> str:
    """What is known of a field beside its shape: columns, different characters, the sampling rate."""
    if form["kind"] == "array":
        return f": {', '.join(form['names'])}" if form.get("names") else ""
    if form["kind"] == "text":
        return f", {form['classes']} different characters" if "classes" in form else ""
    return f", {form['rate']} Hz" if "rate" in form else ""


def _check_ending(path: Path, kind: str | None, force: bool) -> None:
    """Raise unless the first samples, of a kind if it is known, can be written to a file of this name."""
    from zoo.core.errors import SettingError
    from zoo.core.files import check_free, check_outside_releases
    from zoo.media import kinds

    check_outside_releases(path)
    check_free(path, force)
    endings = (".png", ".csv") if kind is None else (".png",) if kinds.SAMPLES[kind].has_image else (".csv",)
    if path.suffix not in endings:
        raise SettingError(
            f"{str(path)!r} ends in {path.suffix or 'nothing'!r}; it must end in {' or '.join(endings)}."
        )


def _write_image(name: str, options: Mapping[str, Any], data_dir: Path | None, path: Path, force: bool) -> None:
    """Draw the first training samples: 64 images, 16 videos, 8 audio clips, or 400 characters; write 16 arrays."""
    from zoo import data
    from zoo.core import files
    from zoo.core.progress import downloads
    from zoo.data.preview import first
    from zoo.media import display, grid, kinds

    loaded = data.load(name, "train", data_dir=data_dir, progress=downloads(quiet=False), **options)
    samples, columns = first(loaded)
    x = loaded.sample.x
    _check_ending(path, x.kind, force)
    if not kinds.of_sample(x).has_image:
        files.write(path, display.contents(samples, x)[path.suffix], force)
        return
    images = display.images(samples, x, columns, gap=2)
    files.write(path, grid.png(*map(grid.enlarge, images)), force)
