"""The command ``zoo list``: list models and their recipes."""

from __future__ import annotations

import dataclasses

import click

from zoo.cli.arguments import as_json, complete_data, complete_name, print_json, table


@click.command("list", epilog="Example:  zoo list 'vae*' --task reconstruct")
@click.argument("pattern", default="*", shell_complete=complete_name)
@click.option("--pretrained", is_flag=True, help="Only names whose weights are released.")
@click.option("--task", metavar="TASK", help="Only models that have this task, such as encode.")
@click.option("--data", metavar="SET", shell_complete=complete_data, help="Only recipes for this data set.")
@as_json
def list_command(pattern: str, pretrained: bool, task: str | None, data: str | None, as_json: bool) -> None:
    """List models and their recipes; PATTERN is a wildcard such as 'vae*' or '*.mnist'."""
    from zoo import registry
    from zoo.core.errors import NotFoundError

    rows = registry.rows(pattern, pretrained=pretrained, task=task, data=data)
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    if not rows:
        filtered = " and the filters" if pretrained or task or data else ""
        raise NotFoundError(f"No model matches {pattern!r}{filtered}. Run: zoo list")
    cells = [("NAME", "DATA", "WEIGHTS", "TASKS", "MODEL")]
    for row in rows:
        weights = "released" if row.pretrained else "-"
        cells.append((row.name, row.data or "-", weights, " ".join(row.tasks) or "-", row.title or f"({row.note})"))
    table(cells)
