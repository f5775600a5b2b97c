"""The command ``zoo list``: list models and their recipes."""

from __future__ import annotations

import dataclasses
import itertools

import click

from zoo.cli.arguments import as_json, complete_data, complete_name, print_json, table


@click.command("list", epilog="Example:  zoo list 'vae*' --task reconstruct")
@click.argument("pattern", default="*", shell_complete=complete_name)
@click.option("--pretrained", is_flag=True, help="Only names with released weights.")
@click.option("--task", metavar="TASK", help="Only models with this task, such as encode.")
@click.option("--data", metavar="SET", shell_complete=complete_data, help="Only recipes for this data set.")
@click.option("--all", "everything", is_flag=True, help="Include the recipes called tiny, which are for tests.")
@as_json
def list_command(
    pattern: str, pretrained: bool, task: str | None, data: str | None, everything: bool, as_json: bool
) -> None:
    """List models and their recipes; PATTERN is a wildcard such as 'vae*' or '*.mnist'.

    The name of a recipe is model.recipe, such as vae.mnist. Recipes with a * have released weights.
    """
    from zoo import registry
    from zoo.core.errors import NotFoundError

    rows = registry.rows(pattern, pretrained=pretrained, task=task, data=data)
    if not everything and "tiny" not in pattern:
        rows = [row for row in rows if row.pretrained or not row.name.endswith(".tiny")]
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    if not rows:
        filtered = " and the filters" if pretrained or task or data else ""
        raise NotFoundError(f"No model matches {pattern!r}{filtered}. Run: zoo list")
    cells = [("MODEL", "RECIPES (* RELEASED)", "TITLE", "TASKS")]
    for model, group in itertools.groupby(rows, lambda row: row.model):
        row, *others = group
        recipes = " ".join(
            one.name.removeprefix(f"{model}.") + "*" * one.pretrained for one in (row, *others) if not one.note
        )
        cells.append((model, recipes or "-", row.title or f"({row.note})", " ".join(row.tasks) or "-"))
    table(cells)
