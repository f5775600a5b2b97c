"""The command ``zoo list``: list models and their recipes, and releases on the Hub."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import click

from zoo.cli.arguments import as_json, complete_data, complete_name, print_json, table

if TYPE_CHECKING:
    from zoo.hub.community import Reviewed
    from zoo.registry.registry_file import Row


@click.command("list", epilog="Example:  zoo list 'vae*' --task encode,  zoo list --hub --data mnist")
@click.argument("pattern", default="", shell_complete=complete_name)
@click.option("--pretrained", is_flag=True, help="Only names with released weights.")
@click.option("--task", metavar="TASK", help="Only models with this task, such as encode.")
@click.option("--data", metavar="SET", shell_complete=complete_data, help="Only recipes for this data set.")
@click.option("--all", "everything", is_flag=True, help="Include the recipes called tiny, which are for tests.")
@click.option("--hub", is_flag=True, help="List releases on the Hugging Face Hub instead, which nobody has reviewed.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="With --hub: at most so many, those most downloaded first.  [default: 30]",
)
@as_json
def list_command(
    pattern: str,
    pretrained: bool,
    task: str | None,
    data: str | None,
    everything: bool,
    hub: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List models and their recipes; PATTERN is a wildcard such as 'vae*' or '*.mnist'.

    The name of a recipe is model.recipe, such as vae.mnist. Recipes with a * have released weights; those with a + are
    reviewed releases of third parties on the Hub; those with a ! cannot be trained here, because a data set or a
    released model that they need is missing. With --hub, PATTERN is a part of a repository's name.
    """
    if hub and everything:
        raise click.UsageError("--all goes without --hub.")
    if hub:
        _list_hub(pattern.strip("*"), task, data, limit, as_json)
        return
    if limit is not None:
        raise click.UsageError("--limit goes with --hub.")
    from zoo import registry
    from zoo.core.errors import NotFoundError
    from zoo.hub import community
    from zoo.hub.lacking import lacking, sentences

    pattern = pattern or "*"
    reviewed = community.matching(pattern, task=task, data=data)
    rows: list[Row] = []
    try:
        rows = registry.rows(pattern, pretrained=pretrained, task=task, data=data)
    except NotFoundError:  # of a task or a data set that no installed model has
        if not reviewed:
            raise
    if not everything and "tiny" not in pattern:
        rows = [row for row in rows if row.pretrained or not row.name.endswith(".tiny")]
    models = dict.fromkeys(row.model for row in rows)
    lacks = {f"{model}.{recipe}": texts for model in models for recipe, texts in lacking(model).items()}
    if as_json:
        own = [{**dataclasses.asdict(row), "lacking": lacks.get(row.name, [])} for row in rows]
        print_json([*own, *map(_reviewed, reviewed)])
        return
    if not rows and not reviewed:
        filtered = " and the filters" if pretrained or task or data else ""
        raise NotFoundError(f"No model matches {pattern!r}{filtered}. Run: zoo list")
    cells = [("MODEL", "RECIPES (* RELEASED)", "TITLE", "TASKS")]
    for model, group in itertools.groupby(rows, lambda row: row.model):
        row, *others = group
        recipes = " ".join(
            one.name.removeprefix(f"{model}.") + "*" * one.pretrained + "!" * (one.name in lacks)
            for one in (row, *others)
            if not one.note
        )
        cells.append((model, recipes or "-", row.title or f"({row.note})", " ".join(row.tasks) or "-"))
    for entry in reviewed:
        recipe = entry.name.removeprefix(f"{entry.model}.")
        cells.append((entry.model, f"{recipe}+", entry.title, " ".join(entry.tasks)))
    table(cells)
    if any(row.name in lacks for row in rows):
        click.echo("\n! It cannot be trained here. What is released can be used.")
        for text in itertools.chain.from_iterable(map(sentences, models)):
            click.echo(f"  {text}")
    if reviewed:
        click.echo("\n+ A reviewed release of a third party: loading it downloads it from the Hub. See zoo info NAME.")


def _reviewed(entry: Reviewed) -> dict[str, object]:
    """An entry of the list of reviewed releases, with the keys of the other rows and its own."""
    return {
        "name": entry.name,
        "model": entry.model,
        "distribution": entry.distribution,
        "title": entry.title,
        "data": entry.data,
        "tasks": entry.tasks,
        "pretrained": True,
        "note": "a reviewed release of a third party",
        "lacking": [],
        "hub": str(entry.source),
        "licence": entry.licence,
        "manifest_sha256": entry.manifest_sha256,
    }


def _list_hub(query: str, task: str | None, data: str | None, limit: int | None, as_json: bool) -> None:
    from zoo.core.errors import NotFoundError
    from zoo.core.text import size
    from zoo.hub import reasons, search

    limit = limit or search.LIMIT
    found = search.search(query, task=task, data=data, limit=limit)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    if not found:
        what = f" matches {query!r}{' and the filters' if task or data else ''}" if query else " matches"
        raise NotFoundError(f"No release on {reasons.address()}{what}. Run: zoo list --hub")
    cells = [("SOURCE", "DATA", "METRIC", "SIZE", "DOWNLOADS", "TASKS")]
    for one in found:
        cells.append(
            (
                one.source if one.access == "public" else f"{one.source} ({one.access})",
                ", ".join(one.data) or "-",
                f"{one.metric.name} {one.metric.value:.4g}" if one.metric else "-",
                "-" if one.bytes is None else size(one.bytes),
                f"{one.downloads:,}",
                " ".join(one.tasks) or one.pipeline_tag or "-",
            )
        )
    table(cells)
    more = f" These are the first {limit}: see --limit." if len(found) == limit else ""
    click.echo(
        f"\nNot reviewed: this is what their publishers say of them.{more}\n"
        "Look at one:  zoo info hub:ORG/NAME\n"
        "Each runs without its plugin, in every command that takes a SOURCE:  zoo generate hub:ORG/NAME"
    )
